//! Does for one slot what [`super::core`] decides: competes for the lease, works while it holds it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brewline_kafka as kafka;
use brewline_kernel::system;
use brewline_postgres as postgres;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::holding::{End, Holding};
use super::store::{Claimed, Store};
use crate::{Error, OUTAGE_BACKOFF, RelaySettings, signals};

/// The relay of one slot.
pub(super) struct Slot {
    pub(super) store: Store,
    pub(super) kafka: kafka::Config,
    pub(super) settings: RelaySettings,
    pub(super) instance: String,
    pub(super) wake: Arc<Notify>,
    pub(super) shutdown: CancellationToken,
}

// === impl Slot ===

impl Slot {
    /// Competes for the lease and works while it holds it.
    pub(super) async fn run(self) -> Result<(), Error> {
        let mut outages = 0;
        while !self.shutdown.is_cancelled() {
            let asked_at = Instant::now();
            let wait = match self.store.claim(&self.instance, self.settings.lease).await {
                Ok(Some(claimed)) => {
                    outages = 0;
                    self.hold(claimed, asked_at).await?;
                    continue;
                }
                Ok(None) => {
                    self.check_exists().await?;
                    self.settings.poll
                }
                Err(error) => outage("claim a relay slot", error, &mut outages)?,
            };
            self.pause(wait).await;
        }
        Ok(())
    }

    async fn hold(&self, claimed: Claimed, asked_at: Instant) -> Result<(), Error> {
        tracing::info!(
            relay.slot = self.store.slot,
            relay.epoch = claimed.epoch,
            relay.watermark = claimed.watermark,
            "holding the relay slot"
        );
        // Its own producer: what an earlier holding left queued, or a partition that its client lost,
        // goes with it.
        let settings = kafka::ProducerSettings {
            message_timeout: self.settings.delivery_timeout,
            ..kafka::ProducerSettings::default()
        };
        let producer = kafka::Producer::new(&self.kafka, settings)?;
        let mut holding = Holding::new(self, producer, claimed, asked_at);
        let end = holding.work().await;
        match &end {
            Ok(End::Shutdown) => holding.finish().await,
            Ok(End::Unheard) => {
                tracing::warn!(
                    relay.slot = self.store.slot,
                    "Kafka did not answer in time; going on with a new producer"
                );
                holding.finish().await;
            }
            Ok(End::Fenced) => {
                signals::RELAY_FENCED.inc();
                tracing::warn!(
                    relay.slot = self.store.slot,
                    "another instance holds the relay slot"
                );
                holding.abandon();
            }
            Err(_) => holding.abandon(),
        }
        end.map(drop)
    }

    /// A slot that nobody made would be waited for for ever.
    async fn check_exists(&self) -> Result<(), Error> {
        match self.store.exists().await {
            Ok(false) => Err(Error::UnknownSlot(self.store.slot)),
            Ok(true) | Err(_) => Ok(()),
        }
    }

    pub(super) async fn pause(&self, wait: Duration) {
        // Ending early is what the token is for.
        drop(timeout(wait, self.shutdown.cancelled()).await);
    }
}

/// How long to wait when it is an outage; else the error, which waiting would not cure.
pub(super) fn outage(
    doing: &str,
    error: postgres::Error,
    outages: &mut u32,
) -> Result<Duration, Error> {
    if !error.is_unavailable() && !error.is_retryable() {
        return Err(error.into());
    }
    let wait = OUTAGE_BACKOFF.delay(*outages, system::random());
    *outages = outages.saturating_add(1);
    tracing::warn!(%error, relay.outages = *outages, "{doing}: the database is away");
    Ok(wait)
}
