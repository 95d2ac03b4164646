use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::thread::{self, Thread};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer,
};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::oneshot;

use crate::{Config, Connection, Error, Record, native};

/// The longest one hurried flush waits; another follows if there is still something to hurry.
const HURRY_WAIT: Duration = Duration::from_secs(1);

/// What may differ between producers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerSettings {
    /// How long a record waits for others to travel with. 3 ms: the broker pays per request, not per
    /// record. Who has nothing more to send calls [`Producer::hurry`].
    pub linger: Duration,
    /// A record not acknowledged by then fails. It may be in the log all the same.
    pub message_timeout: Duration,
    /// The most records queued; more are refused with [`Error::QueueFull`].
    pub queue_records_max: u32,
    /// The most memory queued records may take, in KiB.
    pub queue_kib_max: u32,
}

/// An idempotent producer: what it is given for one partition arrives there in that order, once.
/// Cloning shares it; the last clone dropped throws away what is still queued, so flush first.
#[derive(Clone)]
pub struct Producer(Arc<Inner>);

/// The broker's answer to one record: partition and offset. Dropping it does not unsend the record.
#[derive(Debug)]
pub struct Delivery(oneshot::Receiver<Result<(i32, i64), Error>>);

struct Inner {
    client: Arc<ThreadedProducer<Reports>>,
    hurrier: Hurrier,
}

/// A thread that flushes when asked to, so that asking costs nothing.
struct Hurrier {
    asked: Arc<Asked>,
    thread: Thread,
}

#[derive(Default)]
struct Asked {
    hurry: AtomicBool,
    stop: AtomicBool,
}

/// Hands delivery reports to those who wait for them.
struct Reports(Connection);

type Report = oneshot::Sender<Result<(i32, i64), Error>>;

// === impl ProducerSettings ===

impl Default for ProducerSettings {
    fn default() -> Self {
        Self {
            linger: Duration::from_millis(3),
            message_timeout: Duration::from_secs(30),
            queue_records_max: 100_000,
            queue_kib_max: 64 * 1024,
        }
    }
}

// === impl Producer ===

impl Producer {
    /// Makes a producer. It connects in the background.
    ///
    /// # Errors
    /// When the settings do not fit together.
    pub fn new(config: &Config, settings: ProducerSettings) -> Result<Self, Error> {
        let client: ThreadedProducer<Reports> = config
            .client()
            // Idempotence keeps order and refuses doubles through retries, with acks from all
            // replicas and at most five requests in flight.
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("compression.type", "lz4")
            .set("linger.ms", settings.linger.as_millis().to_string())
            .set(
                "message.timeout.ms",
                settings.message_timeout.as_millis().to_string(),
            )
            .set(
                "queue.buffering.max.messages",
                settings.queue_records_max.to_string(),
            )
            .set(
                "queue.buffering.max.kbytes",
                settings.queue_kib_max.to_string(),
            )
            .create_with_context(Reports(Connection::default()))
            .map_err(Error::while_doing("make a producer"))?;
        let client = Arc::new(client);
        let hurrier = Hurrier::start(Arc::clone(&client))?;
        Ok(Self(Arc::new(Inner { client, hurrier })))
    }

