//! What a consumer does once a second: tell how far it is, and look after what waits.

use std::time::{Duration, Instant};

use brewline_kernel::{Clock as _, system};

use super::core::Move;
use super::driver::Worker;
use crate::{Handler, Lag};

/// How often dead letters and parked subjects are counted: as often as people scrape.
const COUNT_EVERY: Duration = Duration::from_secs(15);

// === impl Worker ===

impl<H: Handler> Worker<H> {
    /// Tells how far we are, and looks after subjects that wait.
    pub(super) async fn tick(&mut self) {
        self.ticked_at = Instant::now();
        self.tell();
        for place in std::mem::take(&mut self.silenced) {
            if self.core.is_paused(&place) {
                self.silenced.insert(place);
            } else {
                self.subscription.resume(&place);
            }
        }
        self.count_standing().await;
        if self.waiting
            && let Err(error) = self.stop_waiting().await
        {
            tracing::warn!(%error, consumer = self.name(), "overdue subjects were not parked; trying again");
        }
    }

    /// Told by one slow timer: a scrape asks the database nothing.
    async fn count_standing(&mut self) {
        let due = self
            .counted_at
            .is_none_or(|counted| counted.elapsed() >= COUNT_EVERY);
        if !due {
            return;
        }
        self.counted_at = Some(Instant::now());
        match self.applier.store.standing().await {
            Ok((letters, keys)) => self.signals().standing(letters, keys),
            Err(error) => {
                tracing::debug!(%error, consumer = self.name(), "dead letters were not counted");
            }
        }
    }

    fn tell(&self) {
        let ends = self.subscription.end_offsets();
        let now = system::SystemClock.now();
        let mut offsets = Vec::new();
        for (place, next_offset, next) in self.core.positions() {
            let end_offset = ends
                .get(place)
                .copied()
                .unwrap_or(next_offset)
                .max(next_offset);
            let behind = next.map_or(Duration::ZERO, |record| now.since(record.timestamp));
            let behind_ms = i64::try_from(behind.as_millis()).unwrap_or(i64::MAX);
            let lag = Lag {
                next_offset,
                end_offset,
                behind_ms,
            };
            self.monitor.tell(self.place(place), lag);
            self.signals()
                .lag(place, end_offset.saturating_sub(next_offset), behind);
            offsets.push((place.clone(), next_offset));
        }
        self.subscription.commit(&offsets);
        let connection = self.subscription.connection();
        self.signals().reaches_broker(connection.is_sound());
    }

    async fn stop_waiting(&mut self) -> Result<(), brewline_postgres::Error> {
        for overdue in self.applier.store.overdue().await? {
            let owned = self
                .core
                .positions()
                .find(|(place, ..)| **place == overdue.place);
            let position = owned.map(|(_, position, _)| position);
            let epoch = self
                .core
                .owned()
                .find(|(place, _)| **place == overdue.place);
            if let (Some(position), Some((_, epoch))) = (position, epoch) {
                let still = Move {
                    place: overdue.place.clone(),
                    epoch,
                    first: position,
                    next: position,
                    items: 0,
                };
                self.applier.stop_waiting(&overdue, &still).await?;
            }
        }
        self.waiting = self.applier.store.any_waiting().await?;
        Ok(())
    }
}
