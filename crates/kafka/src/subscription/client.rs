//! The client behind a subscription, which can be replaced while the subscription lives on.

use std::sync::Arc;
use std::{mem, thread};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::membership::{Callbacks, Membership};
use super::{GATHER_BYTES, Limits};
use crate::{Config, Error};

pub(super) struct Client {
    settings: ClientConfig,
    topics: Vec<Arc<str>>,
    consumer: BaseConsumer<Callbacks>,
}

// === impl Client ===

impl Client {
    /// A client that joins `group` for `topics`.
    pub(super) fn join(
        config: &Config,
        group: &str,
        topics: &[&str],
        limits: Limits,
        member: Arc<Membership>,
    ) -> Result<Self, Error> {
        let settings = settings(config, group, limits);
        let client = Self {
            consumer: make(&settings, member)?,
            topics: topics.iter().map(|topic| Arc::from(*topic)).collect(),
            settings,
        };
        client.subscribe()?;
        Ok(client)
    }

    /// Leaves the group, which gives the application time to finish what it has in hand, and joins it
    /// with a client that knows nothing.
    pub(super) fn replace(&mut self) -> Result<(), Error> {
        let fresh = make(&self.settings, Arc::clone(self.member()))?;
        // The old one leaves as it is dropped here, and only then the new one joins: the group never
        // sees two of us.
        self.consumer = fresh;
        self.subscribe()
    }

    /// Joins the group with a client that knows nothing, in the place of one that knows nobody. That one
    /// cannot leave: leaving waits for a coordinator that it never finds. A thread of its own waits with it,
    /// and it is not heard any more.
    pub(super) fn abandon(&mut self) -> Result<(), Error> {
        let fresh = make(&self.settings, Arc::clone(self.member()))?;
        let old = mem::replace(&mut self.consumer, fresh);
        old.context().mute();
        thread::Builder::new()
            .name("kafka-abandoned".to_owned())
            .spawn(move || drop(old))
            .map_err(|_| Error::Closed)?;
        self.subscribe()
    }

    pub(super) const fn consumer(&self) -> &BaseConsumer<Callbacks> {
        &self.consumer
    }

    pub(super) fn member(&self) -> &Arc<Membership> {
        self.consumer.context().member()
    }

    /// What it subscribes to.
    pub(super) fn topics(&self) -> &[Arc<str>] {
        &self.topics
    }

    fn subscribe(&self) -> Result<(), Error> {
        let topics: Vec<&str> = self.topics.iter().map(AsRef::as_ref).collect();
        self.consumer
            .subscribe(&topics)
            .map_err(Error::while_doing("subscribe"))
    }
}

fn make(
    settings: &ClientConfig,
    member: Arc<Membership>,
) -> Result<BaseConsumer<Callbacks>, Error> {
    let shared = Arc::clone(&member.shared);
    let mut consumer: BaseConsumer<Callbacks> = settings
        .create_with_context(Callbacks::new(member))
        .map_err(Error::while_doing("make a consumer"))?;
    consumer.set_nonempty_callback(move || shared.wake());
    Ok(consumer)
}

fn settings(config: &Config, group: &str, limits: Limits) -> ClientConfig {
    let session = config.session_timeout.as_millis();
    let mut settings = config.client();
    settings
        .set("group.id", group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", session.to_string())
        .set("heartbeat.interval.ms", "500")
        // The thread polls at least ten times a second; a member that does not for this long hangs.
        .set("max.poll.interval.ms", session.max(60_000).to_string())
        // Positions live in the consumer's database; the group's offsets are for tools alone.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set(
            "queued.max.messages.kbytes",
            limits.prefetch_kib_max.to_string(),
        )
        // After its queue was full, the client waits this long before it fetches again.
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.error.backoff.ms", "100");
    if !limits.gather.is_zero() {
        settings
            .set("fetch.min.bytes", GATHER_BYTES.to_string())
            .set("fetch.wait.max.ms", limits.gather.as_millis().to_string());
    }
    settings
}