    /// Queues a record and returns at once. Records for one partition arrive in the order of these
    /// calls.
    ///
    /// # Errors
    /// [`Error::QueueFull`], or another when the record cannot be sent at all.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a record is handed over: sending it twice is never meant"
    )]
    pub fn send(&self, record: Record) -> Result<Delivery, Error> {
        let (report, delivery) = oneshot::channel();
        let headers = native_headers(&record.headers);
        let mut native = BaseRecord::with_opaque_to(&record.topic, Box::new(report))
            .key(record.key.as_ref())
            .headers(headers);
        if let Some(payload) = &record.payload {
            native = native.payload(payload.as_ref());
        }
        if let Some(partition) = record.partition {
            native = native.partition(partition);
        }
        if let Some(timestamp) = record.timestamp {
            native = native.timestamp(timestamp.as_millis());
        }
        match self.0.client.send(native) {
            Ok(()) => Ok(Delivery(delivery)),
            Err((KafkaError::MessageProduction(Code::QueueFull), _)) => Err(Error::QueueFull),
            Err((source, _)) => Err(Error::Client {
                doing: "queue a record",
                source,
            }),
        }
    }

    /// Sends what is queued without waiting for the linger. Returns at once: for a sender that has
    /// nothing more to add.
    pub fn hurry(&self) {
        self.0.hurrier.hurry();
    }

    /// Sends what is queued without waiting for the linger, and waits until all of it is acknowledged
    /// or has failed.
    ///
    /// # Errors
    /// When that takes longer than `wait`.
    pub async fn flush(&self, wait: Duration) -> Result<(), Error> {
        let client = Arc::clone(&self.0.client);
        tokio::task::spawn_blocking(move || native::flush(client.client(), wait))
            .await
            .map_err(|_| Error::Closed)?
            .map_err(Error::while_doing("flush"))
    }

    /// Throws away everything queued, also what is on its way: those records fail, and may be in the
    /// log all the same.
    pub fn purge(&self) {
        self.0
            .client
            .purge(PurgeConfig::default().queue().inflight());
    }

    /// How many records wait to be acknowledged.
    #[must_use]
    pub fn queued(&self) -> usize {
        usize::try_from(self.0.client.in_flight_count()).unwrap_or(0)
    }

    /// Asks a broker for its metadata: whether sending can work at all.
    ///
    /// # Errors
    /// When no broker answers within `wait`, with what the client complained of last.
    pub async fn check(&self, wait: Duration) -> Result<(), Error> {
        let client = Arc::clone(&self.0.client);
        let answer =
            tokio::task::spawn_blocking(move || client.client().fetch_metadata(None, wait))
                .await
                .map_err(|_| Error::Closed)?;
        match answer {
            Ok(_) => {
                self.connection().works();
                Ok(())
            }
            Err(_) => Err(Error::Unanswered {
                doing: "ask the broker for metadata",
                complaint: self.connection().last_error(),
            }),
        }
    }

    /// How it stands with its brokers.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.0.client.context().0
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}

fn native_headers(headers: &[(String, bytes::Bytes)]) -> OwnedHeaders {
    let empty = OwnedHeaders::new_with_capacity(headers.len());
    headers.iter().fold(empty, |native, (key, value)| {
        native.insert(Header {
            key,
            value: Some(value.as_ref()),
        })
    })
}

// === impl Delivery ===

impl Future for Delivery {
    type Output = Result<(i32, i64), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The sender is dropped unanswered only together with the client.
        let answer = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(answer.unwrap_or(Err(Error::Closed)))
    }
}

// === impl Hurrier ===

impl Hurrier {
    fn start(client: Arc<ThreadedProducer<Reports>>) -> Result<Self, Error> {
        let asked = Arc::new(Asked::default());
        let seen = Arc::clone(&asked);
        let handle = thread::Builder::new()
            .name("kafka-hurry".to_owned())
            .spawn(move || {
                while !seen.stop.load(Ordering::Acquire) {
                    // Asked for again while it flushes, it flushes again: nothing queued before the
                    // latest call is left to linger.
                    if seen.hurry.swap(false, Ordering::AcqRel) {
                        // Running out of time is no failure: each record reports for itself.
                        drop(native::flush(client.client(), HURRY_WAIT));
                    } else {
                        thread::park();
                    }
                }
            })
            .map_err(|_| Error::Closed)?;
        let thread = handle.thread().clone();
        Ok(Self { asked, thread })
    }

    fn hurry(&self) {
        self.asked.hurry.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Drop for Hurrier {
    fn drop(&mut self) {
        self.asked.stop.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

// === impl Reports ===

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Report>;

    fn delivery(&self, result: &DeliveryResult<'_>, report: Box<Report>) {
        let answer = match result {
            Ok(message) => {
                self.0.works();
                Ok((message.partition(), message.offset()))
            }
            Err((error, _)) => Err(Error::Delivery(error.clone())),
        };
        // Whoever asked may have gone; the record is in the log all the same.
        drop(report.send(answer));
    }
}
