-- The planner's statistics hold samples of what stands in a column, readable by whoever may read the table, and
-- no erasure reaches them. Nothing is searched by these columns: they need none. A target of 0 stops new samples
-- and keeps the old ones; giving the column its type once more drops those, and rewrites no row.
-- Tables are taken in the order in which writers take them, the view as the relay does before its table.
alter table idempotency_key alter column answer set statistics 0, alter column answer type bytea;
alter table customer
    alter column name set statistics 0, alter column name type text,
    alter column email set statistics 0, alter column email type text;

drop view outbox_record;
alter table outbox alter column payload set statistics 0, alter column payload type bytea;

-- As it was: see 0002.
create view outbox_record as
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

-- A new partition does not take over the target of its table.
create or replace function outbox_make_partitions(days_ahead integer) returns void language plpgsql as $$
declare
    today date := (now() at time zone 'utc')::date;
    day   date;
    name  text;
begin
    for day in select today + n from generate_series(0, days_ahead) as n loop
        name := 'outbox_' || to_char(day, 'YYYYMMDD');
        if to_regclass(name) is null
           and not exists (select from outbox_default where recorded_on = day) then
            execute format('create table if not exists %I partition of outbox for values from (%L) to (%L)',
                           name, day, day + 1);
            execute format('alter table %I alter column payload set statistics 0', name);
        end if;
    end loop;
end $$;
