//! The view of `notification` that is made anew from the log: its copy of the customers.

use brewline_messaging::views::{Live, Projection, Table, View};
use brewline_messaging::{Delivery, Failure, Handler};
use brewline_postgres::Transaction;

use super::customer_consumer::{self, newest};
use crate::outbound::customers;

/// Writes the copy and nothing else: what an erasure takes with it is gone, and a rebuild must not touch
/// what stands beside the copy.
#[derive(Debug)]
struct Copy;

/// The views.
#[must_use]
pub fn all() -> Vec<View> {
    vec![View {
        name: "customers",
        consumer: customer_consumer::CONSUMER,
        live: Live::Consumed,
        tables: &[Table {
            name: "customer",
            not_compared: &[],
        }],
        beside: &[],
        seed: "",
        adopt: "",
        projection: Projection::new(Copy),
    }]
}

// === impl Copy ===

impl Handler for Copy {
    type Effect = ();

    async fn handle(&self, tx: &Transaction<'_>, batch: &[Delivery]) -> Result<(), Failure> {
        customers::save(tx, &newest(batch)?).await?;
        Ok(())
    }

    fn committed(&self, (): ()) {}
}
