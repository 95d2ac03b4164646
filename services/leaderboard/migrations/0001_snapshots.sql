-- Boards live in memory; their truth is the log. What is here only makes a start quick.

-- A snapshot counts once it is complete. Its parts are written in transactions of their own: one long
-- transaction would hold back every relay of this server.
create table snapshot (
    id         bigint      generated always as identity primary key,
    format     integer     not null,                -- of the bytes
    epoch      bigint      not null,                -- of the lease it was written under
    begun_at   timestamptz not null default now(),
    taken_at   timestamptz,                         -- when it became complete
    bytes      bigint      not null,
    checksum   bytea       not null,                -- SHA-256
    complete   boolean     not null default false
);

create table snapshot_part (
    snapshot_id bigint  not null references snapshot on delete cascade,
    number      integer not null,
    body        bytea   not null,
    primary key (snapshot_id, number)
);
-- They do not compress: trying costs time.
alter table snapshot_part alter column body set storage external;

-- What a snapshot holds: everything before these offsets.
create table snapshot_position (
    snapshot_id bigint  not null references snapshot on delete cascade,
    topic       text    not null,
    topic_id    text    not null,                   -- a topic made anew is another log
    partition   integer not null,
    next_offset bigint  not null,
    primary key (snapshot_id, topic, partition)
);

-- The one replica that writes snapshots.
create table snapshot_lease (
    id         integer     primary key check (id = 1),
    holder     text        not null,
    epoch      bigint      not null,
    expires_at timestamptz not null
);

-- What operators have done here.
create table operator_action (
    id      uuid        primary key,
    at      timestamptz not null default now(),
    actor   text        not null,
    action  text        not null,
    subject text        not null,
    detail  jsonb       not null
);
create index operator_action_at on operator_action (at);
