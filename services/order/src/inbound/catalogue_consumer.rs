//! Catalogue events into our copy. The topic is compacted: each record is a subject's whole state.

use std::collections::BTreeMap;

use brewline_kernel::{Currency, ProductId, StoreId};
use brewline_messaging::{ConsumerSpec, Delivery, Failure, Handler, TopicKind, TopicSpec};
use brewline_order_domain::pricing::{ProductEntry, StoreEntry};
use brewline_postgres::Transaction;
use brewline_proto::catalogue::v1 as wire;
use prost::Message as _;

use crate::outbound::catalogue_store::{self, ProductRow, StoreRow};
use crate::outbound::event_codec;

/// The topic.
pub const TOPIC: &str = "brewline.catalogue.events.v1";

/// This consumer.
pub const SPEC: ConsumerSpec = ConsumerSpec {
    name: "brewline.order.catalogue",
    topics: &[TopicSpec {
        name: TOPIC,
        kind: TopicKind::Compacted,
    }],
};

const STORE_CHANGED: &str = "brewline.catalogue.v1.StoreChanged";
const PRODUCT_CHANGED: &str = "brewline.catalogue.v1.ProductChanged";

/// Writes the copy.
#[derive(Debug, Default)]
pub struct CatalogueConsumer;

// === impl CatalogueConsumer ===

impl Handler for CatalogueConsumer {
    type Effect = ();

    async fn handle(&self, tx: &Transaction<'_>, batch: &[Delivery]) -> Result<(), Failure> {
        // The newest state of each subject: the batch comes in the order of versions.
        let (mut stores, mut products) = (BTreeMap::new(), BTreeMap::new());
        for delivery in batch {
            match delivery.envelope.event_type.as_str() {
                STORE_CHANGED => {
                    let row = store(delivery)?;
                    stores.insert(row.store_id.clone(), row);
                }
                PRODUCT_CHANGED => {
                    let row = product(delivery)?;
                    products.insert(row.entry.product_id.clone(), row);
                }
                // A kind that a later version of the catalogue adds is not ours to keep.
                _ => {}
            }
        }
        let (stores, products): (Vec<_>, Vec<_>) = (
            stores.into_values().collect(),
            products.into_values().collect(),
        );
        catalogue_store::put(tx, &stores, &products).await?;
        Ok(())
    }

    /// Nothing: whoever prices orders reads the revision first.
    fn committed(&self, (): ()) {}
}

fn store(delivery: &Delivery) -> Result<StoreRow, Failure> {
    let body = wire::StoreChanged::decode(delivery.payload.clone()).map_err(malformed)?;
    let store_id: StoreId = parsed(&body.store_id, "store_id")?;
    let currency: Currency = parsed(&body.currency, "currency")?;
    Ok(StoreRow {
        store_id,
        name: body.name,
        time_zone: body.time_zone,
        entry: StoreEntry {
            currency,
            retired: body.retired,
        },
        version: delivery.envelope.version,
    })
}

fn product(delivery: &Delivery) -> Result<ProductRow, Failure> {
    let body = wire::ProductChanged::decode(delivery.payload.clone()).map_err(malformed)?;
    let product_id: ProductId = parsed(&body.product_id, "product_id")?;
    let price = |price| event_codec::amount_back(Some(price), "prices").map_err(malformed);
    let kind =
        event_codec::kind_back(body.kind).ok_or_else(|| Failure::poison("kind is unknown"))?;
    let entry = ProductEntry {
        product_id,
        kind,
        prices: body.prices.iter().map(price).collect::<Result<_, _>>()?,
        name: body.name,
        method: body.method,
        origin: body.origin,
        retired: body.retired,
    };
    Ok(ProductRow {
        entry,
        version: delivery.envelope.version,
    })
}

fn parsed<T: std::str::FromStr>(text: &str, field: &str) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error| Failure::poison(format!("{field}: {error}")))
}

fn malformed(error: impl std::fmt::Display) -> Failure {
    Failure::poison(error.to_string())
}

#[cfg(test)]
mod tests {
    use brewline_test_support::golden_events;

    use super::*;

    fn released() -> impl Iterator<Item = Delivery> {
        golden_events("brewline.catalogue.v1")
            .into_iter()
            .map(|(envelope, body)| Delivery {
                topic: "brewline.catalogue.events.v1".into(),
                partition: 0,
                offset: 0,
                envelope,
                payload: body.into(),
            })
    }

    #[test]
    fn every_released_event_can_still_be_read() {
        for delivery in released() {
            match delivery.envelope.event_type.as_str() {
                STORE_CHANGED => drop(store(&delivery).unwrap()),
                PRODUCT_CHANGED => drop(product(&delivery).unwrap()),
                other => panic!("{other} is not read"),
            }
        }
    }
}
