use brewline_proto::payment::v1 as proto;
use brewline_proto::payment::v1::payment_service_server::PaymentService;
use brewline_server::status;
use futures_util::future::join_all;
use tonic::{Code, Request, Response, Status};

use super::wire::{self, Item};
use crate::Error;
use crate::app::Operations;

/// The most items of one call.
const ITEMS_MAX: usize = 500;

/// `PaymentService`.
#[derive(Debug)]
pub struct Payments {
    operations: Operations,
}

// === impl Payments ===

impl Payments {
    /// Served by `operations`.
    #[must_use]
    pub const fn new(operations: Operations) -> Self {
        Self { operations }
    }

    async fn one(&self, item: Item) -> Result<proto::Outcome, Status> {
        let run = self
            .operations
            .run(item.order_id, item.command, item.payer, item.trace);
        run.await
            .map(wire::outcome)
            .map_err(|error| unavailable(&error))
    }

    /// All at once: the stages behind make batches of what arrives together. An item that could not
    /// be recorded is unknown; only when none could be, the call fails.
    async fn all(&self, items: Vec<Item>) -> Result<Vec<proto::Outcome>, Status> {
        let answers = join_all(items.into_iter().map(|item| self.one(item))).await;
        if let (Some(Err(status)), true) = (answers.first(), answers.iter().all(Result::is_err)) {
            return Err(status.clone());
        }
        Ok(answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(|status| unknown(&status)))
            .collect())
    }
}

#[tonic::async_trait]
impl PaymentService for Payments {
    async fn authorise(
        &self,
        request: Request<proto::AuthoriseRequest>,
    ) -> Result<Response<proto::AuthoriseResponse>, Status> {
        let item = wire::one(wire::authorise(request.into_inner()))?;
        let outcome = Some(self.one(item).await?);
        Ok(Response::new(proto::AuthoriseResponse { outcome }))
    }

    async fn authorise_batch(
        &self,
        request: Request<proto::AuthoriseBatchRequest>,
    ) -> Result<Response<proto::AuthoriseBatchResponse>, Status> {
        let items = bounded(request.into_inner().items)?;
        let outcomes = self.all(wire::all(items, wire::authorise)?).await?;
        let items = outcomes
            .into_iter()
            .map(|it| proto::AuthoriseResponse { outcome: Some(it) })
            .collect();
        Ok(Response::new(proto::AuthoriseBatchResponse { items }))
    }

    async fn capture(
        &self,
        request: Request<proto::CaptureRequest>,
    ) -> Result<Response<proto::CaptureResponse>, Status> {
        let item = wire::one(wire::capture(request.get_ref()))?;
        let outcome = Some(self.one(item).await?);
        Ok(Response::new(proto::CaptureResponse { outcome }))
    }

    async fn capture_batch(
        &self,
        request: Request<proto::CaptureBatchRequest>,
    ) -> Result<Response<proto::CaptureBatchResponse>, Status> {
        let items = bounded(request.into_inner().items)?;
        let outcomes = self.all(wire::all(items, |it| wire::capture(&it))?).await?;
        let items = outcomes
            .into_iter()
            .map(|it| proto::CaptureResponse { outcome: Some(it) })
            .collect();
        Ok(Response::new(proto::CaptureBatchResponse { items }))
    }

    async fn reverse(
        &self,
        request: Request<proto::ReverseRequest>,
    ) -> Result<Response<proto::ReverseResponse>, Status> {
        let item = wire::one(wire::reverse(request.get_ref()))?;
        let outcome = Some(self.one(item).await?);
        Ok(Response::new(proto::ReverseResponse { outcome }))
    }

    async fn reverse_batch(
        &self,
        request: Request<proto::ReverseBatchRequest>,
    ) -> Result<Response<proto::ReverseBatchResponse>, Status> {
        let items = bounded(request.into_inner().items)?;
        let outcomes = self.all(wire::all(items, |it| wire::reverse(&it))?).await?;
        let items = outcomes
            .into_iter()
            .map(|it| proto::ReverseResponse { outcome: Some(it) })
            .collect();
        Ok(Response::new(proto::ReverseBatchResponse { items }))
    }

    async fn get_payment(
        &self,
        request: Request<proto::GetPaymentRequest>,
    ) -> Result<Response<proto::GetPaymentResponse>, Status> {
        let order_id = wire::order_id(&request.get_ref().order_id)
            .map_err(|fault| status::invalid(vec![fault]))?;
        let found = self.operations.find(order_id).await;
        let payment = found.map_err(|error| unavailable(&error))?;
        Ok(Response::new(wire::payment(payment.as_ref())))
    }
}

fn bounded<R>(items: Vec<R>) -> Result<Vec<R>, Status> {
    if items.len() <= ITEMS_MAX {
        return Ok(items);
    }
    let sentence = format!("at most {ITEMS_MAX}");
    Err(status::invalid(vec![("items".to_owned(), sentence)]))
}

fn unavailable(error: &Error) -> Status {
    status::rejection(Code::Unavailable, "payment-unavailable", error.to_string())
}

fn unknown(status: &Status) -> proto::Outcome {
    wire::outcome(brewline_payment_domain::Outcome::Unknown {
        detail: status.message().to_owned(),
    })
}
