//! A service in small: a database, a topic, a relay that can be told when to work, a consumer that
//! writes down what it applied.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use brewline_kafka::{Reader, Received, Until};
use brewline_kernel::{Clock as _, Envelope, system};
use brewline_messaging::{
    Connections, ConsumerSettings, ConsumerSpec, Delivery, Error, Failure, Handler, Monitor,
    NewEvent, OPERATOR_SCHEMA, Outbox, Progress, RelaySettings, SCHEMA, TopicKind, TopicSpec,
    consume, relay,
};
use brewline_postgres as postgres;
use brewline_postgres::{Migration, Pool, Row, Transaction};
use brewline_test_support::{TestDatabase, TestTopics, eventually_within};
use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const MIGRATIONS: [Migration; 4] = [
    Migration {
        version: 1,
        name: "messaging",
        sql: SCHEMA,
    },
    Migration {
        version: 2,
        name: "effect",
        sql: "create table effect (
                  n bigint generated always as identity, subject text not null,
                  version bigint not null, instance text not null
              )",
    },
    Migration {
        version: 3,
        name: "operator",
        sql: OPERATOR_SCHEMA,
    },
    Migration {
        version: 4,
        name: "board",
        sql: "create table board (
                  subject text primary key, version bigint not null, total bigint not null,
                  written_at timestamptz not null default clock_timestamp()
              ) with (fillfactor = 50);
              create index board_by_total on board (total desc) where total > 0;",
    },
];

/// The service.
pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) topics: TestTopics,
    pub(crate) topic: &'static str,
    spec: ConsumerSpec,
}

/// A relay or a consumer that runs.
pub(crate) struct Running {
    pub(crate) shutdown: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

/// Writes each delivery into table `effect`; chokes on events of type `poison` until it is cured, and on
/// those of type `venom` always.
pub(crate) struct Recorder {
    instance: String,
    pub(crate) cured: Arc<AtomicBool>,
    /// Never ends once it has written the effect of a `poison`.
    pub(crate) hangs: Arc<AtomicBool>,
    /// The next so many batches kill their own database session.
    pub(crate) cut_connections: Arc<AtomicU32>,
}

/// Waits for a condition, longer than a busy machine takes.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFnMut() -> bool) {
    eventually_within(Duration::from_secs(40), what, condition).await;
}

// === impl World ===

impl World {
    pub(crate) async fn create(partitions: i32) -> Self {
        Self::create_of(partitions, TopicKind::Events).await
    }

    pub(crate) async fn create_of(partitions: i32, kind: TopicKind) -> Self {
        let database = TestDatabase::create(&MIGRATIONS).await;
        let topics = TestTopics::create(&["events", "events.dead-letter"], partitions).await;
        let topic: &'static str = topics.name("events").leak();
        let name: &'static str = topics.name("consumer").leak();
        let read = Vec::leak(vec![TopicSpec { name: topic, kind }]);
        let spec = ConsumerSpec { name, topics: read };
        Self {
            database,
            topics,
            topic,
            spec,
        }
    }

    pub(crate) const fn pool(&self) -> &Pool {
        self.database.pool()
    }

