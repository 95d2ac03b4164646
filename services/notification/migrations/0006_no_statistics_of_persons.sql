-- The planner's statistics hold samples of what stands in a column, readable by whoever may read the table, and
-- no erasure reaches them. Nothing is searched by these columns: they need none. A target of 0 stops new samples
-- and keeps the old ones; giving the column its type once more drops those, and rewrites no row.
alter table customer
    alter column name set statistics 0, alter column name type text,
    alter column email set statistics 0, alter column email type text;

-- Events about customers that could not be handled.
alter table dead_letter alter column payload set statistics 0, alter column payload type bytea;
alter table parked alter column payload set statistics 0, alter column payload type bytea;
