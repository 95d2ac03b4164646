-- Erasing a customer's personal data (SEMANTICS: personal data lives in customer records alone).

-- Who was erased, and when. Rows are never deleted: after a restore they are applied again.
create table erasure (
    customer_id text collate "C" not null,
    erased_at timestamptz not null default clock_timestamp(),
    constraint erasure_pkey primary key (customer_id)
);

-- What the blanked bodies of the outbox were: enough to recognise one in the log, nothing to read.
create table erased_payload (
    id uuid not null,
    customer_id text collate "C" not null,
    version bigint not null,
    sha256 bytea not null,
    constraint erased_payload_pkey primary key (id)
);

-- Rows of the outbox that were not in the log when their customer was erased: the relay still needs
-- them. They are blanked with the mark that says that they are.
create table erasure_pending (
    slot smallint not null,
    position bigint not null,
    recorded_on date not null,
    constraint erasure_pending_pkey primary key (slot, position)
);

-- Both find a customer's few rows among those of all orders, and cost an order's row nothing.
create index outbox_by_customer on outbox (aggregate_id) where aggregate_type = 'customer';
create index idempotency_key_by_customer on idempotency_key (customer_id) where customer_id is not null;

-- Blanks the rows of the outbox that are listed, and keeps their hashes.
create function blank_payloads(of_slot smallint, positions bigint[], days date[]) returns void
language sql as $$
    with due as (
        select o.slot, o.position, o.recorded_on, o.id, o.aggregate_id, o.version, o.payload
        from unnest(positions, days) as d(position, recorded_on)
        join outbox o on o.slot = of_slot and o.position = d.position and o.recorded_on = d.recorded_on
        where o.payload is not null and o.payload <> ''
    ),
    kept as (
        insert into erased_payload (id, customer_id, version, sha256)
        select id, aggregate_id, version, sha256(payload) from due
        on conflict do nothing
    )
    update outbox o set payload = '' from due d
    where o.slot = d.slot and o.position = d.position and o.recorded_on = d.recorded_on
$$;

-- In the erasing transaction, before the event that tells it is appended: that one stays.
create function erase_customer_payloads(of_customer text) returns void language plpgsql as $$
declare
    found record;
begin
    for found in
        select o.slot,
               coalesce(array_agg(o.position) filter (where o.position <= s.watermark), '{}') as positions,
               coalesce(array_agg(o.recorded_on) filter (where o.position <= s.watermark), '{}') as days
        from outbox o join relay_slot s using (slot)
        where o.aggregate_type = 'customer' and o.aggregate_id = of_customer
        group by o.slot
    loop
        perform blank_payloads(found.slot, found.positions, found.days);
    end loop;
    insert into erasure_pending (slot, position, recorded_on)
    select o.slot, o.position, o.recorded_on
    from outbox o
    where o.aggregate_type = 'customer' and o.aggregate_id = of_customer and o.payload <> ''
    on conflict do nothing;
end $$;

-- A mark that passes while the erasing transaction is open does not see its pending rows. A later one
-- does: the event that tells of the erasure is in the same slot behind them, and will be marked.
create function blank_at_mark() returns trigger language plpgsql as $$
declare
    due record;
begin
    if exists (select from erasure_pending p where p.slot = new.slot and p.position <= new.watermark) then
        with gone as (
            delete from erasure_pending p where p.slot = new.slot and p.position <= new.watermark
            returning p.position, p.recorded_on
        )
        select array_agg(position) as positions, array_agg(recorded_on) as days into due from gone;
        perform blank_payloads(new.slot, due.positions, due.days);
    end if;
    return null;
end $$;

create trigger relay_slot_blank_at_mark after update of watermark on relay_slot
for each row when (new.watermark > old.watermark) execute function blank_at_mark();
