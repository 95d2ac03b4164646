//! A payment service in the test's own process: idempotent by order and operation, fenced by a
//! reversal, and as forthcoming as the test tells it to be.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use brewline_kernel::OrderId;
use brewline_proto::payment::v1 as wire;
use tonic::{Request, Response, Status};
use wire::outcome::Result as Answer;
use wire::payment_service_server::{PaymentService, PaymentServiceServer};

/// How one call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Done, but the answer says that nobody knows.
    DoneUnknown,
    /// Not done, and nobody knows.
    Unknown,
    /// The card's bank says no.
    Decline,
    /// We say no, for good.
    Refuse,
    /// The whole call fails.
    Fail,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Payments(Arc<Mutex<Ledger>>);

#[derive(Debug, Default)]
struct Ledger {
    moods: BTreeMap<&'static str, VecDeque<Mood>>,
    orders: BTreeMap<String, Order>,
    calls: Vec<(&'static str, String)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Order {
    authorised: Option<bool>,
    captured: bool,
    reversed: bool,
}

// === impl Payments ===

impl Payments {
    /// Serves on a free port until the test ends; answers its URL.
    pub(crate) fn serve(&self) -> String {
        let incoming = tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse().unwrap());
        let incoming = incoming.unwrap();
        let address = incoming.local_addr().unwrap();
        let service = PaymentServiceServer::new(self.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(server.serve_with_incoming(incoming));
        // It lives as long as the test's runtime.
        tasks.detach_all();
        format!("http://{address}")
    }

    /// The next calls of `operation` are answered like this, one mood each; later ones are honest.
    pub(crate) fn will(&self, operation: &'static str, moods: &[Mood]) {
        let mut ledger = self.0.lock().unwrap();
        ledger.moods.entry(operation).or_default().extend(moods);
    }

    /// The operations called for an order, in their order.
    pub(crate) fn called(&self, order_id: OrderId) -> Vec<&'static str> {
        let order_id = order_id.to_string();
        let ledger = self.0.lock().unwrap();
        let calls = ledger.calls.iter().filter(|(_, id)| *id == order_id);
        calls.map(|(operation, _)| *operation).collect()
    }

    /// Whether an order's money is held or taken.
    pub(crate) fn holds_money(&self, order_id: OrderId) -> bool {
        let ledger = self.0.lock().unwrap();
        let order = ledger
            .orders
            .get(&order_id.to_string())
            .copied()
            .unwrap_or_default();
        order.authorised == Some(true) && !order.reversed
    }

    fn answer(&self, operation: &'static str, order_id: String) -> Result<wire::Outcome, Status> {
        let mut ledger = self.0.lock().unwrap();
        ledger.calls.push((operation, order_id.clone()));
        let mood = ledger.moods.entry(operation).or_default().pop_front();
        let order = ledger.orders.entry(order_id).or_default();
        let unknown = Answer::Unknown(wire::Unknown::default());
        let result = match mood {
            Some(Mood::Fail) => return Err(Status::unavailable("as told")),
            Some(Mood::Unknown) => unknown,
            Some(Mood::DoneUnknown) => {
                order.take(operation);
                unknown
            }
            Some(Mood::Refuse) => refused(wire::RefusalReason::Processor),
            Some(Mood::Decline) => {
                order.authorised.get_or_insert(false);
                order.take(operation)
            }
            None => order.take(operation),
        };
        Ok(wire::Outcome {
            result: Some(result),
        })
    }
}

// === impl Order ===

impl Order {
    fn take(&mut self, operation: &str) -> Answer {
        match operation {
            "reverse" => {
                let held = self.authorised == Some(true);
                self.reversed = true;
                done(match (held, self.captured) {
                    (true, true) => wire::Effect::Refunded,
                    (true, false) => wire::Effect::Voided,
                    (false, _) => wire::Effect::Nothing,
                })
            }
            _ if self.reversed => refused(wire::RefusalReason::Reversed),
            "authorise" if *self.authorised.get_or_insert(true) => done(wire::Effect::Authorised),
            "authorise" => Answer::Declined(wire::Declined {
                decline_code: "insufficient".to_owned(),
            }),
            _ if self.authorised == Some(true) => {
                self.captured = true;
                done(wire::Effect::Captured)
            }
            _ => refused(wire::RefusalReason::NotAuthorised),
        }
    }
}

fn done(effect: wire::Effect) -> Answer {
    Answer::Done(wire::Done {
        authorisation_id: "auth".to_owned(),
        effect: effect.into(),
    })
}

fn refused(reason: wire::RefusalReason) -> Answer {
    Answer::Refused(wire::Refused {
        reason: reason.into(),
        detail: "as told".to_owned(),
    })
}

#[tonic::async_trait]
impl PaymentService for Payments {
    async fn authorise(
        &self,
        request: Request<wire::AuthoriseRequest>,
    ) -> Result<Response<wire::AuthoriseResponse>, Status> {
        let outcome = Some(self.answer("authorise", request.into_inner().order_id)?);
        Ok(Response::new(wire::AuthoriseResponse { outcome }))
    }

    async fn authorise_batch(
        &self,
        request: Request<wire::AuthoriseBatchRequest>,
    ) -> Result<Response<wire::AuthoriseBatchResponse>, Status> {
        let mut items = Vec::new();
        for item in request.into_inner().items {
            assert!(
                !item.token.is_empty() && item.amount.is_some(),
                "a card is given"
            );
            let outcome = Some(self.answer("authorise", item.order_id)?);
            items.push(wire::AuthoriseResponse { outcome });
        }
        Ok(Response::new(wire::AuthoriseBatchResponse { items }))
    }

    async fn capture(
        &self,
        request: Request<wire::CaptureRequest>,
    ) -> Result<Response<wire::CaptureResponse>, Status> {
        let outcome = Some(self.answer("capture", request.into_inner().order_id)?);
        Ok(Response::new(wire::CaptureResponse { outcome }))
    }

    async fn capture_batch(
        &self,
        request: Request<wire::CaptureBatchRequest>,
    ) -> Result<Response<wire::CaptureBatchResponse>, Status> {
        let mut items = Vec::new();
        for item in request.into_inner().items {
            let outcome = Some(self.answer("capture", item.order_id)?);
            items.push(wire::CaptureResponse { outcome });
        }
        Ok(Response::new(wire::CaptureBatchResponse { items }))
    }

    async fn reverse(
        &self,
        request: Request<wire::ReverseRequest>,
    ) -> Result<Response<wire::ReverseResponse>, Status> {
        let outcome = Some(self.answer("reverse", request.into_inner().order_id)?);
        Ok(Response::new(wire::ReverseResponse { outcome }))
    }

    async fn reverse_batch(
        &self,
        request: Request<wire::ReverseBatchRequest>,
    ) -> Result<Response<wire::ReverseBatchResponse>, Status> {
        let mut items = Vec::new();
        for item in request.into_inner().items {
            let outcome = Some(self.answer("reverse", item.order_id)?);
            items.push(wire::ReverseResponse { outcome });
        }
        Ok(Response::new(wire::ReverseBatchResponse { items }))
    }

    async fn get_payment(
        &self,
        _: Request<wire::GetPaymentRequest>,
    ) -> Result<Response<wire::GetPaymentResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}
