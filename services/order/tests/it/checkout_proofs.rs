//! The three proofs for the checkout and the cancellation's handshake, over a small model of inventory,
//! payment and barista that keeps their fences. No database: the same `react` and `decide` as in production.

use std::collections::VecDeque;
use std::time::Duration;

use brewline_kernel::{Money, OrderId, Timestamp};
use brewline_order_domain::checkout::{
    CheckoutAction, CheckoutEvent, CheckoutState, Effect, Outcome, Phase, Policy, begin, react,
};
use brewline_order_domain::order::{
    BaristaNews, Order, OrderCommand, OrderEvent, OrderStatus, Placement, Withdrawal, decide,
    evolve, hear,
};
use brewline_saga::testing::{
    Rehearsal, failing_at_any_step_ends_whole, repeating_any_step_is_harmless,
    repeating_the_unwinding_is_harmless,
};

#[test]
fn repeating_any_step_of_a_checkout_is_harmless() {
    repeating_any_step_is_harmless(Stage::open);
}

#[test]
fn a_checkout_that_fails_at_any_step_ends_whole() {
    failing_at_any_step_ends_whole(Stage::open);
}

#[test]
fn repeating_any_step_of_the_unwinding_is_harmless() {
    repeating_the_unwinding_is_harmless(Stage::open);
}

/// How long a call that came to nothing waits.
const RETRY: Duration = Duration::from_secs(5);

/// Something on its way, or a timer.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// An event of the order comes to inventory and to the barista.
    Told(&'static str),
    /// News of the barista come to the order.
    Said(BaristaNews),
    /// A call comes to payment.
    Called(CheckoutAction),
    /// An answer or an event comes to the saga.
    Heard(CheckoutEvent),
    /// The saga's row is due at this instant.
    Due(Timestamp),
}

#[derive(Clone, Debug)]
enum Failure {
    CustomerCancels,
    /// Somebody begins with the order, as soon as it is on the wall.
    BaristaBegins,
    /// Somebody has begun, and the order hears of it after its customer has asked to cancel.
    StartIsOvertakenByCancel,
    /// The customer asks to cancel, and somebody begins before the barista hears of it.
    CancelIsOvertakenByStart,
    StockIsShort,
    CardIsDeclined,
    CaptureIsRefused,
    /// Authorisations take effect only after everything else: after their own undo, if there is one.
    AuthoriseIsOvertaken,
    /// Calls and answers on their way are lost.
    CrashLosesCalls,
    /// Payment answers nothing for so many seconds.
    PaymentIsDown(u64),
}

/// Inventory's reservation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reservation {
    None,
    Held,
    Rejected,
    Sold,
    Released,
    Returned,
}

/// The barista's wall for one order.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wall {
    /// Not on it; somebody will begin at once when it is.
    Empty {
        eager: bool,
    },
    Open,
    Begun,
    Refused,
    Withdrawn,
}

/// The card processor's books for one order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Payment {
    authorised: Option<bool>,
    captures: u32,
    refunds: u32,
    voided: bool,
    reversed: bool,
    capture_refused: bool,
    down_until: Timestamp,
}

#[derive(Clone, Debug)]
struct Stage {
    saga: CheckoutState,
    order: Option<Order>,
    now: Timestamp,
    messages: VecDeque<Step>,
    reservation: Reservation,
    wall: Wall,
    stock_is_short: bool,
    card_is_declined: bool,
    authorise_is_slow: bool,
    payment: Payment,
}

// === impl Stage ===

impl Stage {
    fn open() -> Self {
        let now = Timestamp::from_millis(1_000_000);
        let mut stage = Self {
            saga: begin(&Policy::default(), now),
            order: None,
            now,
            messages: VecDeque::new(),
            reservation: Reservation::None,
            wall: Wall::Empty { eager: false },
            stock_is_short: false,
            card_is_declined: false,
            authorise_is_slow: false,
            payment: Payment::default(),
        };
        stage.command(OrderCommand::Place(placement()));
        stage
    }

    fn command(&mut self, command: OrderCommand) {
        let events = decide(self.order.as_ref(), command, self.now).expect("saga and order agree");
        self.happens(events);
    }

    fn happens(&mut self, events: Vec<OrderEvent>) {
        for event in events {
            self.order = evolve(self.order.take(), &event);
            self.messages.push_back(Step::Told(event.name()));
        }
    }

    /// Repeated news contradicts what was heard since; the inbox would have kept it away.
    fn said(&mut self, news: BaristaNews) {
        let order = self.order.as_ref().expect("it was placed");
        let events = hear(order, news, self.now).unwrap_or_default();
        let over = events
            .iter()
            .any(|event| matches!(event, OrderEvent::Cancelled { .. }));
        self.happens(events);
        if over {
            self.react(&CheckoutEvent::Cancelled);
        }
    }

