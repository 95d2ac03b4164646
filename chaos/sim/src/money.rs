//! Payment: an intent on record, a request to the card processor, an answer on record.

use brewline_chaos::evidence::Posting;
use brewline_order_domain::checkout::{Effect, Outcome};
use brewline_payment_domain as payment;
use brewline_payment_domain::{Answer, Event as Told, Payment, Request};

use crate::broker::Service;
use crate::planted;
use crate::process::{After, Asked, CallKind, Command, Pid, Step};
use crate::store::Lock;
use crate::tables::{Tables, Write};
use crate::transactions::Access;
use crate::world::{Event, MS, Question, SECOND, World};

/// A request that has not left by then does not leave.
const STALE_AFTER: i64 = 2 * SECOND;
/// How long the card processor is waited for.
const PATIENCE: (i64, i64) = (SECOND, SECOND);

// === impl World ===

impl World {
    fn payment(&self, command: &Command) -> Payment {
        let store = self.stores.get(&Service::Payment);
        let known = store.and_then(|store| store.tables.payments.get(&command.order));
        known
            .cloned()
            .unwrap_or_else(|| Payment::new(command.order))
    }

    /// A call arrives: first what it intends is put on record.
    pub fn command(&mut self, pid: Pid, command: Command) {
        let locks = vec![Lock::Order(command.order)];
        match self.access(Service::Payment, &locks) {
            Access::Busy => return self.soon(pid, (5 * MS, 80 * MS), Step::Command(command)),
            Access::Down => return,
            Access::Free => {}
        }
        let before = self.payment(&command);
        let mut payment = before.clone();
        let step = payment.decide(&command.command, self.instant(), self.setup.lifetime());
        let writes = if payment == before {
            Vec::new()
        } else {
            vec![Write::Payment(Box::new(payment))]
        };
        self.submit(pid, locks, writes, After::Decided(command, step));
    }

    /// The intent is on record: what is known is answered, what is not is asked.
    pub fn decided(&mut self, pid: Pid, command: Command, step: payment::Step) {
        let request = match step {
            payment::Step::Answer(outcome) => return self.reply(&command, &outcome),
            payment::Step::Ask(request) => request,
        };
        if self.trouble(5) {
            self.struck("crash between intent and request");
            return self.crash(pid);
        }
        if self.instant().since(request.at).as_micros() > u128::from(STALE_AFTER.unsigned_abs()) {
            self.struck("stale request");
            let detail = "it waited too long".to_owned();
            return self.reply(&command, &payment::Outcome::Unknown { detail });
        }
        let id = self.name();
        let Some(process) = self.processes.get_mut(&pid) else {
            return;
        };
        let from = (pid, process.incarnation);
        let key = key_of(&request);
        let asked = request.clone();
        process.asked.insert(id, Asked { command, request });
        let detail = "no answer in time".to_owned();
        self.soon(
            pid,
            PATIENCE,
            Step::Answered(id, Answer::Unknown { detail }),
        );
        let delay = self.way_to_processor();
        let request = asked;
        self.after(
            delay,
            Event::Ask(Box::new(Question {
                from,
                id,
                request,
                key,
            })),
        );
    }

    /// How long a request takes to arrive: mostly milliseconds. A late one arrives while the processor
    /// still knows its key for sure, which is what the key's lifetime is about.
    fn way_to_processor(&mut self) -> i64 {
        let late = self.setup.late;
        if self.trouble(late) {
            self.struck("late effect");
            let most = self.setup.key_lifetime / 2 - STALE_AFTER - SECOND;
            return self.random.between(200 * MS, most.max(SECOND));
        }
        self.random.between(MS, 30 * MS)
    }

    /// A request arrives at the card processor.
    pub fn ask(&mut self, question: Question) {
        let Question {
            from: (pid, incarnation),
            id,
            request,
            key,
        } = question;
        let loss = self.setup.loss;
        if self.processor.down_until > self.now || self.trouble(loss) {
            self.struck("request lost");
            return;
        }
        let now = self.now;
        let instead = planted::instead(&mut self.processor, &request, now);
        let answer = instead.unwrap_or_else(|| self.processor.take(&request, key, now));
        let order = request.order_id;
        self.tell(format_args!(
            "processor: {:?} of {order}: {answer:?}",
            request.call
        ));
        if self.trouble(loss) {
            self.struck("answer lost");
            return;
        }
        let back = self.random.between(MS, 30 * MS);
        self.after(
            back,
            Event::Step(pid, incarnation, Step::Answered(id, answer)),
        );
    }

