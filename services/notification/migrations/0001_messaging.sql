-- What every service that publishes or consumes events keeps beside its own tables.
-- Source: crates/messaging/schema/messaging.sql. Services hold a copy as migrations/0001_messaging.sql.
-- Columns are ordered widest alignment first, so that rows hold no padding.

-- One row a relay slot. Every row of the outbox at or below `watermark` is in the log or was never committed.
create table relay_slot (
    slot         smallint    primary key,
    epoch        bigint      not null default 0,
    watermark    bigint      not null default 0,
    leased_until timestamptz not null default '-infinity',
    holder       text        not null default ''
) with (fillfactor = 10); -- updated every turn: the page keeps room, so that updates stay HOT
insert into relay_slot (slot) values (0);

-- Positions of slot 0, and `outbox_position_N` of slot N. A cached range would be handed out before the
-- taker has a transaction id, and the relay's proof that a gap is dead would not hold: the cache is 1.
create sequence outbox_position_0 as bigint cache 1;

create table outbox (
    position       bigint      not null,
    version        bigint      not null,
    occurred_at    timestamptz not null,
    recorded_on    date        not null default (now() at time zone 'utc')::date,
    slot           smallint    not null,
    id             uuid        not null,
    correlation_id uuid        not null,
    causation_id   uuid,
    topic          text        not null,
    aggregate_type text        not null,
    aggregate_id   text        not null,
    type           text        not null,
    traceparent    text,
    headers        jsonb,      -- more record headers, name to text: dead letters have them
    payload        bytea,      -- null where the service's event table holds it
    primary key (slot, position, recorded_on)
) partition by range (recorded_on);

-- Takes what no day's partition takes, so that a late maintenance run never stops a write.
create table outbox_default partition of outbox default;

-- Makes the partitions of today and the `days_ahead` days after it that do not exist yet. A day that
-- already has rows in the default partition keeps them there.
create function outbox_make_partitions(days_ahead integer) returns void language plpgsql as $$
declare
    today date := (now() at time zone 'utc')::date;
    day   date;
    name  text;
begin
    for day in select today + n from generate_series(0, days_ahead) as n loop
        name := 'outbox_' || to_char(day, 'YYYYMMDD');
        if to_regclass(name) is null
           and not exists (select from outbox_default where recorded_on = day) then
            execute format('create table if not exists %I partition of outbox for values from (%L) to (%L)',
                           name, day, day + 1);
        end if;
    end loop;
end $$;

-- Drops each partition that is older than `days_kept` days and wholly published; says how many.
create function outbox_drop_partitions(days_kept integer) returns integer language plpgsql as $$
declare
    oldest_kept date := (now() at time zone 'utc')::date - days_kept;
    dropped     integer := 0;
    unpublished boolean;
    name        text;
begin
    for name in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'outbox'::regclass and c.relname ~ '^outbox_\d{8}$'
          and to_date(right(c.relname, 8), 'YYYYMMDD') < oldest_kept
    loop
        execute format('select exists (select from %I o join relay_slot s using (slot) where o.position > s.watermark)',
                       name) into unpublished;
        if not unpublished then
            execute format('drop table %I', name);
            dropped := dropped + 1;
        end if;
    end loop;
    return dropped;
end $$;

select outbox_make_partitions(3);

-- What the relay reads. A service whose event table holds the payload replaces this view.
create view outbox_record as
select slot, position, id, topic, aggregate_type, aggregate_id, version, type, payload, occurred_at,
       correlation_id, causation_id, traceparent, headers, recorded_on
from outbox;

-- How far each consumer is. `epoch` fences an owner that lost the partition; `topic_id` a log made anew.
create table consumer_position (
    epoch       bigint      not null,
    next_offset bigint      not null,
    updated_at  timestamptz not null default now(),
    partition   integer     not null,
    consumer    text        not null,
    topic       text        not null,
    topic_id    text        not null,
    primary key (consumer, topic, partition)
) with (fillfactor = 10);

-- The last version of each subject that a consumer has applied, written with the effect.
create table inbox (
    version    bigint      not null,
    updated_at timestamptz not null default now(),
    event_id   uuid        not null,
    consumer   text        not null,
    topic      text        not null,
    subject    text        not null,
    primary key (consumer, topic, subject)
) with (fillfactor = 80);

-- Records that a consumer could not handle. Later records of the subject are parked behind them.
create table dead_letter (
    record_offset bigint      not null,
    version       bigint      not null, -- 0 where the record does not say
    failed_at     timestamptz not null default now(),
    closed_at     timestamptz,          -- set when redriven or dropped
    partition     integer     not null,
    attempts      integer     not null,
    id            uuid        primary key,
    event_id      uuid,
    consumer      text        not null,
    topic         text        not null,
    subject       text        not null,
    event_type    text        not null,
    reason        text        not null,
    outcome       text        not null default 'open' check (outcome in ('open', 'redriven', 'dropped')),
    headers       jsonb       not null,
    payload       bytea,
    unique (consumer, topic, partition, record_offset)
);
create index dead_letter_open on dead_letter (failed_at) where outcome = 'open';

-- Subjects that may not move on. With a dead letter: behind it. Without: an earlier version is
-- missing and is waited for until `waits_until`.
create table parked_key (
    since          timestamptz not null default now(),
    waits_until    timestamptz,
    partition      integer     not null,
    dead_letter_id uuid        references dead_letter (id),
    consumer       text        not null,
    topic          text        not null,
    subject        text        not null,
    primary key (consumer, topic, subject),
    check ((dead_letter_id is null) <> (waits_until is null))
);
create index parked_key_waiting on parked_key (consumer, waits_until) where waits_until is not null;

-- The records of those subjects, whole, in the order of their versions.
create table parked (
    version       bigint      not null,
    record_offset bigint      not null,
    parked_at     timestamptz not null default now(),
    partition     integer     not null,
    consumer      text        not null,
    topic         text        not null,
    subject       text        not null,
    headers       jsonb       not null,
    payload       bytea,
    primary key (consumer, topic, subject, version)
);

-- A record that stands alone under suspicion is counted here before it is handled, so that a crash counts.
create table delivery_attempt (
    record_offset bigint      not null,
    counted_at    timestamptz not null default now(),
    partition     integer     not null,
    attempts      integer     not null,
    deaths        integer     not null default 0,
    in_hand       boolean     not null,
    consumer      text        not null,
    topic         text        not null,
    reason        text,                -- of the last failure
    primary key (consumer, topic, partition, record_offset)
);
