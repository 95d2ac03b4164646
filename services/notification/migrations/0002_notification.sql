-- What is kept of customers: enough to write to them, no more. An erased customer leaves its id, so that
-- messages about its open orders are dropped at once instead of waiting for somebody who never comes.
create table customer (
    customer_id text collate "C" not null,
    name text,
    email text,
    locale text,
    erased boolean not null default false,
    constraint customer_pkey primary key (customer_id),
    constraint customer_erased_is_empty check (not erased or (name is null and email is null and locale is null))
) with (fillfactor = 80);

-- What a customer wants to be told, and how. Whoever has no row is told everything by every channel. It may
-- come before the customer does: it arrives by another way.
create table preference (
    customer_id text collate "C" not null,
    channels text[] not null,
    kinds text[] not null,
    updated_at timestamptz not null default now(),
    constraint preference_pkey primary key (customer_id)
) with (fillfactor = 80);

-- One message to one customer, without the address: it is looked up when the message is sent, so an erasure
-- need not look here for it. `due_at` of a pending row is when it may be taken; taking it moves `due_at` to the
-- end of the lease, so that the deliveries of a worker that died come up again by themselves. Of a waiting
-- row it is when the wait for the customer ends.
create table delivery (
    due_at timestamptz not null,
    happened_at timestamptz not null,
    created_at timestamptz not null default now(),
    sent_at timestamptz,
    attempts integer not null default 0,
    delivery_id uuid not null,
    order_id uuid not null,
    cause uuid not null,
    correlation uuid not null,
    customer_id text collate "C" not null,
    kind text collate "C" not null,
    channel text collate "C" not null,
    state text collate "C" not null,
    detail text not null default '',
    reason text not null default '',
    traceparent text,
    constraint delivery_pkey primary key (delivery_id),
    -- At most one message of a kind about an order: whatever is published twice, redriven or replayed.
    constraint delivery_once unique (order_id, kind, channel),
    constraint delivery_state_known check (state in ('waiting', 'pending', 'sent', 'failed', 'expired'))
) with (fillfactor = 70);

create index delivery_due on delivery (due_at) where state = 'pending';
create index delivery_waiting on delivery (customer_id) where state = 'waiting';
create index delivery_of_customer on delivery (customer_id, created_at);

-- The orders' events that are shown outside, in one order for ever: positions are drawn under a lock that is
-- held until the commit. Bodies are kept as they came; they become JSON when somebody reads them.
create sequence event_position as bigint cache 1;

create table event_log (
    position bigint not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null default now(),
    event_id uuid not null,
    order_id uuid not null,
    type text collate "C" not null,
    store_id text collate "C" not null,
    payload bytea not null,
    constraint event_log_pkey primary key (position)
);

-- Where machines outside want to be called. `next_after` is how far the log was fanned out to it.
create table endpoint (
    next_after bigint not null,
    created_at timestamptz not null default now(),
    disabled_at timestamptz,
    old_secret_until timestamptz,
    endpoint_id uuid not null,
    url text not null,
    types text[] not null,
    store_id text collate "C",
    secret text not null,
    old_secret text,
    constraint endpoint_pkey primary key (endpoint_id)
) with (fillfactor = 50);

-- One event for one endpoint, whole: the log may forget it before the endpoint has it.
create table call (
    position bigint not null,
    due_at timestamptz not null default now(),
    occurred_at timestamptz not null,
    delivered_at timestamptz,
    attempts integer not null default 0,
    endpoint_id uuid not null references endpoint on delete cascade,
    event_id uuid not null,
    order_id uuid not null,
    type text collate "C" not null,
    store_id text collate "C" not null,
    state text collate "C" not null default 'pending',
    reason text not null default '',
    payload bytea not null,
    constraint call_pkey primary key (endpoint_id, event_id),
    constraint call_state_known check (state in ('pending', 'delivered', 'failed'))
) with (fillfactor = 70);

create index call_due on call (endpoint_id, due_at) where state = 'pending';
create index call_failed on call (endpoint_id) where state = 'failed';
