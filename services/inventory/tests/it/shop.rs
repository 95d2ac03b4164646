//! A shop of one test's own: a database with one store, and the service's parts over it.

use std::sync::Arc;

use brewline_inventory::app::adjust_stock::Stock;
use brewline_inventory::app::change_catalogue::Catalogue;
use brewline_inventory::inbound::grpc::CatalogueGrpc;
use brewline_inventory::inbound::order_consumer::OrderEvents;
use brewline_inventory::inbound::stock_grpc::StockGrpc;
use brewline_kernel::system::{SystemClock, SystemIds};
use brewline_kernel::{Clock, Envelope, IdGenerator};
use brewline_messaging::{Delivery, Failure, Handler, Outbox};
use brewline_postgres::{Pool, Row};
use brewline_proto::catalogue::v1::catalogue_service_server::CatalogueService;
use brewline_proto::catalogue::v1::{
    Product, ProductKind, PutProductRequest, PutStoreRequest, Store,
};
use brewline_proto::inventory::v1::inventory_service_server::InventoryService;
use brewline_proto::inventory::v1::{AdjustStockRequest, AdjustStockResponse, StockItem};
use brewline_proto::money::v1::Money;
use brewline_proto::order::v1 as order;
use brewline_test_support::TestDatabase;
use prost::Message;
use tonic::{Request, Status};
use uuid::Uuid;

pub(crate) const STORE: &str = "store-lisbon";

pub(crate) struct Shop {
    pub(crate) database: TestDatabase,
    pub(crate) pool: Pool,
    pub(crate) catalogue: CatalogueGrpc,
    pub(crate) stock: StockGrpc,
    handler: OrderEvents,
}

// === impl Shop ===

impl Shop {
    /// With the store, and these products with so many of each.
    pub(crate) async fn open(stock: &[(&str, i64)]) -> Self {
        let database = TestDatabase::create(brewline_inventory::MIGRATIONS).await;
        let pool = database.pool().clone();
        let (outbox, clock, ids) = (Outbox::new(1), Arc::new(SystemClock), Arc::new(SystemIds));
        let shop = Self {
            database,
            catalogue: CatalogueGrpc(Catalogue {
                pool: pool.clone(),
                outbox,
                clock: Arc::<SystemClock>::clone(&clock),
                ids: Arc::<SystemIds>::clone(&ids),
            }),
            stock: StockGrpc(Stock {
                pool: pool.clone(),
                outbox,
                clock: Arc::<SystemClock>::clone(&clock),
                ids: Arc::<SystemIds>::clone(&ids),
            }),
            handler: OrderEvents { outbox, clock, ids },
            pool,
        };
        shop.put_store(store()).await.unwrap();
        for (product_id, quantity) in stock {
            shop.put_product(product(product_id)).await.unwrap();
            shop.adjust(&format!("open-{product_id}"), product_id, *quantity)
                .await
                .unwrap();
        }
        shop
    }

    pub(crate) async fn put_store(&self, store: Store) -> Result<Store, Status> {
        let request = Request::new(PutStoreRequest { store: Some(store) });
        let response = self.catalogue.put_store(request).await?;
        Ok(response.into_inner().store.unwrap())
    }

    pub(crate) async fn put_product(&self, product: Product) -> Result<Product, Status> {
        let request = Request::new(PutProductRequest {
            product: Some(product),
        });
        let response = self.catalogue.put_product(request).await?;
        Ok(response.into_inner().product.unwrap())
    }

    pub(crate) async fn adjust(
        &self,
        key: &str,
        product: &str,
        delta: i64,
    ) -> Result<AdjustStockResponse, Status> {
        let request = adjustment(key, product, delta);
        self.stock
            .adjust_stock(Request::new(request))
            .await
            .map(|r| r.into_inner())
    }

    /// The level of one product, by the service's own answer.
    pub(crate) async fn level(&self, product: &str) -> StockItem {
        let store_id = STORE.to_owned();
        let request = brewline_proto::inventory::v1::ListStockRequest { store_id };
        let items = self
            .stock
            .list_stock(Request::new(request))
            .await
            .unwrap()
            .into_inner()
            .items;
        items
            .into_iter()
            .find(|item| item.product_id == product)
            .unwrap()
    }

