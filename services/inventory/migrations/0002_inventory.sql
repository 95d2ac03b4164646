-- Stores, products, stock, reservations and the ledger.

create table store (
    store_id text collate "C" not null,
    name text not null,
    currency text collate "C" not null,
    time_zone text collate "C" not null,
    retired boolean not null,
    version bigint not null,
    updated_at timestamptz not null,
    constraint store_pkey primary key (store_id)
);

-- `prices` is an object: the minor units by currency, such as {"EUR": 280}.
create table product (
    product_id text collate "C" not null,
    name text not null,
    kind text collate "C" not null,
    method text not null,
    origin text not null,
    prices jsonb not null,
    retired boolean not null,
    version bigint not null,
    updated_at timestamptz not null,
    constraint product_pkey primary key (product_id),
    constraint product_kind_known check (kind in ('drink', 'food'))
);

-- The stock of one product in one store. Its rows are the hottest of this database: all writers lock them
-- in the order of (store_id, product_id), and half of each page is left free so that updates stay on it.
-- `stock_id` is the short name by which the ledger's many rows say which stock moved. `sequence` numbers
-- the ledger's entries, `version` the events `StockAdjusted`.
create table stock (
    store_id text collate "C" not null,
    product_id text collate "C" not null,
    stock_id integer not null generated always as identity,
    on_hand bigint not null default 0,
    reserved bigint not null default 0,
    sequence bigint not null default 0,
    version bigint not null default 0,
    constraint stock_pkey primary key (store_id, product_id),
    constraint stock_stock_id_key unique (stock_id),
    -- The domain decides that nothing is oversold; this is the second lock on the same door.
    constraint stock_never_oversold check (reserved >= 0 and reserved <= on_hand)
) with (fillfactor = 50);

-- What one order holds or held: one row an order, in the state its last event led to. `lines` is an object,
-- the quantity by product; empty when nothing was ever held. Rows are kept: a late event of an order that
-- has ended must find its end. Ids are UUIDs of version 7, so new rows go to the right edge of the index.
create table reservation (
    order_id uuid not null,
    store_id text collate "C" not null,
    state text collate "C" not null,
    version bigint not null,
    lines jsonb not null,
    updated_at timestamptz not null,
    constraint reservation_pkey primary key (order_id),
    constraint reservation_state_known check (
        state in ('reserved', 'rejected', 'committed', 'released', 'returned')
    )
) with (fillfactor = 70);

-- Every movement of stock with the balance after it, numbered without a gap under the row lock of the
-- stock: so each prefix can be checked, and the sum is the stock row. `cause` is the order's event that
-- moved it, or the `StockAdjusted` that told it; `order_id` is null for an adjustment.
-- There is no foreign key to `stock`: its rows are never deleted, and checking costs as much as inserting.
create table stock_ledger (
    stock_id integer not null,
    sequence bigint not null,
    kind text collate "C" not null,
    on_hand_delta bigint not null,
    reserved_delta bigint not null,
    on_hand_after bigint not null,
    reserved_after bigint not null,
    order_id uuid,
    cause uuid not null,
    at timestamptz not null,
    constraint stock_ledger_pkey primary key (stock_id, sequence),
    constraint stock_ledger_kind_known check (
        kind in ('reserve', 'commit', 'release', 'return', 'adjust')
    )
);

-- Rows come in the order of time, so a summary per block is enough to find an hour, at almost no cost.
create index stock_ledger_at on stock_ledger using brin (at);

-- Append-only means it: a mistake is mended by another entry.
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name;
end
$$;

create trigger stock_ledger_append_only before update or delete or truncate on stock_ledger
    for each statement execute function refuse_change();

-- The answer to each adjustment under its caller's key. The row is inserted first, which makes others with
-- the same key wait, and is filled in by the same transaction; a refusal leaves no row.
create table adjustment (
    principal text collate "C" not null,
    key text collate "C" not null,
    store_id text collate "C" not null,
    product_id text collate "C" not null,
    delta bigint not null,
    reason text not null,
    on_hand bigint,
    reserved bigint,
    version bigint,
    created_at timestamptz not null default now(),
    constraint adjustment_pkey primary key (principal, key)
);
