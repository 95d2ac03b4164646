//! A post office of one test's own: a database, the service's parts over it, and a mailbox.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use brewline_kernel::system::{SystemClock, SystemIds};
use brewline_kernel::{Clock, Envelope, IdGenerator};
use brewline_messaging::{Delivery, Failure, Handler, Monitor, Outbox};
use brewline_notification::app::meet_customers::MeetCustomers;
use brewline_notification::app::send_mails::SendMails;
use brewline_notification::inbound::customer_consumer::CustomerEvents;
use brewline_notification::inbound::grpc::NotificationGrpc;
use brewline_notification::inbound::order_consumer::{OrderEvents, Wake};
use brewline_notification::outbound::mailer::{MailSettings, Mailer};
use brewline_postgres::{Pool, Row};
use brewline_proto::customer::v1::CustomerChanged;
use brewline_proto::order::v1 as order;
use brewline_server::Context;
use brewline_test_support::{TestDatabase, eventually};
use prost::Message;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) struct Post {
    pub(crate) pool: Pool,
    pub(crate) world: Outside,
    pub(crate) grpc: NotificationGrpc,
    pub(crate) orders: OrderEvents,
    pub(crate) customers: CustomerEvents,
    pub(crate) wake: Wake,
    pub(crate) database: TestDatabase,
}

/// The outside world, in this process.
pub(crate) struct Outside {
    pub(crate) smtp: SocketAddr,
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
    context: Context,
    folder: PathBuf,
}

/// A worker, until it is told to stop or killed.
pub(crate) struct Worker {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

// === impl Post ===

impl Post {
    pub(crate) async fn open() -> Self {
        let database = TestDatabase::create(brewline_notification::MIGRATIONS).await;
        let (pool, wake) = (database.pool().clone(), Wake::default());
        Self {
            grpc: NotificationGrpc {
                pool: pool.clone(),
                monitor: Monitor::default(),
                calls: Arc::clone(&wake.calls),
                allow_private: true,
                secret_overlap: Duration::from_secs(3_600),
            },
            orders: order_events(&wake),
            customers: customer_events(&wake),
            world: Outside::open().await,
            wake,
            pool,
            database,
        }
    }

    /// With a worker that sends mails, and this customer.
    pub(crate) async fn with(customer: &str) -> (Self, Worker) {
        let post = Self::open().await;
        post.customer(customer).await;
        let worker = post.send_mails(|_| ());
        (post, worker)
    }

    pub(crate) fn send_mails(&self, change: impl FnOnce(&mut MailSettings)) -> Worker {
        let mut settings = MailSettings {
            server: format!("smtp://{}", self.world.smtp).parse().unwrap(),
            from: "shop@brewline.example".parse().unwrap(),
            connections_max: 8,
            per_second_max: 1_000,
            timeout: Duration::from_secs(2),
        };
        change(&mut settings);
        let mails = SendMails {
            pool: self.pool.clone(),
            outbox: Outbox::new(1),
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            mailer: Arc::new(Mailer::new(settings.clone())),
            settings,
            wake: Arc::clone(&self.wake.mails),
        };
        Worker::start(|stop| mails.run(stop))
    }

    /// One look after messages that wait for their customers.
    pub(crate) async fn meet(&self) {
        let meet = MeetCustomers {
            pool: self.pool.clone(),
            outbox: Outbox::new(1),
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            mails: Arc::clone(&self.wake.mails),
        };
        meet.look().await.unwrap();
    }

    /// Hands a batch to a handler, as the message core does: one transaction.
    async fn hand<H: Handler>(&self, handler: &H, batch: &[Delivery]) -> Result<(), Failure> {
        let mut connection = self.pool.get().await.unwrap();
        let tx = connection.transaction().await.unwrap();
        let effect = handler.handle(&tx, batch).await?;
        tx.commit().await.unwrap();
        handler.committed(effect);
        Ok(())
    }

    pub(crate) async fn deliver(&self, batch: &[Delivery]) {
        self.hand(&self.orders, batch).await.unwrap();
    }

