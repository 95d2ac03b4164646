-- Orders, idempotency keys, customers and the copy of the catalogue.

-- The truth about orders: what happened, in order. Rows are only ever inserted. The primary key is the
-- optimistic lock: two writers that decided on the same version cannot both insert its successor.
create table order_event (
    order_id uuid not null,
    version bigint not null,
    event_id uuid not null,
    type text collate "C" not null,
    payload bytea not null,
    occurred_at timestamptz not null,
    constraint order_event_pkey primary key (order_id, version)
);

-- The view `orders`: one row an order, folded from its events in the transaction that writes them. It is
-- what is read, listed and locked; it can be made anew from `order_event` at any time.
-- `lines` holds an encoded brewline.order.v1.Order of which only the lines are set.
create table orders (
    order_id uuid not null,
    store_id text collate "C" not null,
    customer_id text collate "C" not null,
    status text collate "C" not null,
    version bigint not null,
    total_minor bigint not null,
    currency text collate "C" not null,
    placed_at timestamptz not null,
    updated_at timestamptz not null,
    lines bytea not null,
    rejection_code text collate "C",
    rejection_detail text,
    cancellation_status text collate "C",
    cancellation_reason text,
    constraint orders_pkey primary key (order_id),
    constraint orders_status_known check (status in (
        'pending', 'confirmed', 'rejected', 'preparing', 'ready', 'collected', 'cancelling', 'cancelled'
    ))
);

-- Pages are cut on the order's id, a UUID of version 7, which sorts by the time of placing. The status
-- stands before it in each index, so that a page of a rare status is as cheap as one of a common status;
-- a page of all statuses merges eight short index scans.
create index orders_by_status on orders (status, order_id);
create index orders_by_customer on orders (customer_id, status, order_id);
create index orders_by_store on orders (store_id, status, order_id);

-- One row an accepted write, inserted in the transaction of its effect. `order_id` or `customer_id` says
-- what it made; the answer about an order is made anew from the order's first event, the answer about a
-- customer is kept, because erasing a customer must be able to blank it.
create table idempotency_key (
    principal text collate "C" not null,
    route text collate "C" not null,
    key text collate "C" not null,
    fingerprint bytea not null,
    order_id uuid,
    customer_id text collate "C",
    answer bytea,
    created_at timestamptz not null default now(),
    constraint idempotency_key_pkey primary key (principal, route, key)
);

create table customer (
    customer_id text collate "C" not null,
    name text not null,
    email text not null,
    locale text not null,
    show_name boolean not null,
    version bigint not null,
    erased boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint customer_pkey primary key (customer_id)
);

-- The copy of the catalogue, shared by all replicas. Each replica consumes only its share of the topic
-- but prices from the whole copy, which it keeps in memory: `catalogue_revision` counts the transactions
-- that changed the copy, and each row says in which of them it was last changed. A writer takes the
-- counter's row lock first, so revisions become visible in their own order.
create table catalogue_revision (
    only_row boolean not null default true,
    revision bigint not null,
    constraint catalogue_revision_pkey primary key (only_row),
    constraint catalogue_revision_only_row check (only_row)
);

insert into catalogue_revision (revision) values (0);

create table catalogue_store (
    store_id text collate "C" not null,
    name text not null,
    currency text collate "C" not null,
    time_zone text not null,
    retired boolean not null,
    version bigint not null,
    revision bigint not null,
    constraint catalogue_store_pkey primary key (store_id)
);

create index catalogue_store_by_revision on catalogue_store (revision);

create table catalogue_product (
    product_id text collate "C" not null,
    name text not null,
    kind text collate "C" not null,
    method text not null,
    origin text not null,
    price_currencies text[] not null,
    price_minors bigint[] not null,
    retired boolean not null,
    version bigint not null,
    revision bigint not null,
    constraint catalogue_product_pkey primary key (product_id),
    constraint catalogue_product_kind_known check (kind in ('drink', 'food')),
    constraint catalogue_product_prices_pair
        check (cardinality(price_currencies) = cardinality(price_minors))
);

create index catalogue_product_by_revision on catalogue_product (revision);

-- What the relay reads. An order event's body stands in `order_event` once; the outbox points at it. The
-- sub-select is an index look-up a row, whatever the planner believes about the tables' sizes.
create or replace view outbox_record as
select
    o.slot,
    o.position,
    o.id,
    o.topic,
    o.aggregate_type,
    o.aggregate_id,
    o.version,
    o.type,
    case
        when o.payload is null and o.aggregate_type = 'order' then (
            select e.payload
            from order_event e
            where e.order_id = o.aggregate_id::uuid and e.version = o.version
        )
        else o.payload
    end as payload,
    o.occurred_at,
    o.correlation_id,
    o.causation_id,
    o.traceparent,
    o.headers,
    o.recorded_on
from outbox o;
