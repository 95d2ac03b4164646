-- Checkout sagas: one row an order, updated in place, and an append-only log of its steps.

-- The row is the saga's whole state, its timer and the call it owes. It is updated some four times, in
-- place: no index holds a column that changes before the end, so each update stays within its page
-- (HOT), for which a fillfactor of 60 leaves room.
-- `version` is the epoch: it goes up by one with each write, and never down.
-- `payment_status` follows from the other columns; it stands here so that it can be read without
-- knowing the rules.
create table saga (
    saga_id uuid not null,
    kind text collate "C" not null default 'checkout',
    state text collate "C" not null,
    -- The call or the event it waits for; for people.
    step text collate "C" not null,
    resumes_in text collate "C",
    parked_reason text collate "C",
    stock text collate "C" not null,
    authorise text collate "C" not null,
    capture text collate "C" not null,
    reverse text collate "C" not null,
    reversed_effect text collate "C",
    payment_status text collate "C" not null,
    version bigint not null,
    log_length bigint not null,
    attempts integer not null,
    unknown_since timestamptz,
    -- When the phase is overdue, and when the row is looked at next, by this database's clock.
    deadline_at timestamptz,
    due_at timestamptz,
    -- True until the saga has ended: what the timers search.
    open boolean not null,
    -- What an authorisation asks for. The token is blanked once no authorisation can follow.
    token text not null,
    amount_minor bigint not null,
    currency text collate "C" not null,
    customer_id text collate "C" not null,
    traceparent text collate "C",
    started_at timestamptz not null,
    updated_at timestamptz not null,
    constraint saga_pkey primary key (saga_id),
    constraint saga_state_known check (state in (
        'reserving', 'authorising', 'completing', 'completed', 'unwinding', 'undone', 'parked'
    )),
    constraint saga_parked_says_why check ((state = 'parked') = (parked_reason is not null))
) with (
    fillfactor = 60,
    -- Ended sagas leave dead entries in `saga_open`; vacuum by count, not by share, keeps it short
    -- however large the table grows.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 20000
);

-- The sagas that have not ended: a handful, or all of an outage's. `due_at` itself is not indexed: it
-- changes with each step, and the update would no longer stay within its page.
create index saga_open on saga (saga_id) where open;

create table saga_log (
    saga_id uuid not null,
    sequence bigint not null,
    at timestamptz not null,
    from_state text collate "C" not null,
    to_state text collate "C" not null,
    trigger text collate "C" not null,
    actions text[] not null,
    constraint saga_log_pkey primary key (saga_id, sequence)
);