    pub(crate) async fn deliver_customers(&self, batch: &[Delivery]) {
        self.hand(&self.customers, batch).await.unwrap();
    }

    /// Handlers of one's own, for a consumer.
    pub(crate) fn order_events(&self) -> OrderEvents {
        order_events(&self.wake)
    }

    pub(crate) fn customer_events(&self) -> CustomerEvents {
        customer_events(&self.wake)
    }

    /// A customer of this id, at `<id>@example.com`.
    pub(crate) async fn customer(&self, id: &str) {
        self.deliver_customers(&[changed(id)]).await;
    }

    pub(crate) async fn erase(&self, id: &str) {
        self.deliver_customers(&[erased(id)]).await;
    }

    pub(crate) async fn rows(&self, sql: &'static str) -> Vec<Row> {
        let connection = self.pool.get().await.unwrap();
        connection.query(sql, &[]).await.unwrap()
    }

    pub(crate) async fn run(&self, sql: &str) {
        let connection = self.pool.get().await.unwrap();
        connection.batch_execute(sql).await.unwrap();
    }

    /// The state of each delivery about an order, by kind.
    pub(crate) async fn states(&self, order: &Order) -> Vec<(String, String)> {
        let sql = "select kind, state from delivery where order_id = $1 order by kind";
        let connection = self.pool.get().await.unwrap();
        let rows = connection.query(sql, &[&order.id]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    pub(crate) async fn until_state(&self, order: &Order, state: &str) {
        eventually(&format!("the delivery is {state}"), async || {
            let states = self.states(order).await;
            !states.is_empty() && states.iter().all(|(_, found)| found == state)
        })
        .await;
    }

    /// The types of the events about deliveries, in order.
    pub(crate) async fn told(&self) -> Vec<String> {
        let sql = "select type from outbox order by position";
        let short = |row: &Row| {
            let name: String = row.get(0);
            name.rsplit('.').next().unwrap().to_owned()
        };
        self.rows(sql).await.iter().map(short).collect()
    }
}

fn order_events(wake: &Wake) -> OrderEvents {
    OrderEvents {
        outbox: Outbox::new(1),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        customer_wait: Duration::from_secs(60),
        wake: wake.clone(),
    }
}

fn customer_events(wake: &Wake) -> CustomerEvents {
    CustomerEvents {
        outbox: Outbox::new(1),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        wake: wake.clone(),
    }
}

/// The event of a customer who is there from now on.
pub(crate) fn changed(id: &str) -> Delivery {
    customer_event(&CustomerChanged {
        customer_id: id.to_owned(),
        name: "Ana".to_owned(),
        email: address(id),
        locale: "en".to_owned(),
        show_name: true,
        erased: false,
    })
}

/// The event of a customer who is erased.
pub(crate) fn erased(id: &str) -> Delivery {
    customer_event(&CustomerChanged {
        customer_id: id.to_owned(),
        erased: true,
        ..Default::default()
    })
}

fn customer_event(message: &CustomerChanged) -> Delivery {
    let topic = "brewline.customer.events.v1";
    let name = "brewline.customer.v1.CustomerChanged";
    delivery(topic, &message.customer_id, name, 1, message)
}

// === impl Worker ===

impl Worker {
    pub(crate) fn start<F: Future<Output = ()> + Send + 'static>(
        run: impl FnOnce(CancellationToken) -> F,
    ) -> Self {
        let stop = CancellationToken::new();
        let work = run(stop.clone());
        #[allow(clippy::disallowed_methods, reason = "a test ends with its tasks")]
        let task = tokio::spawn(work);
        Self { task, stop }
    }

    /// Ends it at whatever line it is, as SIGKILL would.
    pub(crate) async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
    }

