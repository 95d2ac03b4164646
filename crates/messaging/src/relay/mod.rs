//! The relay: publishes the outbox, one holder a slot.
//!
//! [`core`] decides, `slot` competes for the lease and `holding` does the work while it is held, `store`
//! holds the SQL, `lease` says when to stop.

pub mod core;
mod holding;
mod lease;
mod outgoing;
mod slot;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use brewline_kafka as kafka;
use brewline_postgres as postgres;
use brewline_postgres::{Listener, Wake};
use futures_util::future::try_join_all;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{Error, RelaySettings, maintenance, signals};
use slot::Slot;
use store::Store;

/// The channel on which writers announce rows; the message is the slot.
pub(crate) const CHANNEL: &str = "outbox";

/// Publishes the outbox until `shutdown`, competing for each slot's lease with the service's other
/// instances. `instance` names this one; no two that live at once may share a name.
///
/// # Errors
/// When Kafka refuses for good or the installation lacks a slot. Outages are waited for.
pub async fn relay(
    pool: postgres::Pool,
    listen: postgres::Config,
    kafka: kafka::Config,
    settings: RelaySettings,
    instance: String,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    signals::relay_begins();
    let mut wakes = BTreeMap::new();
    let mut slots = Vec::new();
    for slot in 0..i16::try_from(settings.slots).unwrap_or(i16::MAX) {
        let wake = Arc::new(Notify::new());
        wakes.insert(slot.to_string(), Arc::clone(&wake));
        let slot = Slot {
            store: Store {
                pool: pool.clone(),
                slot,
                source: settings.source,
            },
            kafka: kafka.clone(),
            settings: settings.clone(),
            instance: instance.clone(),
            wake,
            shutdown: shutdown.clone(),
        };
        slots.push(slot.run());
    }
    tokio::select! {
        done = try_join_all(slots) => done.map(drop),
        never = wake_slots(Listener::new(&listen, CHANNEL), &wakes) => match never {},
        never = maintenance::keep_outbox(&pool) => match never {},
    }
}

/// Hands on notifications. They are hints: each slot polls as well.
async fn wake_slots(
    mut listener: Listener,
    wakes: &BTreeMap<String, Arc<Notify>>,
) -> std::convert::Infallible {
    loop {
        match listener.next().await {
            Wake::Notified(slot) => wakes
                .get(&slot)
                .into_iter()
                .for_each(|wake| wake.notify_one()),
            // Whatever was announced meanwhile is lost.
            Wake::Reconnected => wakes.values().for_each(|wake| wake.notify_one()),
        }
    }
}
