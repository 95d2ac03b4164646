//! Customers: created once per idempotency key, changed, erased; told to others as whole states.

mod change;
mod erase;

use brewline_kernel::{CustomerId, Envelope, IdempotencyKey, Timestamp, TraceParent};
use brewline_messaging::NewEvent;
use brewline_postgres as postgres;
use brewline_proto::customer::v1 as wire;
use bytes::Bytes;
use prost::Message as _;

use crate::Parts;
use crate::outbound::customer_store::{self, Customer};
use crate::outbound::idempotency_store::{self as idempotency, Claim, Fingerprint, Makes, OwnKey};
use crate::outbound::store::SOURCE;
pub use change::{ChangeCustomer, change};
pub use erase::{erase, erase_again, erase_until_done};

/// The topic of customers. Compacted.
pub const TOPIC: &str = "brewline.customer.events.v1";
/// The aggregate's name in the outbox.
const AGGREGATE_TYPE: &str = "customer";
const CUSTOMER_CHANGED: &str = "brewline.customer.v1.CustomerChanged";
/// The route under which idempotency keys of customers are kept.
const ROUTE: &str = "create-customer";
/// How long a request whose key is in flight elsewhere waits for the other one's answer.
const IN_FLIGHT_WAIT_MS: u32 = 1_000;

/// A request to create a customer, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateCustomer {
    /// Who asks.
    pub principal: String,
    /// The caller's name for this request.
    pub key: IdempotencyKey,
    /// SHA-256 of the parsed body.
    pub fingerprint: Fingerprint,
    /// The id the customer shall have; none: one is made.
    pub customer_id: Option<CustomerId>,
    /// The name.
    pub name: String,
    /// The address for mails.
    pub email: String,
    /// The language, as BCP 47.
    pub locale: String,
    /// Whether boards may show the name.
    pub show_name: bool,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// A created customer.
#[derive(Debug, Clone, PartialEq)]
pub struct Created {
    /// The customer as it was created.
    pub customer: wire::Customer,
    /// True when this answer was given before under the same key.
    pub replayed: bool,
}

/// Why there is no customer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database's fault. When it went away at the commit the customer may exist; asking again under
    /// the same key is harmless.
    #[error(transparent)]
    Database(#[from] postgres::Error),
    /// The key was used for another body.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// A request with the same key is being worked on elsewhere.
    #[error("a request with the same idempotency key is in flight")]
    KeyInFlight,
    /// The id that was chosen is taken.
    #[error("there is a customer with this id already")]
    Exists,
    /// There is no such customer.
    #[error("there is no such customer")]
    NotFound,
    /// The customer's personal data was erased.
    #[error("the customer was erased")]
    Erased,
    /// It is not at the version that the change was meant for.
    #[error("the customer stands at version {stands_at}")]
    VersionConflict {
        /// Where it stands.
        stands_at: i64,
    },
    /// A stored answer cannot be read.
    #[error("a stored answer cannot be read: {0}")]
    Stored(#[from] prost::DecodeError),
}

/// Creates a customer.
///
/// # Errors
/// When the key or the id is taken, or the database fails.
pub async fn create(parts: &Parts, request: CreateCustomer) -> Result<Created, Error> {
    let customer = request.customer(parts);
    let answer = on_wire(&customer);
    let own = request.own_key();
    let claim = Claim {
        key: own.clone(),
        fingerprint: request.fingerprint,
        makes: Makes::Customer(customer.customer_id.clone(), answer.encode_to_vec()),
    };
    let mut connection = parts.pool.get().await?;
    let tx = connection.transaction().await?;
    idempotency::limit_lock_wait(&tx, IN_FLIGHT_WAIT_MS).await?;
    let claimed = idempotency::claim(&tx, ROUTE, vec![claim]).await;
    if claimed.map_err(in_flight)?.is_empty() {
        return replay(&tx, &request, own).await;
    }
    if !customer_store::insert(&tx, &customer).await? {
        // Nothing is kept under the key: the transaction ends here.
        return Err(Error::Exists);
    }
    let event = changed(
        &customer,
        request.traceparent,
        parts.ids.next(),
        parts.clock.now(),
    );
    parts.store.outbox().append(&tx, &[event]).await?;
    tx.commit().await?;
    Ok(Created {
        customer: answer,
        replayed: false,
    })
}

/// One customer.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn get(parts: &Parts, customer_id: &CustomerId) -> Result<wire::Customer, Error> {
    let connection = parts.pool.get().await?;
    match customer_store::get(&connection, customer_id).await? {
        None => Err(Error::NotFound),
        Some(customer) if customer.erased => Err(Error::Erased),
        Some(customer) => Ok(on_wire(&customer)),
    }
}

async fn replay(
    tx: &postgres::Transaction<'_>,
    request: &CreateCustomer,
    own: OwnKey,
) -> Result<Created, Error> {
    let mut taken = idempotency::find(tx, ROUTE, std::slice::from_ref(&own)).await?;
    let taken = taken.remove(&own).ok_or(Error::KeyInFlight)?;
    if taken.fingerprint != request.fingerprint {
        return Err(Error::KeyReused);
    }
    let answer = taken.answer.unwrap_or_default();
    Ok(Created {
        customer: wire::Customer::decode(answer.as_slice())?,
        replayed: true,
    })
}

fn in_flight(error: postgres::Error) -> Error {
    if error.code() == Some("55P03") {
        Error::KeyInFlight
    } else {
        Error::Database(error)
    }
}

fn on_wire(customer: &Customer) -> wire::Customer {
    wire::Customer {
        customer_id: customer.customer_id.to_string(),
        name: customer.name.clone(),
        email: customer.email.clone(),
        locale: customer.locale.clone(),
        show_name: customer.show_name,
        version: customer.version,
        erased: customer.erased,
    }
}

/// The whole state, for everyone who keeps a copy.
fn changed(
    customer: &Customer,
    traceparent: Option<TraceParent>,
    id: uuid::Uuid,
    time: Timestamp,
) -> NewEvent {
    let body = wire::CustomerChanged {
        customer_id: customer.customer_id.to_string(),
        name: customer.name.clone(),
        email: customer.email.clone(),
        locale: customer.locale.clone(),
        show_name: customer.show_name,
        erased: customer.erased,
    };
    NewEvent {
        topic: TOPIC,
        aggregate_type: AGGREGATE_TYPE,
        envelope: Envelope {
            id,
            event_type: CUSTOMER_CHANGED.to_owned(),
            source: SOURCE.to_owned(),
            subject: customer.customer_id.to_string(),
            version: customer.version,
            time,
            // A request set it in motion, and nothing else follows from it.
            correlation_id: id,
            causation_id: None,
            traceparent,
        },
        payload: Some(Bytes::from(body.encode_to_vec())),
    }
}

// === impl CreateCustomer ===

impl CreateCustomer {
    fn own_key(&self) -> OwnKey {
        OwnKey {
            principal: self.principal.clone(),
            key: self.key.to_string(),
        }
    }

    fn customer(&self, parts: &Parts) -> Customer {
        let made = || {
            let id = parts.ids.next().to_string();
            id.parse().expect("a UUID in lower case is a valid id")
        };
        Customer {
            customer_id: self.customer_id.clone().unwrap_or_else(made),
            name: self.name.clone(),
            email: self.email.clone(),
            locale: self.locale.clone(),
            show_name: self.show_name,
            version: 1,
            erased: false,
        }
    }
}
