//! A shop with a database of its own: two stores, some products, one customer.

use std::time::Duration;

use brewline_kernel::Envelope;
use brewline_messaging::{Delivery, Failure, Handler as _, Monitor, Outbox};
use brewline_order::app::checkout::{self, Happening};
use brewline_order::app::hear_barista::HearBarista;
use brewline_order::app::place_order::{AdmissionLimits, PlaceOrders};
use brewline_order::app::watch_order::Watchers;
use brewline_order::config::PlaceLimits;
use brewline_order::inbound::catalogue_consumer::{self, CatalogueConsumer};
use brewline_order::inbound::customer_grpc::CustomerGrpc;
use brewline_order::inbound::grpc::OrderGrpc;
use brewline_order::inbound::tickets_consumer::{self, TicketsConsumer};
use brewline_order::{MIGRATIONS, Parts};
use brewline_order_domain::checkout::{CheckoutEvent, Effect, Outcome};
use brewline_postgres::Pool;
use brewline_proto::catalogue::v1 as catalogue;
use brewline_proto::customer::v1::customer_service_server::CustomerService as _;
use brewline_proto::customer::v1::{
    CreateCustomerRequest, CreateCustomerResponse, Customer, GetCustomerRequest,
};
use brewline_proto::money::v1::Money;
use brewline_proto::order::v1 as wire;
use brewline_test_support::TestDatabase;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};
use uuid::Uuid;
use wire::order_service_server::OrderService as _;

pub(crate) const STORE: &str = "store-lisbon";
pub(crate) const CUSTOMER: &str = "customer-demo";

/// A service without its loops.
pub(crate) struct Shop {
    pub(crate) database: TestDatabase,
    pub(crate) parts: Parts,
    pub(crate) orders: OrderGrpc,
    pub(crate) customers: CustomerGrpc,
    context: brewline_server::Context,
}

impl Shop {
    /// Open, with its catalogue and its customer.
    pub(crate) async fn open() -> Self {
        Self::stocked(PlaceLimits::default()).await
    }

    async fn stocked(limits: PlaceLimits) -> Self {
        let shop = Self::limited(limits).await;
        shop.hear(&[store(STORE, "EUR", 1), store("store-oslo", "NOK", 1)])
            .await;
        let products = ["cortado", "croissant", "v60-ethiopia"];
        shop.hear(&products.map(|id| product(id, 350, 1))).await;
        shop.customers
            .create_customer(Request::new(customer("setup", CUSTOMER)))
            .await
            .expect("create the customer");
        shop
    }

    /// A shop that knows nothing yet.
    pub(crate) async fn empty() -> Self {
        Self::limited(PlaceLimits::default()).await
    }

    /// A shop in which only so many orders may wait.
    pub(crate) async fn with_queue(queue_orders_max: usize) -> Self {
        Self::stocked(PlaceLimits {
            queue_orders_max,
            ..PlaceLimits::default()
        })
        .await
    }

    /// A shop that lets nobody in while an order is pending.
    pub(crate) async fn one_at_a_time() -> Self {
        Self::stocked(PlaceLimits {
            admission: AdmissionLimits {
                settle_target: Duration::from_nanos(1),
                pending_free: 0,
            },
            ..PlaceLimits::default()
        })
        .await
    }

    async fn limited(limits: PlaceLimits) -> Self {
        let database = TestDatabase::create(MIGRATIONS).await;
        let parts = Parts::new(
            database.pool().clone(),
            Outbox::new(1),
            &checkout::Settings::default(),
        );
        let context = brewline_server::Context::new("order", "order-test");
        let place = PlaceOrders::start(&context, parts.clone(), limits);
        Self {
            orders: OrderGrpc::new(parts.clone(), place, Monitor::default(), watchers()),
            customers: CustomerGrpc::new(parts.clone()),
            database,
            parts,
            context,
        }
    }

