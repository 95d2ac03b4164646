//! A bar of one test's own: a database, and the service's parts over it.

use std::sync::Arc;

use brewline_barista::app::walls::Walls;
use brewline_barista::bench;
use brewline_barista::inbound::grpc::FulfilmentGrpc;
use brewline_barista::inbound::order_consumer::OrderEvents;
use brewline_kernel::system::{SystemClock, SystemIds};
use brewline_kernel::{Clock, Envelope, IdGenerator};
use brewline_messaging::{Delivery, Failure, Handler, Monitor, Outbox};
use brewline_postgres::{Pool, Row};
use brewline_proto::catalogue::v1::ProductKind;
use brewline_proto::fulfilment::v1::fulfilment_service_server::FulfilmentService;
use brewline_proto::fulfilment::v1::{
    FinishTicketRequest, FinishTicketResponse, GetWallRequest, ListTicketsRequest,
    StartTicketRequest, StartTicketResponse, Station, TicketState, Wall,
};
use brewline_proto::order::v1 as order;
use brewline_server::status::reason;
use brewline_test_support::TestDatabase;
use prost::Message;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};
use uuid::Uuid;

pub(crate) const STORE: &str = "store-lisbon";

/// What its tests order: two drinks and something to eat.
pub(crate) const LINES: [(&str, &str, i64); 3] = [
    ("v60-ethiopia", "v60", 2),
    ("cortado", "espresso", 1),
    ("croissant", "", 3),
];

pub(crate) struct Bar {
    pub(crate) database: TestDatabase,
    pub(crate) pool: Pool,
    pub(crate) handler: OrderEvents,
    pub(crate) replica: Replica,
}

/// One process of the service, without its consumer.
pub(crate) struct Replica {
    pub(crate) grpc: FulfilmentGrpc,
    // Ends when the replica is dropped.
    _looks: JoinSet<()>,
}

// === impl Replica ===

impl Replica {
    pub(crate) fn over(pool: &Pool) -> Self {
        let (walls, stop) = (Walls::new(pool.clone(), 100), CancellationToken::new());
        let (looking, mut looks) = (walls.clone(), JoinSet::new());
        looks.spawn(async move { match looking.run().await {} });
        let grpc = FulfilmentGrpc {
            bench: bench(pool, Outbox::new(1)),
            walls,
            monitor: Monitor::default(),
            clock: Arc::new(SystemClock),
            shutdown: stop,
        };
        Self {
            grpc,
            _looks: looks,
        }
    }

    pub(crate) async fn start(&self, ticket: &str) -> Result<StartTicketResponse, Status> {
        let ticket_id = ticket.to_owned();
        let request = Request::new(StartTicketRequest { ticket_id });
        self.grpc
            .start_ticket(request)
            .await
            .map(|it| it.into_inner())
    }

    pub(crate) async fn finish(&self, ticket: &str) -> Result<FinishTicketResponse, Status> {
        let ticket_id = ticket.to_owned();
        let request = Request::new(FinishTicketRequest { ticket_id });
        self.grpc
            .finish_ticket(request)
            .await
            .map(|it| it.into_inner())
    }

    pub(crate) async fn tickets(&self, order: Order) -> Vec<TicketState> {
        let order_id = order.subject();
        let request = Request::new(ListTicketsRequest { order_id });
        self.grpc
            .list_tickets(request)
            .await
            .unwrap()
            .into_inner()
            .tickets
    }

    pub(crate) async fn wall(&self) -> Wall {
        let request = GetWallRequest {
            store_id: STORE.to_owned(),
            ..Default::default()
        };
        let answer = self.grpc.get_wall(Request::new(request)).await.unwrap();
        answer.into_inner().wall.unwrap()
    }
}

// === impl Bar ===

impl Bar {
    pub(crate) async fn open() -> Self {
        let database = TestDatabase::create(brewline_barista::MIGRATIONS).await;
        let pool = database.pool().clone();
        Self {
            database,
            handler: handler(),
            replica: Replica::over(&pool),
            pool,
        }
    }

    /// Hands a batch to the consumer's handler, as the message core does: one transaction.
    pub(crate) async fn deliver(&self, batch: &[Delivery]) -> Result<(), Failure> {
        let mut connection = self.pool.get().await.unwrap();
        let tx = connection.transaction().await.unwrap();
        let happened = self.handler.handle(&tx, batch).await?;
        tx.commit().await.unwrap();
        self.handler.committed(happened);
        Ok(())
    }

    /// The wall.
    pub(crate) async fn wall(&self) -> Wall {
        self.replica.wall().await
    }

    /// A confirmed order with [`LINES`], and its tickets' ids.
    pub(crate) async fn order(&self) -> (Order, Vec<String>) {
        let order = Order::new();
        self.deliver(&[order.confirmed(2)]).await.unwrap();
        let tickets = self.replica.tickets(order).await;
        (
            order,
            tickets
                .into_iter()
                .map(|it| it.ticket.unwrap().ticket_id)
                .collect(),
        )
    }

    pub(crate) async fn statuses(&self, order: Order) -> Vec<String> {
        let tickets = self.replica.tickets(order).await;
        let name = |it: TicketState| it.status().as_str_name().replace("TICKET_STATUS_", "");
        tickets.into_iter().map(name).collect()
    }

    pub(crate) async fn rows(&self, sql: &'static str) -> Vec<Row> {
        self.pool
            .get()
            .await
            .unwrap()
            .query(sql, &[])
            .await
            .unwrap()
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        self.rows(sql).await[0].try_get(0).unwrap()
    }

