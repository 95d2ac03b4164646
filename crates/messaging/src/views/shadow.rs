//! The shadow: a schema with empty copies of tables, and the SQL around it.
//!
//! Names of tables and schemas come from [`View`]s, which are written in programs: none comes from outside.

use brewline_kafka::{Received, TopicPartition};
use brewline_kernel::{Clock as _, system::SystemClock};
use brewline_postgres as postgres;
use brewline_postgres::{Pool, ToSql, Transaction};
use uuid::Uuid;

use super::View;
use super::source::Offsets;
use crate::consumer::core::Item;
use crate::consumer::delivery;
use crate::consumer::plan::plan;
use crate::consumer::store::Store;
use crate::inbox::Judge;
use crate::{ConsumerSettings, Delivery, Failure, TopicKind};

/// The tables of the message core that the shadow has copies of.
const OWN: [&str; 3] = ["inbox", "parked_key", "parked"];

const OWNER: &str = "select from rebuild_owner where token = $1 for share";

const LIVE_POSITIONS: &str = "
    select topic, partition, next_offset from consumer_position
    where consumer = $1 and topic = any ($2::text[])
    order by topic, partition
    for update";

const LIVE_HELD: &str = "
    select count(*) from public.parked_key where consumer = $1 and topic = any ($2::text[])";

const PUBLISHED: &str = "
    select not exists (
        select from outbox o join relay_slot s using (slot)
        where o.position > s.watermark and o.topic = any ($1::text[])
    )";

const DROPPED: &str = "
    select exists (
        select from dead_letter
        where consumer = $1 and topic = $2 and partition = $3 and record_offset = $4
          and outcome = 'dropped'
    ),
    exists (select from consumer_position where consumer = $1)";

/// A shadow of a view, and who is at work in it.
#[derive(Clone, Debug)]
pub(super) struct Shadow {
    pub(super) view: View,
    pub(super) pool: Pool,
    token: Uuid,
    settings: ConsumerSettings,
}

/// Why the live view is made to stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// To take a snapshot.
    ToCompare,
    /// To put the new tables into its place.
    ToSwitch,
}

/// What a batch has come to.
#[derive(Debug)]
pub(super) enum Applied {
    /// So many events had their effect.
    Events(i64),
    /// The schema is no longer ours: another rebuild has begun.
    TakenOver,
    /// This record cannot be handled.
    Poison(String),
}

// === impl Shadow ===

impl Shadow {
    /// Makes the schema with empty tables, in the place of one that a dead rebuild left.
    pub(super) async fn make(view: &View, pool: &Pool) -> Result<Self, postgres::Error> {
        let shadow = Self {
            view: view.clone(),
            pool: pool.clone(),
            token: Uuid::new_v4(),
            settings: ConsumerSettings::default(),
        };
        let mut connection = pool.get().await?;
        let tx = connection.transaction().await?;
        tx.batch_execute(&shadow.schema_sql()).await?;
        tx.commit().await?;
        Ok(shadow)
    }

    /// Drops it, unless another rebuild has taken its place.
    pub(super) async fn drop(&self) -> Result<(), postgres::Error> {
        let mut connection = self.pool.get().await?;
        let tx = connection.transaction().await?;
        if self.is_ours(&tx).await? {
            let schema = self.schema();
            tx.batch_execute(&format!("drop schema {schema} cascade"))
                .await?;
        }
        tx.commit().await
    }

    pub(super) fn schema(&self) -> String {
        format!("rebuild_{}", self.view.name)
    }

    /// Directs `tx` to the shadow: names of its tables mean the copies, all others the live ones.
    pub(super) async fn enter(&self, tx: &Transaction<'_>) -> Result<(), postgres::Error> {
        let schema = self.schema();
        tx.batch_execute(&format!("set local search_path to {schema}, public"))
            .await
    }

