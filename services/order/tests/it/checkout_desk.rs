//! One test's own order database, payment service, and as many instances of the checkout as it wants.

use std::time::Duration;

use brewline_kernel::{Envelope, Money, OrderId};
use brewline_messaging::{Delivery, Handler as _, Outbox};
use brewline_order::Parts;
use brewline_order::app::checkout::{self, Settings};
use brewline_order::inbound::stock_consumer::{self, StockConsumer};
use brewline_order::outbound::payments_client::PaymentsClient;
use brewline_order::outbound::saga_store::{self, Card, CardToken, LogLine, NewSaga, Summary};
use brewline_order::outbound::store::{Cause, Change};
use brewline_order_domain::order::{Line, OrderEvent, Placement, ProductKind};
use brewline_proto::fulfilment::v1::{TicketsWithdrawn, WithdrawalReason};
use brewline_server::Context;
use brewline_test_support::{TestDatabase, eventually};
use prost::Message as _;
use tonic::transport::Channel;

use crate::checkout_payments::Payments;
use crate::shop::{hear_barista, of_barista};

pub(crate) struct Desk {
    pub(crate) parts: Parts,
    pub(crate) payments: Payments,
    pub(crate) settings: Settings,
    url: String,
    consumer: StockConsumer,
    _database: TestDatabase,
}

// === impl Desk ===

impl Desk {
    /// With quick timers and calls, and nothing running yet.
    pub(crate) async fn open() -> Self {
        let mut settings = Settings {
            call_timeout: Duration::from_millis(500),
            ..Settings::default()
        };
        settings.timers.interval = Duration::from_millis(10);
        Self::with(settings).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let database = TestDatabase::create(brewline_order::MIGRATIONS).await;
        let parts = Parts::new(database.pool().clone(), Outbox::new(1), &settings);
        let payments = Payments::default();
        let url = payments.serve();
        let consumer = StockConsumer::new(parts.checkouts.clone());
        Self {
            parts,
            payments,
            settings,
            url,
            consumer,
            _database: database,
        }
    }

    /// Starts what moves checkouts. Several may run at once. They end with the context's shutdown.
    pub(crate) fn run(&self) -> Context {
        let context = Context::new("order", "order-test");
        let payments = PaymentsClient::new(self.channel(), self.settings.call_timeout);
        let Parts {
            pool, checkouts, ..
        } = &self.parts;
        checkout::start(&context, &self.settings, pool, checkouts, payments);
        context
    }

    /// An instance of its own: what another process of the service would be.
    pub(crate) fn run_another(&self) -> Context {
        let context = Context::new("order", "order-other");
        let payments = PaymentsClient::new(self.channel(), self.settings.call_timeout);
        let parts = Parts::new(self.parts.pool.clone(), Outbox::new(1), &self.settings);
        checkout::start(
            &context,
            &self.settings,
            &parts.pool,
            &parts.checkouts,
            payments,
        );
        context
    }

    fn channel(&self) -> Channel {
        Channel::from_shared(self.url.clone())
            .unwrap()
            .connect_lazy()
    }

    /// Places an order, as the use case does.
    pub(crate) async fn place(&self) -> OrderId {
        let order_id = OrderId::new(self.parts.ids.next());
        let placement = placement(order_id);
        let saga = NewSaga {
            order_id,
            card: Card {
                token: CardToken::new("tok_ok_1".to_owned()),
                amount: placement.total,
                customer_id: placement.customer_id.clone(),
            },
            traceparent: None,
        };
        let at = self.parts.clock.now();
        let placed = vec![OrderEvent::Placed { placement, at }];
        let change = Change::new(None, placed, Cause::request(order_id, None));
        let mut connection = self.parts.pool.get().await.unwrap();
        let tx = connection.transaction().await.unwrap();
        self.parts.checkouts.begin(&tx, &[saga]).await.unwrap();
        self.parts.store.append(&tx, vec![change]).await.unwrap();
        tx.commit().await.unwrap();
        order_id
    }

    /// Inventory tells something.
    pub(crate) async fn stock(&self, order_id: OrderId, name: &str) {
        self.tell(order_id, name, Handover::Done).await;
    }

    /// Inventory tells something, and the process dies right after the commit.
    pub(crate) async fn stock_then_crash(&self, order_id: OrderId, name: &str) {
        self.tell(order_id, name, Handover::Lost).await;
    }

    async fn tell(&self, order_id: OrderId, name: &str, handover: Handover) {
        let batch = [delivery(order_id, name, self.parts.ids.next())];
        let mut connection = self.parts.pool.get().await.unwrap();
        let tx = connection.transaction().await.unwrap();
        let moved = self.consumer.handle(&tx, &batch).await.unwrap();
        tx.commit().await.unwrap();
        if handover == Handover::Done {
            self.consumer.committed(moved);
        }
    }

