use brewline_kernel::{Currency, CustomerId, Money, OrderId, Timestamp, TraceParent};
use brewline_order_domain::checkout::{
    Call, CheckoutState, Effect, Money as MoneyKnown, ParkReason, Parked, Phase, Stock,
};
use brewline_postgres::{Instant, Row, ToSql};
use uuid::Uuid;

use super::{Card, CardToken, Error, LogRow, SagaRow};

/// The columns of rows to be written, as arrays.
#[derive(Default)]
pub(super) struct Columns {
    ids: Vec<Uuid>,
    states: Vec<&'static str>,
    steps: Vec<&'static str>,
    resumes_in: Vec<Option<&'static str>>,
    parked_reasons: Vec<Option<&'static str>>,
    stocks: Vec<&'static str>,
    authorise: Vec<&'static str>,
    capture: Vec<&'static str>,
    reverse: Vec<&'static str>,
    reversed_effects: Vec<Option<&'static str>>,
    payment_statuses: Vec<&'static str>,
    versions: Vec<i64>,
    log_lengths: Vec<i64>,
    attempts: Vec<i32>,
    unknown_since: Vec<Option<Instant>>,
    deadlines: Vec<Option<Instant>>,
    due: Vec<Option<Instant>>,
    open: Vec<bool>,
    needs_card: Vec<bool>,
}

/// The columns of log entries to be written, as arrays.
#[derive(Default)]
pub(super) struct LogColumns {
    ids: Vec<Uuid>,
    sequences: Vec<i64>,
    from: Vec<&'static str>,
    to: Vec<&'static str>,
    triggers: Vec<&'static str>,
    actions: Vec<String>,
}

/// The saga in `row`, whose columns stand in the order of the statements that lock.
pub(super) fn read(row: &Row) -> Result<SagaRow, Error> {
    let order_id = OrderId::new(row.get(0));
    let corrupt = |column| Error::Corrupt { order_id, column };
    let phase = phase(row.get(1)).ok_or_else(|| corrupt("state"))?;
    Ok(SagaRow {
        order_id,
        state: CheckoutState {
            phase,
            parked: parked(row.get(2), row.get(3)).map_err(corrupt)?,
            stock: named(&Stock::ALL, Stock::as_str, row.get(4)).ok_or_else(|| corrupt("stock"))?,
            money: money(row).map_err(corrupt)?,
            deadline_at: instant(row.get(13)),
            started_at: row.get::<_, Instant>(20).0,
            attempts: u32::try_from(row.get::<_, i32>(11)).unwrap_or_default(),
            unknown_since: instant(row.get(12)),
        },
        version: row.get(9),
        log_length: row.get(10),
        due_at: instant(row.get(14)),
        card: card(row).map_err(corrupt)?,
        traceparent: row
            .get::<_, Option<&str>>(19)
            .and_then(|text| text.parse::<TraceParent>().ok()),
    })
}

fn money(row: &Row) -> Result<MoneyKnown, &'static str> {
    let call = |index, column| named(&Call::ALL, Call::as_str, row.get(index)).ok_or(column);
    let undone = row
        .get::<_, Option<&str>>(8)
        .map(|text| named(&Effect::ALL, Effect::as_str, text).ok_or("reversed_effect"))
        .transpose()?;
    Ok(MoneyKnown {
        authorise: call(5, "authorise")?,
        capture: call(6, "capture")?,
        reverse: call(7, "reverse")?,
        undone,
    })
}

fn card(row: &Row) -> Result<Card, &'static str> {
    let currency: Currency = row.get::<_, &str>(17).parse().map_err(|_| "currency")?;
    let customer_id: CustomerId = row.get::<_, &str>(18).parse().map_err(|_| "customer_id")?;
    Ok(Card {
        token: CardToken::new(row.get(15)),
        amount: Money::new(row.get(16), currency),
        customer_id,
    })
}

fn parked(resumes_in: Option<&str>, reason: Option<&str>) -> Result<Option<Parked>, &'static str> {
    let (Some(resumes_in), Some(reason)) = (resumes_in, reason) else {
        return Ok(None);
    };
    let resumes_in = phase(resumes_in).ok_or("resumes_in")?;
    let reason = named(&ParkReason::ALL, ParkReason::as_str, reason).ok_or("parked_reason")?;
    Ok(Some(Parked { resumes_in, reason }))
}

fn phase(text: &str) -> Option<Phase> {
    named(&Phase::ALL, Phase::as_str, text)
}

fn named<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, text: &str) -> Option<T> {
    all.iter().copied().find(|value| name(*value) == text)
}

fn instant(instant: Option<Instant>) -> Option<Timestamp> {
    instant.map(|instant| instant.0)
}

// === impl Columns ===

impl Columns {
    pub(super) fn of(sagas: &[SagaRow]) -> Self {
        let mut columns = Self::default();
        for saga in sagas {
            columns.push_memory(&saga.state);
            columns.push_rest(saga);
        }
        columns
    }

    fn push_memory(&mut self, state: &CheckoutState) {
        self.states.push(state.phase.as_str());
        self.steps.push(state.waits_for());
        self.resumes_in
            .push(state.parked.map(|parked| parked.resumes_in.as_str()));
        self.parked_reasons
            .push(state.parked.map(|parked| parked.reason.as_str()));
        self.stocks.push(state.stock.as_str());
        self.authorise.push(state.money.authorise.as_str());
        self.capture.push(state.money.capture.as_str());
        self.reverse.push(state.money.reverse.as_str());
        self.reversed_effects
            .push(state.money.undone.map(Effect::as_str));
        self.payment_statuses.push(state.money.status().as_str());
    }

    fn push_rest(&mut self, saga: &SagaRow) {
        let state = &saga.state;
        self.ids.push(saga.order_id.as_uuid());
        self.versions.push(saga.version);
        self.log_lengths.push(saga.log_length);
        self.attempts
            .push(i32::try_from(state.attempts).unwrap_or(i32::MAX));
        self.unknown_since.push(state.unknown_since.map(Instant));
        self.deadlines.push(state.deadline_at.map(Instant));
        self.due.push(saga.due_at.map(Instant));
        self.open.push(!state.phase.is_closed());
        self.needs_card.push(state.needs_card());
    }

    pub(super) fn params(&self) -> [&(dyn ToSql + Sync); 19] {
        [
            &self.ids,
            &self.states,
            &self.steps,
            &self.resumes_in,
            &self.parked_reasons,
            &self.stocks,
            &self.authorise,
            &self.capture,
            &self.reverse,
            &self.reversed_effects,
            &self.payment_statuses,
            &self.versions,
            &self.log_lengths,
            &self.attempts,
            &self.unknown_since,
            &self.deadlines,
            &self.due,
            &self.open,
            &self.needs_card,
        ]
    }
}

// === impl LogColumns ===

impl LogColumns {
    pub(super) fn of(log: &[LogRow]) -> Self {
        let mut columns = Self::default();
        for row in log {
            columns.ids.push(row.order_id.as_uuid());
            columns.sequences.push(row.sequence);
            columns.from.push(row.entry.from.as_str());
            columns.to.push(row.entry.to.as_str());
            columns.triggers.push(row.entry.trigger);
            columns.actions.push(row.entry.actions.join("; "));
        }
        columns
    }

    pub(super) fn params(&self) -> [&(dyn ToSql + Sync); 6] {
        [
            &self.ids,
            &self.sequences,
            &self.from,
            &self.to,
            &self.triggers,
            &self.actions,
        ]
    }
}