    /// Whether it has ended by itself.
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

// === impl Outside ===

impl Outside {
    async fn open() -> Self {
        let folder = std::env::temp_dir().join(format!("brewline-post-{}", Uuid::new_v4()));
        let (smtp, http) = (free_address(), free_address());
        let config = brewline_sandbox::Config {
            listen: http,
            control_listen: None,
            smtp_listen: Some(smtp),
            data_dir: folder.clone(),
            key_lifetime: Duration::from_secs(60),
        };
        let context = Context::new("sandbox", "sandbox-test");
        brewline_sandbox::run(config, context.clone())
            .await
            .unwrap();
        let client = reqwest::Client::new();
        Self {
            smtp,
            url: format!("http://{http}"),
            client,
            context,
            folder,
        }
    }

    pub(crate) async fn lines(&self, path: &str) -> Vec<Value> {
        let url = format!("{}{path}", self.url);
        let text = self.client.get(url).send().await.unwrap().text().await;
        let lines = text.unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The Message-IDs in a customer's mailbox.
    pub(crate) async fn mails(&self, customer: &str) -> Vec<String> {
        let path = format!("/mailbox?to={}", address(customer));
        let id = |mail: &Value| mail["messageId"].as_str().unwrap().to_owned();
        self.lines(&path).await.iter().map(id).collect()
    }

    pub(crate) async fn tell(&self, part: &str, body: Value) {
        let url = format!("{}/behaviour/{part}", self.url);
        let told = self.client.put(url).body(body.to_string()).send().await;
        assert!(told.unwrap().status().is_success());
    }

    pub(crate) async fn behave(&self) {
        let url = format!("{}/behaviour", self.url);
        let told = self.client.delete(url).send().await;
        assert!(told.unwrap().status().is_success());
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.context.shutdown().cancel();
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

pub(crate) fn address(customer: &str) -> String {
    format!("{customer}@example.com")
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// An order as its events come in.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) id: Uuid,
    customer: String,
}

// === impl Order ===

impl Order {
    pub(crate) fn of(customer: &str) -> Self {
        Self {
            id: SystemIds.next(),
            customer: customer.to_owned(),
        }
    }

    pub(crate) fn message_id(&self, kind: &str) -> String {
        format!("<{}.{kind}@brewline>", self.id)
    }

    pub(crate) fn placed(&self) -> Delivery {
        let message = order::OrderPlaced {
            order_id: self.id.to_string(),
            store_id: "store-lisbon".to_owned(),
            customer_id: self.customer.clone(),
            ..Default::default()
        };
        self.event("OrderPlaced", 1, &message)
    }

    pub(crate) fn confirmed(&self) -> Delivery {
        let message = order::OrderConfirmed {
            order_id: self.id.to_string(),
            store_id: "store-lisbon".to_owned(),
            customer_id: self.customer.clone(),
            ..Default::default()
        };
        self.event("OrderConfirmed", 2, &message)
    }

    pub(crate) fn ready(&self) -> Delivery {
        let message = order::OrderReady {
            order_id: self.id.to_string(),
            store_id: "store-lisbon".to_owned(),
            customer_id: self.customer.clone(),
        };
        self.event("OrderReady", 3, &message)
    }

    pub(crate) fn collected(&self) -> Delivery {
        let message = order::OrderCollected {
            order_id: self.id.to_string(),
            store_id: "store-lisbon".to_owned(),
            customer_id: self.customer.clone(),
        };
        self.event("OrderCollected", 4, &message)
    }

    fn event(&self, name: &str, version: i64, message: &impl Message) -> Delivery {
        let topic = "brewline.order.events.v1";
        let name = format!("brewline.order.v1.{name}");
        delivery(topic, &self.id.to_string(), &name, version, message)
    }
}

fn delivery(
    topic: &str,
    subject: &str,
    name: &str,
    version: i64,
    message: &impl Message,
) -> Delivery {
    Delivery {
        topic: topic.into(),
        partition: 0,
        offset: 0,
        envelope: Envelope {
            id: SystemIds.next(),
            event_type: name.to_owned(),
            source: "brewline/order".to_owned(),
            subject: subject.to_owned(),
            version,
            time: SystemClock.now(),
            correlation_id: SystemIds.next(),
            causation_id: None,
            traceparent: None,
        },
        payload: message.encode_to_vec().into(),
    }
}