    fn barista(&mut self, name: &str) {
        self.wall = match (self.wall, name) {
            (Wall::Empty { eager: true }, "OrderConfirmed") => {
                self.wall = Wall::Open;
                return self.begin_to_make();
            }
            (Wall::Empty { eager: false }, "OrderConfirmed") => Wall::Open,
            (Wall::Open, "OrderCancellationRequested") => {
                self.says(BaristaNews::Withdrawn);
                Wall::Withdrawn
            }
            (Wall::Begun, "OrderCancellationRequested") => {
                let reason = "begun".to_owned();
                self.says(BaristaNews::Refused { reason });
                Wall::Refused
            }
            (Wall::Empty { .. } | Wall::Open, "OrderCancelled") => Wall::Withdrawn,
            (wall, _) => wall,
        };
    }

    fn begin_to_make(&mut self) {
        match self.wall {
            Wall::Empty { .. } => self.wall = Wall::Empty { eager: true },
            Wall::Open => {
                self.wall = Wall::Begun;
                self.says(BaristaNews::Started);
                self.says(BaristaNews::Completed);
            }
            Wall::Begun | Wall::Refused | Wall::Withdrawn => {}
        }
    }

    fn says(&mut self, news: BaristaNews) {
        self.messages.push_back(Step::Said(news));
    }

    fn status(&self) -> OrderStatus {
        self.order.as_ref().expect("it was placed").status
    }

    fn react(&mut self, event: &CheckoutEvent) {
        let reaction = react(&Policy::default(), &self.saga, event, self.now);
        self.saga = reaction.state;
        for action in reaction.actions {
            match action {
                CheckoutAction::Confirm => self.command(OrderCommand::Confirm),
                CheckoutAction::Reject(rejection) => self.command(OrderCommand::Reject(rejection)),
                CheckoutAction::GiveUp => self.command(OrderCommand::LosePayment),
                CheckoutAction::Authorise | CheckoutAction::Capture | CheckoutAction::Reverse => {
                    self.messages.push_back(Step::Called(action));
                }
                // The row is due by itself, and an operator looks at what is parked.
                CheckoutAction::RetryAfterBackoff { .. }
                | CheckoutAction::RetryAfterOutage
                | CheckoutAction::Alert(_)
                | CheckoutAction::Park(_) => {}
            }
        }
    }

    fn cancel(&mut self) {
        if matches!(self.status(), OrderStatus::Pending | OrderStatus::Confirmed) {
            let (reason, withdrawal) = (String::new(), Withdrawal::AskBarista);
            self.command(OrderCommand::Cancel { reason, withdrawal });
            if self.status() == OrderStatus::Cancelled {
                self.react(&CheckoutEvent::Cancelled);
            }
        }
    }

    /// Order and barista agree: neither is asked any more, and what is made is what was begun.
    fn is_made_as_far_as_told(&self) -> bool {
        match self.wall {
            Wall::Open => self.status() == OrderStatus::Confirmed,
            Wall::Begun | Wall::Refused => self.status() == OrderStatus::Ready,
            Wall::Empty { .. } | Wall::Withdrawn => false,
        }
    }

    fn inventory(&mut self, name: &str) {
        use Reservation::{Held, None, Rejected, Released, Returned, Sold};
        let ended = matches!(name, "OrderRejected" | "OrderCancelled");
        let (next, event) = match (self.reservation, name) {
            (None, "OrderPlaced") if self.stock_is_short => {
                let detail = String::new();
                (Rejected, CheckoutEvent::StockRejected { detail })
            }
            (None, "OrderPlaced") => (Held, CheckoutEvent::StockReserved),
            (Held, "OrderConfirmed") => (Sold, CheckoutEvent::StockCommitted),
            (None | Held, _) if ended => (Released, CheckoutEvent::StockReleased),
            (Sold, "OrderCancelled") => (Returned, CheckoutEvent::StockReturned),
            _ => return,
        };
        self.reservation = next;
        self.messages.push_back(Step::Heard(event));
    }

    fn pay(&mut self, action: &CheckoutAction) {
        let outcome = match self.now < self.payment.down_until {
            true => Outcome::Unknown,
            false => self.payment.answer(action, self.card_is_declined),
        };
        let event = match action {
            CheckoutAction::Authorise => CheckoutEvent::AuthoriseOutcome(outcome),
            CheckoutAction::Capture => CheckoutEvent::CaptureOutcome(outcome),
            _ => CheckoutEvent::ReverseOutcome(outcome),
        };
        self.messages.push_back(Step::Heard(event));
    }

    /// Time passes only when nothing else happens.
    fn due(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        let event = match (self.saga.phase, self.saga.is_overdue(self.now)) {
            (Phase::Parked, _) if self.saga.owed_call().is_none() => {
                CheckoutEvent::OperatorCompensate
            }
            (_, true) => CheckoutEvent::DeadlineReached,
            (_, false) => CheckoutEvent::RetryDue,
        };
        self.react(&event);
    }
}

impl Rehearsal for Stage {
    type Step = Step;
    type Failure = Failure;
    type Ending = (Phase, OrderStatus, Reservation, i64);

    fn next(&self) -> Option<Step> {
        let waits = !self.saga.phase.is_closed();
        let due = Step::Due(self.now.plus(RETRY));
        let slow = |step: &&Step| {
            self.authorise_is_slow && **step == Step::Called(CheckoutAction::Authorise)
        };
        let quick = self.messages.iter().find(|step| !slow(step)).cloned();
        let last = || self.messages.front().cloned();
        quick.or(waits.then_some(due)).or_else(last)
    }