    /// The events about an order, in the order in which they were written. Their versions have no gap.
    pub(crate) async fn told(&self, order: Order) -> Vec<String> {
        let sql = "select type, version from outbox where aggregate_id = $1 order by position";
        let connection = self.pool.get().await.unwrap();
        let rows = connection.query(sql, &[&order.subject()]).await.unwrap();
        let versions: Vec<i64> = rows.iter().map(|row| row.try_get(1).unwrap()).collect();
        let counted = (1..).take(rows.len());
        assert_eq!(versions, counted.collect::<Vec<i64>>());
        let name = |row: &Row| {
            let name: String = row.try_get(0).unwrap();
            name.rsplit('.').next().unwrap().to_owned()
        };
        rows.iter().map(name).collect()
    }

    /// Tables and events tell the same, of every order.
    pub(crate) async fn assert_books_balance(&self) {
        let broken = "
            with told as (
                select aggregate_id::uuid as order_id, count(*) as events, max(version) as version,
                       count(*) filter (where type like '%.PreparationStarted') as started,
                       count(*) filter (where type like '%.TicketDone') as done,
                       count(*) filter (where type like '%.PreparationCompleted') as completed,
                       count(*) filter (where type like '%.TicketsWithdrawn') as withdrawn
                  from outbox group by 1
            ), made as (
                select order_id, count(*) as tickets,
                       count(*) filter (where started_at is not null) as begun,
                       count(*) filter (where status = 'done') as done,
                       count(*) filter (where status = 'withdrawn') as withdrawn,
                       count(*) filter (where status in ('open', 'started')) as on_the_wall
                  from ticket group by 1
            )
            select format('%s: %s %s %s', p.order_id, p, t, m)
              from preparation p
              left join told t using (order_id) left join made m using (order_id)
             where p.version <> coalesce(t.version, 0) or t.events <> t.version
                or (p.stage = 'completed') <> coalesce(m.done = m.tickets, false)
                or (p.stage = 'completed') <> (coalesce(t.completed, 0) = 1)
                or t.done <> m.done
                or (m.begun > 0) <> (coalesce(t.started, 0) = 1)
                or (p.stage = 'withdrawn') and coalesce(m.on_the_wall, 0) > 0
                or (p.stage = 'open') and m.on_the_wall <> m.tickets
                or (coalesce(m.withdrawn, 0) > 0) and t.withdrawn <> 1";
        let rows = self.rows(broken).await;
        let faults: Vec<String> = rows.iter().map(|row| row.try_get(0).unwrap()).collect();
        assert!(faults.is_empty(), "the books do not balance: {faults:#?}");
    }
}

pub(crate) fn handler() -> OrderEvents {
    OrderEvents {
        outbox: Outbox::new(1),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    }
}

/// Whether the answer is this "no".
pub(crate) fn is_refused<T: std::fmt::Debug>(answer: Result<T, Status>, wanted: &str) -> bool {
    reason(&answer.unwrap_err()).as_deref() == Some(wanted)
}

/// Where the tickets of [`LINES`] are made, as a wall or an event tells it.
pub(crate) fn stations() -> [(i32, String); 3] {
    let (brew, plate) = (Station::Brew.into(), Station::Plate.into());
    [
        (brew, "v60".to_owned()),
        (brew, "espresso".to_owned()),
        (plate, String::new()),
    ]
}

/// An order as its events come in, version after version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) id: Uuid,
}

// === impl Order ===

impl Order {
    pub(crate) fn new() -> Self {
        Self {
            id: SystemIds.next(),
        }
    }

    pub(crate) fn subject(&self) -> String {
        self.id.to_string()
    }

    pub(crate) fn placed(&self) -> Delivery {
        self.delivery("OrderPlaced", 1, &order::OrderPlaced::default())
    }

    pub(crate) fn confirmed(&self, version: i64) -> Delivery {
        let line = |(product, method, quantity): &(&str, &str, i64)| {
            let kind = if method.is_empty() {
                ProductKind::Food
            } else {
                ProductKind::Drink
            };
            order::OrderLine {
                product_id: (*product).to_owned(),
                name: product.to_uppercase(),
                kind: kind.into(),
                method: (*method).to_owned(),
                quantity: *quantity,
                ..Default::default()
            }
        };
        let message = order::OrderConfirmed {
            order_id: self.subject(),
            store_id: STORE.to_owned(),
            lines: LINES.iter().map(line).collect(),
            ..Default::default()
        };
        self.delivery("OrderConfirmed", version, &message)
    }

    pub(crate) fn asked_to_cancel(&self, version: i64) -> Delivery {
        let message = order::OrderCancellationRequested {
            store_id: STORE.to_owned(),
            ..Default::default()
        };
        self.delivery("OrderCancellationRequested", version, &message)
    }

    pub(crate) fn cancelled(&self, version: i64, reason: order::CancellationReason) -> Delivery {
        let message = order::OrderCancelled {
            store_id: STORE.to_owned(),
            reason: reason.into(),
            ..Default::default()
        };
        self.delivery("OrderCancelled", version, &message)
    }

    pub(crate) fn delivery(&self, name: &str, version: i64, message: &impl Message) -> Delivery {
        Delivery {
            topic: "brewline.order.events.v1".into(),
            partition: 0,
            offset: 0,
            envelope: Envelope {
                id: SystemIds.next(),
                event_type: format!("brewline.order.v1.{name}"),
                source: "brewline/order".to_owned(),
                subject: self.subject(),
                version,
                time: SystemClock.now(),
                correlation_id: self.id,
                causation_id: None,
                traceparent: None,
            },
            payload: message.encode_to_vec().into(),
        }
    }
}
