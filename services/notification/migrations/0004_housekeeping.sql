-- Calls that were delivered are forgotten after a while; this finds the oldest of them.
create index call_delivered on call (delivered_at) where state = 'delivered';
