-- Columns are ordered widest alignment first, so that rows hold no padding.

-- One row an order: what is known of its money. An order whose reversal came first has a row that
-- says so and nothing else.
create table payment (
    order_id             uuid        primary key,
    revision             bigint      not null,          -- raised by every write: a stale write finds no row
    events               bigint      not null,          -- the version of the latest event
    amount_minor         bigint,
    authorise_not_before timestamptz,                   -- no effect before this: the age of the processor's key
    capture_not_before   timestamptz,
    reverse_not_before   timestamptz,
    recorded_at          timestamptz not null default now(),
    reversed_at          timestamptz,                   -- when the reversal was recorded: the fence
    authorise_attempts   integer     not null,
    capture_attempts     integer     not null,
    reverse_attempts     integer     not null,
    currency             text,
    authorise_state      text,
    capture_state        text,
    reverse_state        text,
    effect               text,                          -- what the reversal does
    authorisation_id     text        not null,
    authorise_detail     text        not null,
    capture_detail       text        not null,
    reverse_detail       text        not null,
    token                text,                          -- only while the authorisation may have to be repeated
    token_hash           bytea,
    constraint payment_authorisation_whole check (
        num_nulls(amount_minor, currency, authorise_state, token_hash) in (0, 4)),
    constraint payment_states_known check (
        authorise_state in ('requested', 'unknown', 'done', 'declined', 'refused')
        and capture_state in ('requested', 'unknown', 'done', 'declined', 'refused')
        and reverse_state in ('requested', 'unknown', 'done', 'declined', 'refused')
        and effect in ('voided', 'refunded', 'nothing')),
    constraint payment_capture_follows_authorisation check (
        capture_state is null or authorise_state = 'done'),
    constraint payment_card_forgotten check (
        token is null or authorise_state in ('requested', 'unknown')),
    constraint payment_fence_dated check ((reverse_state is null) = (reversed_at is null))
) with (fillfactor = 40); -- written four times on the happy way: the page keeps room, so that updates stay HOT

-- The double-entry ledger, one row an event: debits are positive, credits negative, and each row sums
-- to zero in its currency. `held` and `pending` are memo accounts.
create table ledger_posting (
    order_id         uuid        not null,
    version          bigint      not null,              -- of the event
    held_minor       bigint      not null,
    pending_minor    bigint      not null,
    receivable_minor bigint      not null,
    revenue_minor    bigint      not null,
    refunds_minor    bigint      not null,
    posted_at        timestamptz not null,
    currency         text        not null,
    event            text        not null,
    primary key (order_id, version),
    constraint ledger_posting_balanced check (
        held_minor + pending_minor + receivable_minor + revenue_minor + refunds_minor = 0)
);

-- Books are corrected by another posting, never by a change.
create function ledger_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is append-only';
end $$;
create trigger ledger_append_only before update or delete or truncate on ledger_posting
    for each statement execute function ledger_is_append_only();

-- The same books, an account a row.
create view ledger_entry as
select order_id, version, account, amount_minor, currency, event, posted_at
from ledger_posting,
     lateral (values ('held', held_minor), ('pending', pending_minor), ('receivable', receivable_minor),
                     ('revenue', revenue_minor), ('refunds', refunds_minor)) as entry(account, amount_minor)
where amount_minor <> 0;
