-- Idempotency keys are forgotten after a while. Rows come in the order of time, so a summary per block is
-- enough to find the old ones, at almost no cost to the insert.
create index idempotency_key_created_at on idempotency_key using brin (created_at);