    /// Hands a batch to the consumer's handler, as the message core does: one transaction.
    pub(crate) async fn deliver(&self, batch: &[Delivery]) -> Result<(), Failure> {
        let mut connection = self.pool.get().await.unwrap();
        let tx = connection.transaction().await.unwrap();
        let outcomes = self.handler.handle(&tx, batch).await?;
        tx.commit().await.unwrap();
        self.handler.committed(outcomes);
        Ok(())
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

    /// The events about one subject, in the order in which they were written: type and version.
    pub(crate) async fn told(&self, subject: &str) -> Vec<(String, i64)> {
        let sql = "select type, version from outbox where aggregate_id = $1 order by position";
        let rows = self
            .pool
            .get()
            .await
            .unwrap()
            .query(sql, &[&subject])
            .await
            .unwrap();
        let event = |row: &Row| {
            let name: String = row.try_get(0).unwrap();
            (
                name.rsplit('.').next().unwrap().to_owned(),
                row.try_get(1).unwrap(),
            )
        };
        rows.iter().map(event).collect()
    }

    /// Every prefix of every ledger holds, and its sum is the stock row.
    pub(crate) async fn assert_books_balance(&self) {
        let broken = "
            with running as (
                select l.*, row_number() over w as n,
                       sum(on_hand_delta) over w as on_hand, sum(reserved_delta) over w as reserved,
                       lead(sequence) over w is null as is_last
                  from stock_ledger l
                window w as (partition by stock_id order by sequence)
            )
            select format('%s: entry %s', s.product_id, r.sequence)
              from running r join stock s using (stock_id)
             where r.n <> r.sequence or r.on_hand <> r.on_hand_after or r.reserved <> r.reserved_after
                or r.reserved_after < 0 or r.on_hand_after < r.reserved_after
                or r.is_last and (r.sequence, r.on_hand_after, r.reserved_after)
                                 is distinct from (s.sequence, s.on_hand, s.reserved)";
        let faults: Vec<String> = self
            .rows(broken)
            .await
            .iter()
            .map(|row| row.try_get(0).unwrap())
            .collect();
        assert!(faults.is_empty(), "the books do not balance: {faults:?}");
    }
}

pub(crate) fn store() -> Store {
    Store {
        store_id: STORE.to_owned(),
        name: "Lisbon".to_owned(),
        currency: "EUR".to_owned(),
        time_zone: "Europe/Lisbon".to_owned(),
        version: 0,
    }
}

pub(crate) fn product(product_id: &str) -> Product {
    Product {
        product_id: product_id.to_owned(),
        name: "Cortado".to_owned(),
        kind: ProductKind::Drink.into(),
        method: "espresso".to_owned(),
        origin: "Kenya".to_owned(),
        prices: vec![Money {
            amount_minor: 280,
            currency: "EUR".to_owned(),
        }],
        version: 0,
    }
}

pub(crate) fn adjustment(key: &str, product: &str, delta: i64) -> AdjustStockRequest {
    AdjustStockRequest {
        principal: "manager-1".to_owned(),
        idempotency_key: key.to_owned(),
        store_id: STORE.to_owned(),
        product_id: product.to_owned(),
        delta,
        reason: "delivery".to_owned(),
    }
}

/// An order as its events come in, version after version.
#[derive(Clone, Copy)]
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

    pub(crate) fn placed(&self, lines: &[(&str, i64)]) -> Delivery {
        let line = |(product_id, quantity): &(&str, i64)| order::OrderLine {
            product_id: (*product_id).to_owned(),
            quantity: *quantity,
            ..Default::default()
        };
        let message = order::OrderPlaced {
            order_id: self.subject(),
            store_id: STORE.to_owned(),
            lines: lines.iter().map(line).collect(),
            ..Default::default()
        };
        self.delivery("OrderPlaced", 1, &message)
    }

    pub(crate) fn confirmed(&self, version: i64) -> Delivery {
        self.delivery("OrderConfirmed", version, &order::OrderConfirmed::default())
    }

    pub(crate) fn rejected(&self, version: i64) -> Delivery {
        let message = order::OrderRejected {
            store_id: STORE.to_owned(),
            ..Default::default()
        };
        self.delivery("OrderRejected", version, &message)
    }

    pub(crate) fn cancelled(&self, version: i64) -> Delivery {
        let message = order::OrderCancelled {
            store_id: STORE.to_owned(),
            ..Default::default()
        };
        self.delivery("OrderCancelled", version, &message)
    }

    pub(crate) fn ready(&self, version: i64) -> Delivery {
        self.delivery("OrderReady", version, &order::OrderReady::default())
    }

    fn delivery(&self, name: &str, version: i64, message: &impl Message) -> Delivery {
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
