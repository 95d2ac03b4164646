-- `attempts` begins anew when somebody asks for redelivery; `claims` never does. A worker's claim is known by
-- its number for ever, so what it learned late cannot be taken for what a younger claim learned.
alter table call add column claims bigint not null default 0;
update call set claims = attempts where attempts > 0;

-- The versions of what is written here directly: consistency tokens name them.
alter table preference add column version bigint not null default 1;
alter table endpoint add column version bigint not null default 1;

-- Answers under idempotency keys, whole: a repeat gets the first one, also after the endpoint has changed or is
-- gone. They hold secrets, as `endpoint` does.
create table idempotency_key (
    created_at timestamptz not null default now(),
    route text collate "C" not null,
    principal text collate "C" not null,
    key text collate "C" not null,
    fingerprint bytea not null,
    answer bytea not null,
    constraint idempotency_key_pkey primary key (route, principal, key)
);

create index idempotency_key_created_at on idempotency_key (created_at);
