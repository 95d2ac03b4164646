//! The views of `order` that are made anew from the log: its copy of the catalogue, and the orders.

use brewline_messaging::views::{Live, Projection, Table, View};
use brewline_messaging::{ConsumerSpec, TopicKind, TopicSpec};

use super::catalogue_consumer::{self, CatalogueConsumer};
use crate::app::replay_orders::ReplayOrders;
use crate::outbound::store;

// Revisions count transactions, and the new copy was made in others than the live one was.
const REVISION: &[&str] = &["revision"];

/// All rows get the live copy's next revision: whoever holds the catalogue in memory reads every row once
/// more, and finds in it what it knows.
const ADOPT: &str = "
    update catalogue_revision set revision = (select revision + 1 from public.catalogue_revision);
    update catalogue_store set revision = (select revision from catalogue_revision);
    update catalogue_product set revision = (select revision from catalogue_revision);";

/// Orders are written in the transactions of their events; nobody consumes these here.
const REPLAY: ConsumerSpec = ConsumerSpec {
    name: "brewline.order.replay",
    topics: &[TopicSpec {
        name: store::TOPIC,
        kind: TopicKind::Events,
    }],
};

/// The views.
#[must_use]
pub fn all() -> Vec<View> {
    vec![catalogue(), orders()]
}

fn catalogue() -> View {
    View {
        name: "catalogue",
        consumer: catalogue_consumer::SPEC,
        live: Live::Consumed,
        tables: &[
            Table {
                name: "catalogue_revision",
                not_compared: REVISION,
            },
            Table {
                name: "catalogue_store",
                not_compared: REVISION,
            },
            Table {
                name: "catalogue_product",
                not_compared: REVISION,
            },
        ],
        beside: &[],
        seed: "insert into catalogue_revision (revision) values (0);",
        adopt: ADOPT,
        projection: Projection::new(CatalogueConsumer),
    }
}

fn orders() -> View {
    View {
        name: "orders",
        consumer: REPLAY,
        live: Live::Written,
        tables: &[Table {
            name: "orders",
            not_compared: &[],
        }],
        // An order is folded from its events: the replay keeps those it has read, as the service does.
        beside: &["order_event"],
        seed: "",
        adopt: "",
        projection: Projection::new(ReplayOrders),
    }
}
