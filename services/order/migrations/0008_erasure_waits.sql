-- Rows of one customer lie in one slot, unless the number of slots was changed meanwhile. A mark that passed in
-- another slot while the erasing transaction was open did not see its pending rows, and no later one had to
-- come. So the erasure locks the slots that hold rows of the customer: a mark has either been committed before,
-- and is seen by the next statement, or waits for the erasure, and sees what is pending.
create or replace function erase_customer_payloads(of_customer text) returns void language plpgsql as $$
declare
    found record;
begin
    perform from relay_slot s
      where s.slot in (
            select o.slot from outbox o where o.aggregate_type = 'customer' and o.aggregate_id = of_customer)
      order by s.slot
        for update;
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
