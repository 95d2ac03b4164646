//! `/v1/tickets/{ticketId}`

use std::str::FromStr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use brewline_proto::fulfilment::v1 as wire;
use uuid::Uuid;

use super::call::Call;
use super::consistency::{self, CONSISTENCY};
use super::edge::Edge;
use super::path::{Id, Named};
use super::principal::Principal;
use super::problem::Problem;
use super::respond::Answer;
use super::status::nonsense;
use super::wall_view::TicketView;

/// The service that is asked here.
pub(super) const BARISTA: &str = "barista";

/// A ticket's id.
#[derive(Clone, Copy, Debug)]
pub(super) struct TicketId(Uuid);

/// A ticket after it was worked on.
#[derive(Debug)]
pub(super) struct Worked {
    ticket: wire::TicketState,
    version: i64,
}

/// `POST /v1/tickets/{ticketId}/start`
pub(super) async fn start(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(ticket): Id<TicketId>,
) -> Result<Response, Problem> {
    begin(&edge, call, ticket).await?.answer()
}

/// `POST /v1/tickets/{ticketId}/done`
pub(super) async fn done(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(ticket): Id<TicketId>,
) -> Result<Response, Problem> {
    finish(&edge, call, ticket).await?.answer()
}

/// Begins with a ticket.
pub(super) async fn begin(edge: &Edge, call: Call, ticket: TicketId) -> Result<Worked, Problem> {
    let ticket_id = ticket.0.to_string();
    let mut fulfilment = edge.upstreams().fulfilment.clone();
    let answer = call
        .to(BARISTA)
        .write(wire::StartTicketRequest { ticket_id }, async |request| {
            fulfilment.start_ticket(request).await
        })
        .await?;
    Worked::new(answer.ticket, answer.version)
}

/// Finishes a ticket.
pub(super) async fn finish(edge: &Edge, call: Call, ticket: TicketId) -> Result<Worked, Problem> {
    let ticket_id = ticket.0.to_string();
    let mut fulfilment = edge.upstreams().fulfilment.clone();
    let answer = call
        .to(BARISTA)
        .write(wire::FinishTicketRequest { ticket_id }, async |request| {
            fulfilment.finish_ticket(request).await
        })
        .await?;
    Worked::new(answer.ticket, answer.version)
}

// === impl TicketId ===

impl Named for TicketId {
    const NAME: &'static str = "ticketId";
}

impl FromStr for TicketId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| "a ticket id is a UUID")
    }
}

// === impl Worked ===

impl Worked {
    fn new(ticket: Option<wire::TicketState>, version: i64) -> Result<Self, Problem> {
        let ticket = ticket.ok_or_else(|| nonsense("the ticket"))?;
        Ok(Self { ticket, version })
    }

    fn answer(self) -> Result<Response, Problem> {
        let subject = &self.ticket.order_id;
        let token = consistency::token(consistency::FULFILMENT, subject, self.version);
        let answer = Answer::json(StatusCode::OK, &TicketView::from(self.ticket))?;
        Ok(answer.with(CONSISTENCY, token).finish())
    }
}