    /// Catalogue events arrive.
    pub(crate) async fn hear(&self, deliveries: &[Delivery]) {
        let mut connection = self.parts.pool.get().await.unwrap();
        let tx = connection.transaction().await.unwrap();
        CatalogueConsumer.handle(&tx, deliveries).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn place(
        &self,
        request: wire::PlaceOrderRequest,
    ) -> Result<wire::PlaceOrderResponse, Status> {
        let answer = self.orders.place_order(Request::new(request)).await;
        answer.map(tonic::Response::into_inner)
    }

    /// Another replica over the same database.
    pub(crate) fn replica(&self) -> OrderGrpc {
        let parts = Parts::new(
            Pool::new(self.database.config()),
            Outbox::new(1),
            &checkout::Settings::default(),
        );
        let place = PlaceOrders::start(&self.context, parts.clone(), PlaceLimits::default());
        OrderGrpc::new(parts, place, Monitor::default(), watchers())
    }

    pub(crate) async fn create(
        &self,
        request: CreateCustomerRequest,
    ) -> Result<CreateCustomerResponse, Status> {
        let answer = self.customers.create_customer(Request::new(request)).await;
        answer.map(tonic::Response::into_inner)
    }

    pub(crate) async fn get_customer(&self, customer_id: &str) -> Customer {
        let customer_id = customer_id.to_owned();
        let request = Request::new(GetCustomerRequest { customer_id });
        let answer = self.customers.get_customer(request).await.unwrap();
        answer.into_inner().customer.unwrap()
    }

    pub(crate) async fn cancel(&self, order_id: &str) -> Result<wire::Order, Status> {
        self.cancel_because(order_id, "changed my mind").await
    }

    pub(crate) async fn cancel_because(
        &self,
        order_id: &str,
        reason: &str,
    ) -> Result<wire::Order, Status> {
        let request = wire::CancelOrderRequest {
            order_id: order_id.to_owned(),
            reason: reason.to_owned(),
        };
        let answer = self.orders.cancel_order(Request::new(request)).await?;
        Ok(answer.into_inner().order.unwrap())
    }

    /// Something happens to an order's checkout.
    pub(crate) async fn happens(&self, order_id: &str, event: CheckoutEvent) {
        happens_at(&self.parts, order_id, event).await;
    }

    /// The same, through another replica.
    pub(crate) async fn happens_elsewhere(&self, order_id: &str, event: CheckoutEvent) {
        let elsewhere = Parts::new(
            self.parts.pool.clone(),
            Outbox::new(1),
            &checkout::Settings::default(),
        );
        happens_at(&elsewhere, order_id, event).await;
    }

    /// Places an order under `key`, and answers its id.
    pub(crate) async fn placed(&self, key: &str) -> String {
        let answer = self.place(order(key, &[("cortado", 2)])).await.unwrap();
        answer.order.unwrap().order_id
    }

    pub(crate) async fn get(&self, order_id: &str) -> Result<wire::Order, Status> {
        let request = wire::GetOrderRequest {
            order_id: order_id.to_owned(),
            ..wire::GetOrderRequest::default()
        };
        let answer = self.orders.get_order(Request::new(request)).await?;
        Ok(answer.into_inner().order.unwrap())
    }

    /// Places an order under `key` and sells it: stock held, card authorised.
    pub(crate) async fn confirmed(&self, key: &str) -> String {
        let order_id = self.placed(key).await;
        self.happens(&order_id, CheckoutEvent::StockReserved).await;
        let authorised = Outcome::Done(Effect::Authorised);
        self.happens(&order_id, CheckoutEvent::AuthoriseOutcome(authorised))
            .await;
        order_id
    }

    /// The barista tells something of an order.
    pub(crate) async fn barista(&self, delivery: Delivery) -> Result<(), Failure> {
        self.barista_all(&[delivery]).await
    }

    /// The barista tells several things, and they arrive together.
    pub(crate) async fn barista_all(&self, deliveries: &[Delivery]) -> Result<(), Failure> {
        hear_barista(&self.parts, deliveries).await
    }

    pub(crate) async fn collect(&self, order_id: &str) -> Result<wire::Order, Status> {
        let request = wire::CollectOrderRequest {
            order_id: order_id.to_owned(),
            ..Default::default()
        };
        let answer = self.orders.collect_order(Request::new(request)).await?;
        Ok(answer.into_inner().order.unwrap())
    }

    /// A key that nobody used.
    pub(crate) fn fresh_key(&self) -> String {
        self.parts.ids.next().to_string()
    }

    /// The orders that are pending.
    pub(crate) async fn pending(&self) -> Vec<String> {
        let connection = self.parts.pool.get().await.unwrap();
        let sql = "select order_id::text from orders where status = 'pending'";
        let rows = connection.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// One number from the database.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        let connection = self.parts.pool.get().await.unwrap();
        connection.query_one(sql, &[]).await.unwrap().get(0)
    }
}

/// Room for three who watch.
fn watchers() -> Watchers {
    Watchers::new(3, CancellationToken::new())
}

/// Events of the barista arrive, in one batch.
pub(crate) async fn hear_barista(parts: &Parts, deliveries: &[Delivery]) -> Result<(), Failure> {
    let consumer = TicketsConsumer::new(HearBarista::new(parts));
    let mut connection = parts.pool.get().await.unwrap();
    let tx = connection.transaction().await.unwrap();
    let effect = consumer.handle(&tx, deliveries).await?;
    tx.commit().await.unwrap();
    consumer.committed(effect);
    Ok(())
}

async fn happens_at(parts: &Parts, order_id: &str, event: CheckoutEvent) {
    let mut connection = parts.pool.get().await.unwrap();
    let tx = connection.transaction().await.unwrap();
    let happened = vec![Happening::new(order_id.parse().unwrap(), event)];
    let moved = parts.checkouts.dispatch(&tx, happened).await.unwrap();
    tx.commit().await.unwrap();
    parts.checkouts.committed(moved);
}

/// Places one cortado under `key` at some replica.
pub(crate) async fn place_at(
    orders: &OrderGrpc,
    key: &str,
) -> Result<wire::PlaceOrderResponse, Status> {
    let request = Request::new(order(key, &[("cortado", 1)]));
    orders
        .place_order(request)
        .await
        .map(tonic::Response::into_inner)
}

/// A request for these products and quantities.
pub(crate) fn order(key: &str, lines: &[(&str, i64)]) -> wire::PlaceOrderRequest {
    let line = |(product_id, quantity): &(&str, i64)| wire::RequestedLine {
        product_id: (*product_id).to_owned(),
        quantity: *quantity,
    };
    wire::PlaceOrderRequest {
        principal: "anonymous".to_owned(),
        idempotency_key: key.to_owned(),
        store_id: STORE.to_owned(),
        customer_id: CUSTOMER.to_owned(),
        lines: lines.iter().map(line).collect(),
        payment_token: "tok_ok".to_owned(),
        ..wire::PlaceOrderRequest::default()
    }
}

pub(crate) fn customer(key: &str, customer_id: &str) -> CreateCustomerRequest {
    CreateCustomerRequest {
        principal: "anonymous".to_owned(),
        idempotency_key: key.to_owned(),
        customer_id: customer_id.to_owned(),
        name: "Ada".to_owned(),
        email: "ada@example.org".to_owned(),
        locale: "en".to_owned(),
        show_name: true,
    }
}

pub(crate) fn store(store_id: &str, currency: &str, version: i64) -> Delivery {
    let body = catalogue::StoreChanged {
        store_id: store_id.to_owned(),
        name: store_id.to_uppercase(),
        currency: currency.to_owned(),
        time_zone: "Europe/Lisbon".to_owned(),
        retired: false,
    };
    delivery("StoreChanged", &format!("store/{store_id}"), version, &body)
}

pub(crate) fn product(product_id: &str, price_minor: i64, version: i64) -> Delivery {
    product_changed(product_id, price_minor, version, false)
}

pub(crate) fn product_changed(
    product_id: &str,
    price_minor: i64,
    version: i64,
    retired: bool,
) -> Delivery {
    let price = |currency: &str| Money {
        amount_minor: price_minor,
        currency: currency.to_owned(),
    };
    let body = catalogue::ProductChanged {
        product_id: product_id.to_owned(),
        name: product_id.to_uppercase(),
        kind: catalogue::ProductKind::Drink.into(),
        method: "espresso".to_owned(),
        origin: "ethiopia".to_owned(),
        prices: vec![price("EUR"), price("NOK")],
        retired,
    };
    delivery(
        "ProductChanged",
        &format!("product/{product_id}"),
        version,
        &body,
    )
}

/// An event of the barista about an order.
pub(crate) fn of_barista(
    name: &str,
    order_id: &str,
    version: i64,
    body: &impl prost::Message,
) -> Delivery {
    let delivery = delivery("", order_id, version, body);
    Delivery {
        topic: tickets_consumer::TOPIC.into(),
        envelope: Envelope {
            event_type: format!("brewline.fulfilment.v1.{name}"),
            source: "brewline/barista".to_owned(),
            ..delivery.envelope
        },
        ..delivery
    }
}

fn delivery(name: &str, subject: &str, version: i64, body: &impl prost::Message) -> Delivery {
    Delivery {
        topic: catalogue_consumer::TOPIC.into(),
        partition: 0,
        offset: 0,
        envelope: Envelope {
            id: Uuid::new_v4(),
            event_type: format!("brewline.catalogue.v1.{name}"),
            source: "brewline/inventory".to_owned(),
            subject: subject.to_owned(),
            version,
            time: brewline_kernel::Timestamp::EPOCH,
            correlation_id: Uuid::new_v4(),
            causation_id: None,
            traceparent: None,
        },
        payload: body.encode_to_vec().into(),
    }
}

/// A status as its code and reason.
pub(crate) fn says(status: &Status) -> (Code, String) {
    let reason = brewline_server::status::reason(status).unwrap_or_default();
    (status.code(), reason)
}