    pub(crate) async fn cancel(&self, order_id: OrderId) {
        let cancelled = brewline_order::app::cancel_order::cancel(&self.parts, order_id, "why not");
        cancelled.await.unwrap();
    }

    /// The barista gives an order back that is to be cancelled.
    pub(crate) async fn barista_withdraws(&self, order_id: OrderId) {
        let id = order_id.to_string();
        let body = TicketsWithdrawn {
            order_id: id.clone(),
            reason: WithdrawalReason::Customer.into(),
            ..TicketsWithdrawn::default()
        };
        let withdrawn = of_barista("TicketsWithdrawn", &id, 2, &body);
        hear_barista(&self.parts, &[withdrawn]).await.unwrap();
    }

    pub(crate) async fn saga(&self, order_id: OrderId) -> (Summary, Vec<LogLine>) {
        let connection = self.parts.pool.get().await.unwrap();
        saga_store::get(&connection, order_id)
            .await
            .unwrap()
            .unwrap()
    }

    /// Waits until the saga stands in `state`, and answers the states its log went through.
    pub(crate) async fn reaches(&self, order_id: OrderId, state: &str) -> Vec<String> {
        eventually(&format!("the saga is {state}"), async || {
            self.saga(order_id).await.0.state == state
        })
        .await;
        let (_, log) = self.saga(order_id).await;
        assert!(
            log.iter().zip(1..).all(|(line, n)| line.sequence == n),
            "no gap in the log"
        );
        assert!(
            log.windows(2)
                .all(|pair| pair[0].to_state == pair[1].from_state),
            "the log is a path: {log:?}"
        );
        let mut states: Vec<String> = log.into_iter().map(|line| line.to_state).collect();
        states.dedup();
        states
    }

    /// One value of the saga's row.
    pub(crate) async fn column(&self, order_id: OrderId, sql: &'static str) -> String {
        let connection = self.parts.pool.get().await.unwrap();
        let row = connection
            .query_one(sql, &[&order_id.as_uuid()])
            .await
            .unwrap();
        row.get(0)
    }

    pub(crate) async fn payment_status(&self, order_id: OrderId) -> String {
        let sql = "select payment_status from saga where saga_id = $1";
        self.column(order_id, sql).await
    }

    pub(crate) async fn token(&self, order_id: OrderId) -> String {
        self.column(order_id, "select token from saga where saga_id = $1")
            .await
    }

    /// The names of the order's events.
    pub(crate) async fn told(&self, order_id: OrderId) -> Vec<String> {
        let sql = "select type from order_event where order_id = $1 order by version";
        let connection = self.parts.pool.get().await.unwrap();
        let rows = connection.query(sql, &[&order_id.as_uuid()]).await.unwrap();
        let name = |row: &brewline_postgres::Row| {
            row.get::<_, &str>(0).rsplit('.').next().unwrap().to_owned()
        };
        rows.iter().map(name).collect()
    }

    pub(crate) async fn rejection(&self, order_id: OrderId) -> String {
        self.column(
            order_id,
            "select rejection_code from orders where order_id = $1",
        )
        .await
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Handover {
    Done,
    Lost,
}

fn placement(order_id: OrderId) -> Placement {
    let price = Money::new(350, "EUR".parse().unwrap());
    Placement {
        order_id,
        store_id: "store-lisbon".parse().unwrap(),
        customer_id: "customer-demo".parse().unwrap(),
        lines: vec![Line {
            product_id: "cortado".parse().unwrap(),
            name: "Cortado".to_owned(),
            kind: ProductKind::Drink,
            method: "espresso".to_owned(),
            origin: String::new(),
            unit_price: price,
            quantity: 2,
        }],
        total: price.times(2).unwrap(),
    }
}

fn delivery(order_id: OrderId, name: &str, id: uuid::Uuid) -> Delivery {
    use brewline_proto::inventory::v1 as wire;
    let payload = match name {
        "StockRejected" => wire::StockRejected {
            order_id: order_id.to_string(),
            store_id: "store-lisbon".to_owned(),
            shortages: vec![wire::Shortage {
                product_id: "cortado".to_owned(),
                requested: 2,
                available: 1,
            }],
        }
        .encode_to_vec(),
        _ => Vec::new(),
    };
    Delivery {
        topic: stock_consumer::TOPIC.into(),
        partition: 0,
        offset: 0,
        envelope: Envelope {
            id,
            event_type: format!("brewline.inventory.v1.{name}"),
            source: "brewline/inventory".to_owned(),
            subject: order_id.to_string(),
            version: 1,
            time: brewline_kernel::Timestamp::EPOCH,
            correlation_id: order_id.as_uuid(),
            causation_id: None,
            traceparent: None,
        },
        payload: payload.into(),
    }
}
