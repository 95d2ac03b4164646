-- The walls are written in the transactions that change them; until now a consumer of this service's own
-- events followed behind. What it had not come to yet is taken from the tickets.
delete from wall_item;
insert into wall_item (ticket_id, order_id, quantity, opened_at, store_id, product, station, method, status)
select ticket_id, order_id, quantity, opened_at, store_id, product, station, method, status
  from ticket where status in ('open', 'started');
update wall set position = position + 1;