    pub(crate) const fn consumer(&self) -> &'static str {
        self.spec.name
    }

    pub(crate) const fn spec(&self) -> ConsumerSpec {
        self.spec
    }

    /// Sends many events straight to the topic, in their order.
    pub(crate) async fn publish_all(&self, events: &[NewEvent]) {
        let producer = self.producer();
        let mut sent = Vec::new();
        for event in events {
            let payload = event.payload.clone().unwrap_or_default();
            let mut envelope = event.envelope.clone();
            envelope.source = "test".to_owned();
            let record = brewline_messaging::cloud_events::record(event.topic, &envelope, payload);
            sent.push(producer.send(record).unwrap());
        }
        for sent in sent {
            sent.await.unwrap();
        }
    }

    pub(crate) fn event(&self, subject: &str, version: i64) -> NewEvent {
        self.event_of("noted", subject, version)
    }

    pub(crate) fn event_of(&self, event_type: &str, subject: &str, version: i64) -> NewEvent {
        NewEvent {
            topic: self.topic,
            aggregate_type: "thing",
            envelope: Envelope {
                id: Uuid::new_v4(),
                event_type: event_type.to_owned(),
                source: String::new(),
                subject: subject.to_owned(),
                version,
                time: system::SystemClock.now(),
                correlation_id: Uuid::new_v4(),
                causation_id: None,
                traceparent: None,
            },
            payload: Some(Bytes::from(format!("{subject} {version}"))),
        }
    }

    /// Appends and commits, again while the database is away.
    pub(crate) async fn write(&self, events: &[NewEvent]) {
        while let Err(error) = self.try_write(events).await {
            assert!(error.is_unavailable(), "{error}");
        }
    }

    async fn try_write(&self, events: &[NewEvent]) -> Result<(), postgres::Error> {
        let mut connection = self.pool().get().await?;
        let tx = connection.transaction().await?;
        Outbox::new(1).append(&tx, events).await?;
        tx.commit().await
    }

    /// Sends an event straight to the topic, as a relay that repeats itself would.
    pub(crate) async fn publish(&self, event: &NewEvent) {
        let payload = event.payload.clone().unwrap_or_default();
        let mut envelope = event.envelope.clone();
        envelope.source = "test".to_owned();
        let record = brewline_messaging::cloud_events::record(event.topic, &envelope, payload);
        self.producer().send(record).unwrap().await.unwrap();
    }

    pub(crate) async fn publish_one(&self, subject: &str, version: i64) {
        self.publish(&self.event(subject, version)).await;
    }

    pub(crate) fn producer(&self) -> brewline_kafka::Producer {
        brewline_kafka::Producer::new(self.topics.config(), Default::default()).unwrap()
    }

    pub(crate) fn relay(&self, instance: &str, lease: Duration) -> Running {
        let settings = RelaySettings {
            lease,
            ..RelaySettings::new("brewline/test")
        };
        let shutdown = CancellationToken::new();
        let work = relay(
            self.pool().clone(),
            self.database.config().clone(),
            self.topics.config().clone(),
            settings,
            instance.to_owned(),
            shutdown.clone(),
        );
        Running::start(shutdown, work)
    }

    pub(crate) fn consume(&self, instance: &str) -> Running {
        self.consume_with(
            instance,
            ConsumerSettings::default(),
            Recorder::new(instance),
        )
    }

    pub(crate) fn consume_with(
        &self,
        instance: &str,
        settings: ConsumerSettings,
        recorder: Recorder,
    ) -> Running {
        self.consume_watched(instance, settings, recorder, Monitor::default())
    }

    /// A consumer that an operator finds by `monitor`.
    pub(crate) fn consume_watched(
        &self,
        instance: &str,
        settings: ConsumerSettings,
        recorder: impl Handler,
        monitor: Monitor,
    ) -> Running {
        let connections = Connections {
            pool: self.pool().clone(),
            kafka: self.topics.config().clone().with_client_id(instance),
            progress: Progress::unwatched(),
            monitor,
        };
        let shutdown = CancellationToken::new();
        let work = consume(connections, self.spec, settings, recorder, shutdown.clone());
        Running::start(shutdown, work)
    }

    /// What the consumer applied, by subject, in order.
    pub(crate) async fn effects(&self) -> BTreeMap<String, Vec<i64>> {
        let mut effects: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for row in self
            .rows("select subject, version from effect order by n")
            .await
        {
            effects.entry(row.get(0)).or_default().push(row.get(1));
        }
        effects
    }

    pub(crate) async fn applied(&self) -> usize {
        self.effects().await.values().map(Vec::len).sum()
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        self.rows(sql).await[0].get(0)
    }

    /// Asks again when a session that a test has cut is met.
    async fn rows(&self, sql: &'static str) -> Vec<Row> {
        loop {
            match self.try_rows(sql).await {
                Ok(rows) => return rows,
                Err(error) => assert!(error.is_unavailable(), "{error}"),
            }
        }
    }

    async fn try_rows(&self, sql: &'static str) -> Result<Vec<Row>, postgres::Error> {
        self.pool().get().await?.query(sql, &[]).await
    }

    pub(crate) async fn watermark(&self) -> i64 {
        self.number("select watermark from relay_slot where slot = 0")
            .await
    }

    /// Everything in a topic, in the order of each partition.
    pub(crate) async fn log_of(&self, topic: &str) -> Vec<Received> {
        let from = BTreeMap::new();
        let reader = Reader::open(self.topics.config(), &[topic], from, Until::End).await;
        reader.unwrap().collect().await.unwrap()
    }

    pub(crate) async fn log(&self) -> Vec<Received> {
        self.log_of(self.topic).await
    }

    /// Subject and version of everything in the topic.
    pub(crate) async fn published(&self) -> Vec<(String, i64)> {
        let log = self.log().await;
        log.iter().map(subject_and_version).collect()
    }
}

pub(crate) fn subject_and_version(record: &Received) -> (String, i64) {
    let envelope = brewline_messaging::cloud_events::envelope(record).unwrap();
    (envelope.subject, envelope.version)
}

// === impl Running ===

impl Running {
    fn start(
        shutdown: CancellationToken,
        work: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Self {
        #[allow(clippy::disallowed_methods, reason = "a test has no task tracker")]
        let task = tokio::spawn(work);
        Self { shutdown, task }
    }

    /// Ends as on SIGTERM.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        self.shutdown.cancel();
        self.task.await.unwrap()
    }

    /// Ends as on SIGKILL: nothing is drained, given back or told.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    /// Waits for it to give up by itself.
    pub(crate) async fn end(self) -> Result<(), Error> {
        let ended = tokio::time::timeout(Duration::from_secs(30), self.task).await;
        ended.expect("it goes on").unwrap()
    }
}

// === impl Recorder ===

impl Recorder {
    pub(crate) fn new(instance: &str) -> Self {
        Self {
            instance: instance.to_owned(),
            cured: Arc::default(),
            hangs: Arc::default(),
            cut_connections: Arc::default(),
        }
    }
}

impl Handler for Recorder {
    type Effect = ();

    async fn handle(&self, tx: &Transaction<'_>, batch: &[Delivery]) -> Result<(), Failure> {
        let cuts = &self.cut_connections;
        let cut = |left: u32| left.checked_sub(1);
        if cuts
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, cut)
            .is_ok()
        {
            tx.execute("select pg_terminate_backend(pg_backend_pid())", &[])
                .await?;
        }
        for delivery in batch {
            let envelope = &delivery.envelope;
            let is_poison = envelope.event_type == "poison";
            if envelope.event_type == "venom" || is_poison && !self.cured.load(Ordering::SeqCst) {
                return Err(Failure::poison("it tastes bitter"));
            }
            let sql = "insert into effect (subject, version, instance) values ($1, $2, $3)";
            tx.execute(sql, &[&envelope.subject, &envelope.version, &self.instance])
                .await?;
            if is_poison && self.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
        }
        Ok(())
    }

    fn committed(&self, (): ()) {}
}
