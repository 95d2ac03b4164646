//! Reads the log for a rebuild, up to given offsets and no further: what lies behind them waits.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use brewline_kafka as kafka;
use brewline_kafka::{Reader, Received, TopicPartition, Until};
use tokio::time::Instant;

/// Offsets by partition.
pub(super) type Offsets = BTreeMap<TopicPartition, i64>;

/// Records in one transaction.
const BATCH_RECORDS_MAX: usize = 500;
/// Records held that lie behind the target; reading rests while there are more.
const AHEAD_RECORDS_MAX: usize = 5_000;
/// A batch that is not full goes on its way when nothing has come for so long.
const QUIET: Duration = Duration::from_millis(10);

/// The log of some topics, read from its beginning.
pub(super) struct Source {
    reader: Reader,
    ahead: BTreeMap<TopicPartition, VecDeque<Received>>,
    handed_out: Offsets,
}

// === impl Source ===

impl Source {
    pub(super) async fn open(
        config: &kafka::Config,
        topics: &[&str],
    ) -> Result<Self, kafka::Error> {
        let reader = Reader::open(config, topics, Offsets::new(), Until::Stopped).await?;
        Ok(Self {
            reader,
            ahead: BTreeMap::new(),
            handed_out: Offsets::new(),
        })
    }

    /// The ends of the log when reading began.
    pub(super) const fn ends(&self) -> &Offsets {
        self.reader.ends()
    }

    /// Whether everything before `target` was handed out.
    pub(super) fn has_reached(&self, target: &Offsets) -> bool {
        target
            .iter()
            .all(|(place, end)| self.handed_out.get(place).copied().unwrap_or(0) >= *end)
    }

    /// The next records before `target`, each partition's in order; none when they did not come
    /// before `deadline`.
    pub(super) async fn next(
        &mut self,
        target: &Offsets,
        deadline: Instant,
    ) -> Result<Vec<Received>, kafka::Error> {
        let mut batch = Vec::new();
        self.take_ahead(target, &mut batch);
        while batch.len() < BATCH_RECORDS_MAX && self.ahead_len() < AHEAD_RECORDS_MAX {
            let until = if batch.is_empty() {
                deadline
            } else {
                deadline.min(Instant::now() + QUIET)
            };
            let Ok(next) = tokio::time::timeout_at(until, self.reader.next()).await else {
                break;
            };
            let record = next.ok_or(kafka::Error::Closed)??;
            self.sort_in(record, target, &mut batch);
            if self.has_reached(target) {
                break;
            }
        }
        Ok(batch)
    }

    fn sort_in(&mut self, record: Received, target: &Offsets, batch: &mut Vec<Received>) {
        let place = record.topic_partition();
        let end = target.get(&place).copied().unwrap_or(0);
        if record.offset < end {
            self.handed_out
                .insert(place, record.offset.saturating_add(1));
            batch.push(record);
        } else {
            self.ahead.entry(place).or_default().push_back(record);
        }
    }

    fn take_ahead(&mut self, target: &Offsets, batch: &mut Vec<Received>) {
        for (place, queue) in &mut self.ahead {
            let end = target.get(place).copied().unwrap_or(0);
            while batch.len() < BATCH_RECORDS_MAX
                && queue.front().is_some_and(|record| record.offset < end)
            {
                let Some(record) = queue.pop_front() else {
                    break;
                };
                self.handed_out
                    .insert(place.clone(), record.offset.saturating_add(1));
                batch.push(record);
            }
        }
    }

    fn ahead_len(&self) -> usize {
        self.ahead.values().map(VecDeque::len).sum()
    }
}
