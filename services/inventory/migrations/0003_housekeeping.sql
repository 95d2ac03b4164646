-- Answers to adjustments are forgotten after a while. Rows come in the order of time, so a summary per
-- block is enough to find the old ones, at almost no cost to the insert.
create index adjustment_created_at on adjustment using brin (created_at);
