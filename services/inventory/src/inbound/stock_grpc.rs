//! `InventoryService`: stock levels and adjustments.

use brewline_inventory_domain::{FieldFault, StockLevel};
use brewline_kernel::StoreId;
use brewline_proto::inventory::v1::inventory_service_server::InventoryService;
use brewline_proto::inventory::v1::{
    AdjustStockRequest, AdjustStockResponse, ListStockRequest, ListStockResponse, StockItem,
};
use tonic::{Request, Response, Status};

use super::grpc::{parse, traceparent};
use crate::app::adjust_stock::{Adjustment, Stock};
use crate::error::Error;

/// The longest name of a caller, in bytes.
const PRINCIPAL_BYTES_MAX: usize = 255;
/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 200;

/// Serves stock.
#[derive(Clone, Debug)]
pub struct StockGrpc(pub Stock);

#[tonic::async_trait]
impl InventoryService for StockGrpc {
    async fn list_stock(
        &self,
        request: Request<ListStockRequest>,
    ) -> Result<Response<ListStockResponse>, Status> {
        let store: StoreId = parse("storeId", &request.into_inner().store_id)?;
        let rows = self.0.list(&store).await?;
        let items = rows
            .iter()
            .map(|row| item(row.product.as_str(), row.account.level()));
        let items = items.collect();
        Ok(Response::new(ListStockResponse { items }))
    }

    async fn adjust_stock(
        &self,
        request: Request<AdjustStockRequest>,
    ) -> Result<Response<AdjustStockResponse>, Status> {
        let trace = traceparent(request.metadata());
        let mut wanted = adjustment(request.into_inner())?;
        wanted.traceparent = trace;
        let answer = self.0.adjust(&wanted).await?;
        Ok(Response::new(AdjustStockResponse {
            item: Some(item(wanted.product.as_str(), answer.level)),
            version: answer.version,
            replayed: answer.replayed,
        }))
    }
}

fn item(product: &str, level: StockLevel) -> StockItem {
    StockItem {
        product_id: product.to_owned(),
        on_hand: level.on_hand,
        reserved: level.reserved,
        available: level.available(),
    }
}

fn adjustment(request: AdjustStockRequest) -> Result<Adjustment, Error> {
    let faults = faults(&request);
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    Ok(Adjustment {
        principal: request.principal,
        key: parse("idempotencyKey", &request.idempotency_key)?,
        store: parse("storeId", &request.store_id)?,
        product: parse("productId", &request.product_id)?,
        delta: request.delta,
        reason: request.reason,
        traceparent: None,
    })
}

fn faults(request: &AdjustStockRequest) -> Vec<FieldFault> {
    let mut faults = Vec::new();
    let mut refuse = |field, detail: String| faults.push(FieldFault { field, detail });
    if !(1..=PRINCIPAL_BYTES_MAX).contains(&request.principal.len()) {
        refuse("principal", format!("has 1 to {PRINCIPAL_BYTES_MAX} bytes"));
    }
    if request.delta == 0 {
        refuse("delta", "0 changes nothing".to_owned());
    }
    let reason = &request.reason;
    if reason.chars().count() > REASON_CHARS_MAX || reason.chars().any(char::is_control) {
        let detail = format!("has at most {REASON_CHARS_MAX} characters, none of them control");
        refuse("reason", detail);
    }
    faults
}