    /// An answer has come, or has not for too long: it is put on record with what follows from it.
    pub fn answered(&mut self, pid: Pid, id: u64, answer: Answer) {
        let Some(asked) = self
            .processes
            .get_mut(&pid)
            .and_then(|p| p.asked.remove(&id))
        else {
            return;
        };
        let locks = vec![Lock::Order(asked.command.order)];
        match self.access(Service::Payment, &locks) {
            Access::Busy => {
                if let Some(process) = self.processes.get_mut(&pid) {
                    process.asked.insert(id, asked);
                }
                return self.soon(pid, (5 * MS, 80 * MS), Step::Answered(id, answer));
            }
            // The answer is lost, not the money: the same command makes the same request.
            Access::Down => return,
            Access::Free => {}
        }
        let Asked { command, request } = asked;
        // What was said is taken in by what is on record now.
        let mut payment = self.payment(&command);
        let told = payment.learn(&request, &answer);
        let mut writes = Vec::new();
        if let Some(told) = told {
            self.tell_money(&mut writes, &payment, &told);
        }
        writes.push(Write::Payment(Box::new(payment)));
        self.submit(pid, locks, writes, After::Learnt(command));
    }

    fn tell_money(&mut self, writes: &mut Vec<Write>, payment: &Payment, told: &Told) {
        let Some(authorisation) = &payment.authorisation else {
            return;
        };
        let (order, amount) = (payment.order_id, authorisation.amount);
        let name = name(told);
        if let Some(posting) = payment::Posting::of(told, amount) {
            writes.push(Write::Posting(Posting {
                order: order.as_uuid(),
                event: name.to_owned(),
                net_minor: -(posting.revenue + posting.refunds),
                currency: amount.currency.code().to_owned(),
                at: self.instant(),
            }));
        }
        let envelope = self.envelope(Service::Payment, name, (order, payment.events), None);
        writes.push(Write::Emit(envelope, amount.minor.to_string()));
    }

    /// The answer is on record: the caller is told what is known now.
    pub fn learnt(&mut self, command: &Command) {
        let kind = match command.kind {
            CallKind::Authorise => payment::Kind::Authorise,
            CallKind::Capture => payment::Kind::Capture,
            CallKind::Reverse => payment::Kind::Reverse,
        };
        let outcome = self.payment(command).outcome(kind);
        self.reply(command, &outcome);
    }

    fn reply(&mut self, command: &Command, outcome: &payment::Outcome) {
        if self.trouble(self.setup.loss) {
            self.struck("reply lost");
            return;
        }
        let (pid, incarnation) = command.caller;
        let step = Step::Outcome(command.batch, command.order, in_orders_words(outcome));
        let back = self.random.between(MS / 2, 5 * MS);
        self.after(back, Event::Step(pid, incarnation, step));
    }
}

/// What the books of payment say, for the evidence.
#[must_use]
pub fn operations(tables: &Tables) -> Vec<(uuid::Uuid, Vec<brewline_chaos::evidence::Operation>)> {
    let kinds = [
        payment::Kind::Authorise,
        payment::Kind::Capture,
        payment::Kind::Reverse,
    ];
    let of = |payment: &Payment| {
        let operation = |kind: payment::Kind| {
            let operation = payment.operation(kind)?;
            Some(brewline_chaos::evidence::Operation {
                kind: kind.as_str(),
                state: operation.state.as_str().to_owned(),
                attempts: i32::try_from(operation.attempts).unwrap_or(i32::MAX),
                detail: operation.detail.clone(),
            })
        };
        (
            payment.order_id.as_uuid(),
            kinds.into_iter().filter_map(operation).collect(),
        )
    };
    tables.payments.values().map(of).collect()
}

/// The key a request is made under, with the mistakes that could be made there.
fn key_of(request: &Request) -> Option<String> {
    let key = request.key()?;
    if planted::is_on("new-key-on-unknown") && request.attempt > 1 {
        return Some(format!("{key}/{}", request.attempt));
    }
    Some(key)
}

fn in_orders_words(outcome: &payment::Outcome) -> Outcome {
    match outcome {
        payment::Outcome::Done { effect, .. } => Outcome::Done(match effect {
            payment::Effect::Authorised => Effect::Authorised,
            payment::Effect::Captured => Effect::Captured,
            payment::Effect::Voided => Effect::Voided,
            payment::Effect::Refunded => Effect::Refunded,
            payment::Effect::Nothing => Effect::Nothing,
        }),
        payment::Outcome::Declined { code } => Outcome::Declined { code: code.clone() },
        payment::Outcome::Refused { detail, .. } => Outcome::Refused {
            detail: detail.clone(),
        },
        payment::Outcome::Unknown { .. }
            if planted::is_on("confirm-without-authorisation-known") =>
        {
            Outcome::Done(Effect::Authorised)
        }
        payment::Outcome::Unknown { .. } => Outcome::Unknown,
    }
}

const fn name(told: &Told) -> &'static str {
    match told {
        Told::Authorised => "PaymentAuthorised",
        Told::Declined { .. } => "PaymentDeclined",
        Told::Captured => "PaymentCaptured",
        Told::Voided => "PaymentVoided",
        Told::Refunded => "PaymentRefunded",
    }
}
