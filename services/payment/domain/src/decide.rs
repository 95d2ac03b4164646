use brewline_kernel::{Money, Timestamp};

use crate::operation::Next;
use crate::{
    Authorisation, Call, Command, Effect, Hit, KeyLifetime, Kind, Operation, Outcome, Payment,
    Request, Reversal, State, Step, TokenHash,
};

impl Payment {
    /// What `command` comes to at `now`. Changes what is on record where it says [`Step::Ask`], and
    /// where a reversal is recorded; the shell stores that before anything else.
    pub fn decide(&mut self, command: &Command, now: Timestamp, lifetime: KeyLifetime) -> Step {
        match command {
            Command::Authorise {
                amount,
                token,
                token_hash,
            } => self.decide_authorise(*amount, token, *token_hash, now, lifetime),
            Command::Capture => self.decide_capture(now, lifetime),
            Command::Reverse => self.decide_reverse(now, lifetime),
        }
    }

    /// Refuses, by a risk rule, an authorisation of which nothing has left yet. Says what it comes to:
    /// the same for every repeat.
    pub fn refuse(&mut self, hit: &Hit) -> Outcome {
        if let Some(authorisation) = self.authorisation.as_mut()
            && authorisation.operation.state == State::Requested
        {
            authorisation.operation = Operation::requested();
            authorisation.operation.settle(State::Refused, &hit.detail);
            authorisation.risk_rule = Some(hit.rule.clone());
            authorisation.token = None;
        }
        self.outcome(Kind::Authorise)
    }

    fn decide_authorise(
        &mut self,
        amount: Money,
        token: &str,
        token_hash: TokenHash,
        now: Timestamp,
        lifetime: KeyLifetime,
    ) -> Step {
        if self.reversal.is_some() {
            return Step::Answer(Outcome::reversed());
        }
        let authorisation = self
            .authorisation
            .get_or_insert_with(|| Authorisation::requested(amount, token, token_hash));
        if authorisation.amount != amount || authorisation.token_hash != token_hash {
            return Step::Answer(Outcome::mismatch());
        }
        self.answer_or_ask(Kind::Authorise, now, lifetime)
    }

    fn decide_capture(&mut self, now: Timestamp, lifetime: KeyLifetime) -> Step {
        let authorised = self.authorisation.as_ref().map(|a| a.operation.state);
        let settled = match authorised {
            _ if self.reversal.is_some() => Some(Outcome::reversed()),
            Some(State::Done) => None,
            Some(State::Requested | State::Unknown) => Some(Outcome::Unknown {
                detail: "its authorisation is not known yet".to_owned(),
            }),
            None | Some(State::Declined | State::Refused) => Some(Outcome::not_authorised()),
        };
        if let Some(outcome) = settled {
            return Step::Answer(outcome);
        }
        self.capture.get_or_insert_with(Operation::requested);
        self.answer_or_ask(Kind::Capture, now, lifetime)
    }

    /// First every earlier outcome is made known, by the very request it waits for; only then is it
    /// known what there is to undo.
    fn decide_reverse(&mut self, now: Timestamp, lifetime: KeyLifetime) -> Step {
        self.reversal.get_or_insert_with(Reversal::requested);
        self.conclude();
        let about = [Kind::Authorise, Kind::Capture]
            .into_iter()
            .find(|kind| {
                self.operation(*kind)
                    .is_some_and(|o| !o.state.is_definite())
            })
            .unwrap_or(Kind::Reverse);
        self.answer_or_ask(about, now, lifetime)
    }

    fn answer_or_ask(&mut self, about: Kind, now: Timestamp, lifetime: KeyLifetime) -> Step {
        if self
            .operation(about)
            .is_none_or(|operation| operation.state.is_definite())
        {
            return Step::Answer(self.outcome(about));
        }
        let order_id = self.order_id;
        let call = self.call(about);
        let (Some(operation), Some(call)) = (self.operation_mut(about), call) else {
            return Step::Answer(self.outcome(about));
        };
        let next = operation.next(now, lifetime);
        operation.ask(now);
        Step::Ask(Request {
            order_id,
            about,
            attempt: operation.attempts,
            at: now,
            call: match next {
                Next::Make => call,
                Next::LookUp => Call::FindByReference,
            },
        })
    }

    /// The request that an operation is made by.
    fn call(&mut self, kind: Kind) -> Option<Call> {
        let captured = self.capture.as_ref().is_some_and(Operation::is_done);
        let authorisation = self.authorisation.as_ref()?;
        let (amount, authorisation_id) = (authorisation.amount, authorisation.id.clone());
        Some(match kind {
            Kind::Authorise => Call::Authorise {
                amount,
                token: authorisation.token.clone()?,
            },
            Kind::Capture => Call::Capture {
                authorisation_id,
                amount,
            },
            Kind::Reverse if captured => {
                self.reversal.as_mut()?.effect = Some(Effect::Refunded);
                Call::Refund {
                    authorisation_id,
                    amount,
                }
            }
            Kind::Reverse => {
                self.reversal.as_mut()?.effect = Some(Effect::Voided);
                Call::Void { authorisation_id }
            }
        })
    }
}
