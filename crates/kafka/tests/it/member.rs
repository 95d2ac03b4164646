//! A member of a group as tests play it: it begins every partition where it is told to.

use std::collections::BTreeMap;
use std::time::Duration;

use brewline_kafka::{Config, Input, Limits, Received, Subscription, TopicPartition};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Member {
    pub(crate) subscription: Subscription,
    pub(crate) inputs: mpsc::Receiver<Input>,
    /// What it holds.
    pub(crate) owned: Vec<TopicPartition>,
    /// What it has read, in order.
    pub(crate) read: Vec<Received>,
    /// Revocations it has not answered.
    pub(crate) revoking: Vec<(Vec<TopicPartition>, oneshot::Sender<()>)>,
    /// How often it was given partitions.
    pub(crate) assignments: usize,
    /// Where partitions begin when they are assigned: where reading stopped; 0 for those missing.
    pub(crate) positions: BTreeMap<TopicPartition, i64>,
}

impl Member {
    pub(crate) fn join(config: &Config, group: &str, topic: &str, limits: Limits) -> Self {
        let (subscription, inputs) = Subscription::start(config, group, &[topic], limits).unwrap();
        Self {
            subscription,
            inputs,
            owned: Vec::new(),
            read: Vec::new(),
            revoking: Vec::new(),
            assignments: 0,
            positions: BTreeMap::new(),
        }
    }

    /// Handles inputs until the condition holds.
    pub(crate) async fn until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        self.within(LIMIT, what, condition).await;
    }

    /// Handles inputs until the condition holds, at most `limit`.
    pub(crate) async fn within(
        &mut self,
        limit: Duration,
        what: &str,
        condition: impl Fn(&Self) -> bool,
    ) {
        let wait = async {
            while !condition(self) {
                let input = self.inputs.recv().await.expect("the subscription goes on");
                self.handle(input);
            }
        };
        let waited = timeout(limit, wait).await;
        assert!(waited.is_ok(), "waited in vain: {what}");
    }

    /// Handles what is there, for a moment.
    pub(crate) async fn idle(&mut self, moment: Duration) {
        let all = async {
            while let Some(input) = self.inputs.recv().await {
                self.handle(input);
            }
        };
        if timeout(moment, all).await.is_ok() {
            panic!("the subscription ended");
        }
    }

    fn handle(&mut self, input: Input) {
        match input {
            Input::Assigned(partitions) => {
                for partition in &partitions {
                    let from = self.positions.get(partition).copied().unwrap_or(0);
                    self.subscription.start_from(partition, from);
                }
                self.assignments += 1;
                self.owned.extend(partitions);
            }
            Input::Records(records) => {
                for record in &records {
                    self.positions
                        .insert(record.topic_partition(), record.offset + 1);
                }
                self.read.extend(records);
            }
            Input::Revoking {
                partitions,
                drained,
            } => {
                self.owned.retain(|own| !partitions.contains(own));
                self.revoking.push((partitions, drained));
            }
            Input::Lost(partitions) => self.owned.retain(|own| !partitions.contains(own)),
            Input::Failed(error) => panic!("{error}"),
        }
    }
}