    /// Whether the schema is still the one we made.
    pub(super) async fn is_ours(&self, tx: &Transaction<'_>) -> Result<bool, postgres::Error> {
        self.enter(tx).await?;
        match tx.query_opt(OWNER, &[&self.token]).await {
            Ok(row) => Ok(row.is_some()),
            // Dropped, and not made anew: the transaction is of no use, which is all the same.
            Err(error) if error.code() == Some("42P01") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Where the live consumer is; it stands still until `tx` ends.
    pub(super) async fn stop_live(&self, tx: &Transaction<'_>) -> Result<Offsets, postgres::Error> {
        let topics = self.topics();
        let consumer = self.view.consumer.name;
        let rows = tx.query(LIVE_POSITIONS, &[&consumer, &topics]).await?;
        rows.iter()
            .map(|row| {
                let place = TopicPartition::new(row.try_get::<_, &str>(0)?, row.try_get(1)?);
                Ok((place, row.try_get(2)?))
            })
            .collect()
    }

    /// Keeps writers of the view's tables out until `tx` ends, and readers too when it is to be switched:
    /// a lock that is made stronger later could meet a reader that wants to write.
    pub(super) async fn lock_tables(
        &self,
        tx: &Transaction<'_>,
        why: Stop,
    ) -> Result<(), postgres::Error> {
        let mode = match why {
            Stop::ToCompare => "exclusive",
            Stop::ToSwitch => "access exclusive",
        };
        let tables: Vec<String> = self
            .view
            .tables
            .iter()
            .map(|table| format!("public.{}", table.name))
            .collect();
        let tables = tables.join(", ");
        tx.batch_execute(&format!("lock table {tables} in {mode} mode"))
            .await
    }

    /// Whether everything that was committed for the view's topics is in the log.
    pub(super) async fn is_published(&self, tx: &Transaction<'_>) -> Result<bool, postgres::Error> {
        let row = tx.query_one(PUBLISHED, &[&self.topics()]).await?;
        Ok(row.try_get(0)?)
    }

    /// How many keys of the live consumer are held back.
    pub(super) async fn held_back(&self, tx: &Transaction<'_>) -> Result<i64, postgres::Error> {
        let topics = self.topics();
        let consumer = self.view.consumer.name;
        let row = tx.query_one(LIVE_HELD, &[&consumer, &topics]).await?;
        Ok(row.try_get(0)?)
    }

    /// Applies records; one that fails is looked for among them, and passed over where it may be.
    pub(super) async fn apply(&self, records: Vec<Received>) -> Result<Applied, Failure> {
        match self.try_apply(&records).await {
            Err(failure) if !failure.is_passing() => {}
            done => return done,
        }
        let mut events = 0_i64;
        for record in records {
            match self.try_apply(std::slice::from_ref(&record)).await {
                Ok(Applied::Events(more)) => events = events.saturating_add(more),
                Ok(other) => return Ok(other),
                Err(failure) if failure.is_passing() => return Err(failure),
                Err(_) if self.may_pass_over(&record).await? => {}
                Err(failure) => {
                    let (topic, partition, offset) =
                        (&record.topic, record.partition, record.offset);
                    let why = format!("{topic}/{partition}/{offset} cannot be handled: {failure}");
                    return Ok(Applied::Poison(why));
                }
            }
        }
        Ok(Applied::Events(events))
    }

    async fn try_apply(&self, records: &[Received]) -> Result<Applied, Failure> {
        let decoded: Result<Vec<Delivery>, _> = records.iter().map(delivery).collect();
        let deliveries = decoded.map_err(|malformed| Failure::poison(malformed.to_string()))?;
        let mut connection = self.pool.get().await?;
        let tx = connection.transaction().await?;
        if !self.is_ours(&tx).await? {
            return Ok(Applied::TakenOver);
        }
        let store = Store {
            pool: self.pool.clone(),
            consumer: self.view.consumer.name,
        };
        let stored = store.stored(&tx, &deliveries).await?;
        let now = SystemClock.now();
        let judge = |topic: &str| {
            let kind = self.view.consumer.kind(topic).unwrap_or(TopicKind::Events);
            Judge::new(kind, now, self.settings.inbox_memory)
        };
        let plan = plan(deliveries, stored, judge);
        if !plan.fresh.is_empty() {
            self.view.projection.apply(&tx, &plan.fresh).await?;
        }
        let gap_wait = self.settings.gap_wait;
        store.write(&tx, &plan, &items(records), gap_wait).await?;
        tx.commit().await?;
        let events = i64::try_from(plan.fresh.len()).unwrap_or(i64::MAX);
        Ok(Applied::Events(events))
    }

    /// Whether a record that fails has no place in the view: the live consumer has dropped it; or it is no
    /// event at all, and there is no consumer (the view is written along with its events), whose dead
    /// letter an operator could drop.
    async fn may_pass_over(&self, record: &Received) -> Result<bool, postgres::Error> {
        let params: [&(dyn ToSql + Sync); 4] = [
            &self.view.consumer.name,
            &&*record.topic,
            &record.partition,
            &record.offset,
        ];
        let connection = self.pool.get().await?;
        let row = connection.query_one(DROPPED, &params).await?;
        let (is_dropped, is_consumed) = (row.try_get::<_, bool>(0)?, row.try_get::<_, bool>(1)?);
        let Err(malformed) = delivery(record) else {
            return Ok(is_dropped);
        };
        if !is_dropped && !is_consumed {
            let (topic, partition, offset) = (&*record.topic, record.partition, record.offset);
            tracing::warn!(view = self.view.name, topic, partition, offset, %malformed, "a record that is no event is left out");
        }
        Ok(is_dropped || !is_consumed)
    }

    /// Puts the new tables into the place of the live ones, which are dropped, and the schema with them.
    pub(super) async fn switch(&self, tx: &Transaction<'_>) -> Result<(), postgres::Error> {
        self.enter(tx).await?;
        let schema = self.schema();
        let mut sql = format!("{};", self.view.adopt);
        for table in self.view.tables {
            let name = table.name;
            sql.push_str(&format!(
                "drop table public.{name}; alter table {schema}.{name} set schema public;"
            ));
        }
        sql.push_str(&format!("drop schema {schema} cascade"));
        tx.batch_execute(&sql).await
    }

    pub(super) fn topics(&self) -> Vec<&'static str> {
        let topics = self.view.consumer.topics.iter();
        topics.map(|topic| topic.name).collect()
    }

    fn schema_sql(&self) -> String {
        let schema = self.schema();
        let beside = self.view.beside.iter().copied();
        let tables = self.view.tables.iter().map(|table| table.name);
        let tables = tables.chain(beside).chain(OWN);
        let names: Vec<String> = tables.map(|name| format!("'{name}'")).collect();
        let (names, token, seed) = (names.join(", "), self.token, self.view.seed);
        // Indexes get the names they have: a later migration may name one. Foreign keys are left out.
        format!(
            "drop schema if exists {schema} cascade;
             create schema {schema};
             create table {schema}.rebuild_owner (token uuid not null);
             insert into {schema}.rebuild_owner values ('{token}');
             do $make$
             declare
                 name text;
                 made record;
             begin
                 foreach name in array array[{names}] loop
                     execute format('create table {schema}.%I (like public.%I including all excluding indexes)',
                                    name, name);
                     for made in
                         select conname, pg_get_constraintdef(oid) as def from pg_constraint
                         where conrelid = format('public.%I', name)::regclass and contype in ('p', 'u', 'x')
                     loop
                         execute format('alter table {schema}.%I add constraint %I %s',
                                        name, made.conname, made.def);
                     end loop;
                     for made in
                         select pg_get_indexdef(i.indexrelid) as def from pg_index i
                         where i.indrelid = format('public.%I', name)::regclass
                           and not exists (select from pg_constraint c where c.conindid = i.indexrelid)
                     loop
                         execute replace(made.def, ' ON public.', ' ON {schema}.');
                     end loop;
                     for made in
                         select array_to_string(reloptions, ', ') as def from pg_class
                         where oid = format('public.%I', name)::regclass and reloptions is not null
                     loop
                         execute format('alter table {schema}.%I set (%s)', name, made.def);
                     end loop;
                 end loop;
             end $make$;
             set local search_path to {schema}, public;
             {seed}"
        )
    }
}

fn items(records: &[Received]) -> Vec<Item<Received>> {
    let item = |record: &Received| Item {
        offset: record.offset,
        bytes: record.bytes(),
        record: record.clone(),
    };
    records.iter().map(item).collect()
}
