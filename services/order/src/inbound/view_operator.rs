//! The views of `order` that are made anew from the log: its copy of the catalogue.

use brewline_messaging::views::{Projection, Table, View};

use super::catalogue_consumer::{self, CatalogueConsumer};

// Revisions count transactions, and the new copy was made in others than the live one was.
const REVISION: &[&str] = &["revision"];

/// All rows get the live copy's next revision: whoever holds the catalogue in memory reads every row once
/// more, and finds in it what it knows.
const ADOPT: &str = "
    update catalogue_revision set revision = (select revision + 1 from public.catalogue_revision);
    update catalogue_store set revision = (select revision from catalogue_revision);
    update catalogue_product set revision = (select revision from catalogue_revision);";

/// The views.
#[must_use]
pub fn all() -> Vec<View> {
    vec![View {
        name: "catalogue",
        consumer: catalogue_consumer::SPEC,
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
        seed: "insert into catalogue_revision (revision) values (0);",
        adopt: ADOPT,
        projection: Projection::new(CatalogueConsumer),
    }]
}
