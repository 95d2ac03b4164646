-- What operators have done at this service. Source: crates/messaging/schema/operator.sql; each service
-- that consumes holds a copy among its migrations.
create table if not exists operator_action (
    id      uuid        primary key,
    at      timestamptz not null default now(),
    actor   text        not null,
    action  text        not null,
    subject text        not null, -- a dead letter, a saga, a view
    detail  jsonb       not null  -- how it ended
);
create index if not exists operator_action_at on operator_action (at);
