use std::collections::BTreeSet;

use brewline_order_domain::order::Placement;
use brewline_order_domain::pricing::{self, FieldFault};

use super::{Refusal, Waiting};
use crate::app::catalogue::Snapshot;

/// Prices one request, or says everything that is wrong with it.
pub(super) fn judge(
    waiting: &Waiting,
    catalogue: &Snapshot,
    customers: &BTreeSet<String>,
) -> Result<Placement, Refusal> {
    let request = &waiting.request;
    let mut faults = Vec::new();
    if !customers.contains(request.customer_id.as_str()) {
        faults.push(FieldFault {
            field: "customerId".to_owned(),
            detail: "there is no such customer".to_owned(),
        });
    }
    let store = catalogue.store(&request.store_id);
    match pricing::price(store, &request.lines, |id| catalogue.product(id)) {
        Ok(priced) if faults.is_empty() => Ok(Placement {
            order_id: waiting.order_id,
            store_id: request.store_id.clone(),
            customer_id: request.customer_id.clone(),
            lines: priced.lines,
            total: priced.total,
        }),
        Ok(_) => Err(invalid(faults)),
        Err(wrong) => {
            faults.extend(wrong);
            Err(invalid(faults))
        }
    }
}

/// The first fault is the one that the answer as a whole names, by word and by sentence.
fn invalid(mut fields: Vec<FieldFault>) -> Refusal {
    fields.sort_by_key(|fault| kind(&fault.field).0);
    let reason = fields.first().map(|fault| kind(&fault.field).1);
    let reason = reason.unwrap_or("invalid-request");
    Refusal::Invalid { reason, fields }
}

/// What a fault of a field is called, and its place in the order in which a caller would mend them.
fn kind(field: &str) -> (u8, &'static str) {
    match field {
        "storeId" => (0, "unknown-store"),
        "customerId" => (1, "unknown-customer"),
        field if field.ends_with(".productId") => (2, "unknown-product"),
        _ => (3, "invalid-request"),
    }
}
