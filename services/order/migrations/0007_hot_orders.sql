-- The status leaves the indexes of `orders`. It changes two to five times in an order's life, and each
-- time every index got a new entry, that of the order's id included. Without it such an update stays within
-- its page (HOT), for which the pages keep room.

drop index orders_by_status;
drop index orders_by_customer;
drop index orders_by_store;
create index orders_by_customer on orders (customer_id, order_id);
create index orders_by_store on orders (store_id, order_id);
alter table orders set (fillfactor = 70);
