-- The wall as a view of its own: what the log says is to be made now. It is folded from this service's own
-- events, so it can be made anew beside the live one. A ticket leaves it when it is done or withdrawn.
create table wall_item (
    ticket_id uuid not null,
    order_id uuid not null,
    quantity bigint not null,
    opened_at timestamptz not null,
    store_id text collate "C" not null,
    product text not null,
    station text collate "C" not null,
    method text not null,
    status text collate "C" not null,
    -- Ids of tickets are UUIDs of version 7: the oldest comes first.
    constraint wall_item_pkey primary key (store_id, ticket_id),
    constraint wall_item_station_known check (station in ('brew', 'plate')),
    constraint wall_item_status_known check (status in ('open', 'started'))
) with (fillfactor = 70);

-- Asked for by the wall alone until now.
drop index ticket_on_the_wall;
