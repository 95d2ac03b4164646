-- What the baristas make: tickets, what becomes of each order's, and how often each store's wall changed.

-- One row an order that came here. `version` counts the order's fulfilment events, `answered` is the
-- version of the order's last request for a withdrawal that got its answer. Rows are kept: a late event of
-- an order that has ended must find its end. Ids are UUIDs of version 7, so new rows go to the right edge
-- of the index. Everyone who changes an order's tickets locks its row here first, which decides the race
-- between a barista who begins and a customer who cancels.
create table preparation (
    order_id uuid not null,
    version bigint not null,
    answered bigint not null,
    updated_at timestamptz not null,
    store_id text collate "C" not null,
    stage text collate "C" not null,
    constraint preparation_pkey primary key (order_id),
    constraint preparation_stage_known check (stage in ('open', 'started', 'completed', 'withdrawn'))
) with (fillfactor = 70);

-- One row a line of a sold order. `product` is the name it was sold under; `method` is empty on a plate.
create table ticket (
    ticket_id uuid not null,
    order_id uuid not null,
    quantity bigint not null,
    opened_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz, -- done or withdrawn
    line integer not null,
    store_id text collate "C" not null,
    product_id text collate "C" not null,
    product text not null,
    station text collate "C" not null,
    method text not null,
    status text collate "C" not null,
    constraint ticket_pkey primary key (order_id, line),
    constraint ticket_ticket_id_key unique (ticket_id),
    constraint ticket_station_known check (station in ('brew', 'plate')),
    constraint ticket_status_known check (status in ('open', 'started', 'done', 'withdrawn')),
    -- The domain decides it; this is the second lock on the same door.
    constraint ticket_ends_once check ((ended_at is null) = (status in ('open', 'started'))),
    constraint ticket_done_was_started check (started_at is not null or status in ('open', 'withdrawn'))
) with (fillfactor = 70);

-- The wall: what is to be made, the oldest first. Whatever is made or withdrawn leaves it.
create index ticket_on_the_wall on ticket (store_id, ticket_id) where status in ('open', 'started');

-- How often a store's wall has changed. Raised in the transaction that changes it, under this row's lock:
-- so a snapshot with position n holds every change up to the n-th, and no other.
create table wall (
    position bigint not null,
    store_id text collate "C" not null,
    constraint wall_pkey primary key (store_id)
) with (fillfactor = 10);
