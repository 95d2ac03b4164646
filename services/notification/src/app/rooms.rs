//! The room of each endpoint: how many calls it may have on their way, and how many a second.

use std::collections::HashMap;

use tokio::task::{Id, JoinError, JoinSet};
use uuid::Uuid;

use super::rate::Rate;

/// Calls on their way, each in its endpoint's room.
///
/// A call keeps its place until [`Rooms::leave`] says that what came of it is recorded. One that panics has
/// nothing to record: it leaves at once.
#[derive(Debug)]
pub(super) struct Rooms<T> {
    per_endpoint_max: u32,
    per_second_max: u32,
    rooms: HashMap<Uuid, Room>,
    /// Whose call a task is: of one that panicked nothing else is left.
    on_way: HashMap<Id, Uuid>,
    calls: JoinSet<T>,
}

/// What one endpoint has in hand.
#[derive(Debug)]
struct Room {
    busy: usize,
    rate: Rate,
}

// === impl Rooms ===

impl<T: Send + 'static> Rooms<T> {
    /// Rooms for so many calls to one endpoint at once, and so many a second.
    pub(super) fn new(per_endpoint_max: u32, per_second_max: u32) -> Self {
        Self {
            per_endpoint_max,
            per_second_max,
            rooms: HashMap::new(),
            on_way: HashMap::new(),
            calls: JoinSet::new(),
        }
    }

    /// How many calls are on their way.
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// The room of an endpoint that has nothing in hand.
    pub(super) fn usual(&self) -> i64 {
        i64::from(self.per_endpoint_max.min(self.per_second_max.max(1)))
    }

    /// The endpoints with calls on their way or too many just made, with the room they have left. Those that
    /// rest have the usual room and are forgotten.
    pub(super) fn busy(&mut self) -> Vec<(Uuid, i64)> {
        let most = usize::try_from(self.per_endpoint_max).unwrap_or(usize::MAX);
        self.rooms
            .retain(|_, room| room.busy > 0 || !room.rate.is_full());
        let left = |(id, room): (&Uuid, &mut Room)| {
            let left = most.saturating_sub(room.busy).min(room.rate.room());
            (*id, i64::try_from(left).unwrap_or(i64::MAX))
        };
        self.rooms.iter_mut().map(left).collect()
    }

    /// Begins a call in its endpoint's room.
    pub(super) fn begin(&mut self, endpoint: Uuid, call: impl Future<Output = T> + Send + 'static) {
        let per_second = self.per_second_max;
        let room = self.rooms.entry(endpoint).or_insert_with(|| Room {
            busy: 0,
            rate: Rate::new(per_second),
        });
        room.busy = room.busy.saturating_add(1);
        room.rate.take(1);
        let task = self.calls.spawn(call);
        self.on_way.insert(task.id(), endpoint);
    }

    /// What came of a call that is over already.
    pub(super) fn try_next(&mut self) -> Option<T> {
        loop {
            let ended = self.calls.try_join_next_with_id()?;
            if let Some(done) = self.ended(ended) {
                return Some(done);
            }
        }
    }

    /// What came of the next call that ends; none when there is none on its way.
    pub(super) async fn next(&mut self) -> Option<T> {
        loop {
            let ended = self.calls.join_next_with_id().await?;
            if let Some(done) = self.ended(ended) {
                return Some(done);
            }
        }
    }

    /// A call that ended gives its place back.
    pub(super) fn leave(&mut self, endpoint: Uuid) {
        if let Some(room) = self.rooms.get_mut(&endpoint) {
            room.busy = room.busy.saturating_sub(1);
        }
    }

    fn ended(&mut self, ended: Result<(Id, T), JoinError>) -> Option<T> {
        match ended {
            Ok((id, done)) => {
                self.on_way.remove(&id);
                Some(done)
            }
            Err(error) => {
                // Its lease ends by itself.
                tracing::error!(%error, "a webhook was not called to its end");
                let endpoint = self.on_way.remove(&error.id());
                endpoint.into_iter().for_each(|id| self.leave(id));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ENDPOINT: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    #[tokio::test(start_paused = true)]
    async fn a_call_that_panics_gives_its_place_back() {
        let mut rooms = Rooms::<u8>::new(2, 100);
        rooms.begin(ENDPOINT, async { panic!("planted by the test") });
        rooms.begin(ENDPOINT, async { 7 });
        assert_eq!(rooms.busy(), [(ENDPOINT, 0)]);
        assert_eq!(rooms.next().await, Some(7));
        assert_eq!(rooms.next().await, None);
        assert_eq!(rooms.busy(), [(ENDPOINT, 1)], "one has yet to be recorded");
        rooms.leave(ENDPOINT);
        assert_eq!(rooms.busy(), [(ENDPOINT, 2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_rests_is_forgotten() {
        let mut rooms = Rooms::<()>::new(4, 10);
        rooms.begin(ENDPOINT, async {});
        rooms.begin(OTHER, std::future::pending());
        rooms.next().await;
        rooms.leave(ENDPOINT);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(rooms.busy(), [(OTHER, 3)]);
    }

    #[test]
    fn nobody_begins_with_more_than_a_seconds_worth() {
        assert_eq!(Rooms::<()>::new(4, 2).usual(), 2);
        assert_eq!(Rooms::<()>::new(4, 100).usual(), 4);
    }
}