    fn take(&mut self, step: &Step) {
        if let Some(index) = self.messages.iter().position(|message| message == step) {
            self.messages.remove(index);
        }
        match step {
            Step::Told(name) => {
                self.inventory(name);
                self.barista(name);
            }
            Step::Said(news) => self.said(news.clone()),
            Step::Called(action) => self.pay(action),
            Step::Heard(event) => self.react(event),
            Step::Due(at) => self.due(*at),
        }
    }

    fn failures() -> Vec<Failure> {
        let mut failures = vec![
            Failure::CustomerCancels,
            Failure::BaristaBegins,
            Failure::StartIsOvertakenByCancel,
            Failure::CancelIsOvertakenByStart,
            Failure::StockIsShort,
            Failure::CardIsDeclined,
            Failure::CaptureIsRefused,
            Failure::AuthoriseIsOvertaken,
            Failure::CrashLosesCalls,
        ];
        // Back before a deadline, after it, and after its saga was parked.
        failures.extend([3, 12, 90, 700].map(Failure::PaymentIsDown));
        failures
    }

    fn fail(&mut self, failure: &Failure) {
        match failure {
            Failure::CustomerCancels => self.cancel(),
            Failure::BaristaBegins => self.begin_to_make(),
            Failure::StartIsOvertakenByCancel => {
                self.begin_to_make();
                self.cancel();
            }
            Failure::CancelIsOvertakenByStart => {
                self.cancel();
                self.begin_to_make();
            }
            Failure::StockIsShort => self.stock_is_short = true,
            Failure::CardIsDeclined => self.card_is_declined = true,
            Failure::AuthoriseIsOvertaken => self.authorise_is_slow = true,
            Failure::CaptureIsRefused => self.payment.capture_refused = true,
            Failure::CrashLosesCalls => self.messages.retain(|step| match step {
                Step::Called(_) => false,
                Step::Heard(event) => !matches!(
                    event,
                    CheckoutEvent::AuthoriseOutcome(_)
                        | CheckoutEvent::CaptureOutcome(_)
                        | CheckoutEvent::ReverseOutcome(_)
                ),
                Step::Told(_) | Step::Said(_) | Step::Due(_) => true,
            }),
            Failure::PaymentIsDown(seconds) => {
                self.payment.down_until = self.now.plus(Duration::from_secs(*seconds));
            }
        }
    }

    fn ending(&self) -> Self::Ending {
        (
            self.saga.phase,
            self.status(),
            self.reservation,
            self.payment.net(),
        )
    }

    fn is_whole(&self) -> Result<(), String> {
        use Reservation::{Rejected, Released, Returned, Sold};
        let (phase, status, reservation, net) = self.ending();
        let held = self.payment.authorised == Some(true) && !self.payment.voided;
        let open = held && self.payment.captures == 0;
        let whole = match phase {
            Phase::Completed => self.is_made_as_far_as_told() && reservation == Sold && net == 1,
            Phase::Undone => {
                matches!(status, OrderStatus::Rejected | OrderStatus::Cancelled)
                    && matches!(reservation, Rejected | Released | Returned)
                    && net == 0
                    && !open
            }
            _ => false,
        };
        if whole && self.payment.captures <= 1 {
            return Ok(());
        }
        Err(format!("torn: {:?}, {:?}", self.payment, self.wall))
    }
}

// === impl Payment ===

impl Payment {
    fn answer(&mut self, action: &CheckoutAction, declines: bool) -> Outcome {
        let refused = || Outcome::Refused {
            detail: "fenced".to_owned(),
        };
        match action {
            CheckoutAction::Reverse => Outcome::Done(self.reverse()),
            _ if self.reversed => refused(),
            CheckoutAction::Authorise => match self.authorised.get_or_insert(!declines) {
                true => Outcome::Done(Effect::Authorised),
                false => Outcome::Declined {
                    code: "declined".to_owned(),
                },
            },
            _ if self.capture_refused && self.captures == 0 => refused(),
            _ => {
                self.captures = 1;
                Outcome::Done(Effect::Captured)
            }
        }
    }

    fn reverse(&mut self) -> Effect {
        self.reversed = true;
        self.refunds = self.captures;
        self.voided = self.authorised == Some(true) && self.captures == 0;
        match (self.authorised, self.captures) {
            (Some(true), 0) => Effect::Voided,
            (Some(true), _) => Effect::Refunded,
            (Some(false) | None, _) => Effect::Nothing,
        }
    }

    fn net(&self) -> i64 {
        i64::from(self.captures) - i64::from(self.refunds)
    }
}

fn placement() -> Placement {
    Placement {
        order_id: OrderId::new(uuid::Uuid::from_u128(7)),
        store_id: "store-lisbon".parse().unwrap(),
        customer_id: "customer-demo".parse().unwrap(),
        lines: Vec::new(),
        total: Money::new(700, "EUR".parse().unwrap()),
    }
}
