//! The words every part of brewline shares: money, ids, instants, envelopes, backoff.
//!
//! Nothing here does I/O, reads a clock or draws a random number. The one exception, [`system`], is
//! behind the feature of the same name, which only shells turn on: a `domain/` package's manifest
//! proves that it cannot ask what time it is.

mod backoff;
mod envelope;
mod idempotency_key;
mod ids;
mod money;
mod saga;
#[cfg(feature = "system")]
pub mod system;
mod timestamp;
mod traceparent;

pub use backoff::{Backoff, InvalidBackoff};
pub use envelope::Envelope;
pub use idempotency_key::{IdempotencyKey, InvalidIdempotencyKey};
pub use ids::{CustomerId, InvalidId, OrderId, ProductId, StoreId};
pub use money::{Currency, InvalidCurrency, Money, MoneyError};
pub use saga::{Reaction, Saga};
pub use timestamp::Timestamp;
pub use traceparent::{InvalidTraceParent, TraceParent};

/// Tells the time. Shells hold one; tests and the simulator hold one they turn by hand.
pub trait Clock: Send + Sync + 'static {
    /// The instant now.
    fn now(&self) -> Timestamp;
}

/// Makes ids that sort by the time they were made (UUID version 7).
pub trait IdGenerator: Send + Sync + 'static {
    /// A new id.
    fn next(&self) -> uuid::Uuid;
}
