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

fn invalid(fields: Vec<FieldFault>) -> Refusal {
    let reason = reason(&fields);
    Refusal::Invalid { reason, fields }
}

/// One word for all faults: the first of them in the order in which a caller would mend them.
fn reason(fields: &[FieldFault]) -> &'static str {
    let any = |wrong: fn(&str) -> bool| fields.iter().any(|fault| wrong(&fault.field));
    if any(|field| field == "storeId") {
        "unknown-store"
    } else if any(|field| field == "customerId") {
        "unknown-customer"
    } else if any(|field| field.ends_with(".productId")) {
        "unknown-product"
    } else {
        "invalid-request"
    }
}
