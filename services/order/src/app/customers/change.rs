//! Change what is known of a customer.

use brewline_kernel::{CustomerId, TraceParent};
use brewline_proto::customer::v1 as wire;

use super::{Error, changed, on_wire};
use crate::Parts;
use crate::outbound::customer_store::{self, Customer};

/// A request to change a customer, parsed. What is none stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeCustomer {
    /// Whom.
    pub customer_id: CustomerId,
    /// The name.
    pub name: Option<String>,
    /// The address for mails.
    pub email: Option<String>,
    /// The language, as BCP 47.
    pub locale: Option<String>,
    /// Whether boards may show the name.
    pub show_name: Option<bool>,
    /// Only at this version; none: at whatever version.
    pub expected_version: Option<i64>,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// Changes a customer and tells its whole new state. What is so already changes nothing.
///
/// # Errors
/// When there is none, it was erased, it stands at another version, or the database fails.
pub async fn change(parts: &Parts, request: ChangeCustomer) -> Result<wire::Customer, Error> {
    let mut connection = parts.pool.get().await?;
    let tx = connection.transaction().await?;
    let before = customer_store::lock(&tx, &request.customer_id).await?;
    let before = before.ok_or(Error::NotFound)?;
    if before.erased {
        return Err(Error::Erased);
    }
    let stands_at = before.version;
    if request
        .expected_version
        .is_some_and(|version| version != stands_at)
    {
        return Err(Error::VersionConflict { stands_at });
    }
    let trace = request.traceparent;
    let after = request.applied_to(before.clone());
    if after == before {
        return Ok(on_wire(&before));
    }
    let after = Customer {
        version: stands_at.saturating_add(1),
        ..after
    };
    customer_store::update(&tx, &after).await?;
    let event = changed(&after, trace, parts.ids.next(), parts.clock.now());
    parts.store.outbox().append(&tx, &[event]).await?;
    tx.commit().await?;
    Ok(on_wire(&after))
}

// === impl ChangeCustomer ===

impl ChangeCustomer {
    fn applied_to(self, before: Customer) -> Customer {
        Customer {
            name: self.name.unwrap_or(before.name),
            email: self.email.unwrap_or(before.email),
            locale: self.locale.unwrap_or(before.locale),
            show_name: self.show_name.unwrap_or(before.show_name),
            ..before
        }
    }
}
