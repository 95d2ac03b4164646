//! What a consumer does once a second: tell how far it is, and look after what waits.

use std::time::{Duration, Instant};

use brewline_kernel::{Clock as _, system};

use super::core::Move;
use super::driver::Worker;
use crate::{Handler, Lag};

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
        if self.waiting
            && let Err(error) = self.stop_waiting().await
        {
            tracing::warn!(%error, consumer = self.name(), "overdue subjects were not parked; trying again");
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
