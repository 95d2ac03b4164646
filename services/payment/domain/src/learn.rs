use crate::{Answer, Effect, Event, Found, FoundStatus, Kind, Payment, Request, State};

/// What an answer says about an operation.
enum Learnt {
    Settled(State, String),
    Absent,
}

impl Learnt {
    const fn done() -> Self {
        Self::Settled(State::Done, String::new())
    }
}

impl Payment {
    /// Takes in what the processor said to `request`, and tells what happened by it. What is definite
    /// stays: a late, repeated or contradicting answer changes nothing and tells nothing.
    pub fn learn(&mut self, request: &Request, answer: &Answer) -> Option<Event> {
        let before = self.operation(request.about)?.state;
        if before.is_definite() {
            return None;
        }
        let learnt = self.judge(request, answer);
        let operation = self.operation_mut(request.about)?;
        match &learnt {
            Learnt::Settled(state, detail) => operation.settle(*state, detail),
            Learnt::Absent => operation.absent(request.at),
        }
        self.tidy(answer);
        self.conclude();
        let event = self.event_of(request.about)?;
        self.events += 1;
        Some(event)
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Learnt {
        match answer {
            Answer::Unknown { detail } => Learnt::Settled(State::Unknown, detail.clone()),
            Answer::Refused { detail } => Learnt::Settled(State::Refused, detail.clone()),
            Answer::Declined { code } => Learnt::Settled(State::Declined, code.clone()),
            Answer::Authorised { .. } if request.about == Kind::Authorise => Learnt::done(),
            Answer::Accepted if request.about != Kind::Authorise => Learnt::done(),
            Answer::Authorised { .. } | Answer::Accepted => Learnt::Settled(
                State::Unknown,
                "the processor answered something else".to_owned(),
            ),
            Answer::Found(found) => self.judge_found(request.about, found),
        }
    }

    fn judge_found(&self, about: Kind, found: &[Found]) -> Learnt {
        let Some(found) = self.ours(found) else {
            return Learnt::Absent;
        };
        let effect = self.reversal.as_ref().and_then(|reversal| reversal.effect);
        match (about, &found.status) {
            (Kind::Authorise, FoundStatus::Declined(code)) => {
                Learnt::Settled(State::Declined, code.clone())
            }
            (Kind::Authorise, _)
            | (Kind::Capture, FoundStatus::Captured | FoundStatus::Refunded) => Learnt::done(),
            (Kind::Capture, FoundStatus::Voided) => Learnt::Settled(
                State::Refused,
                "the processor has let go what was held".to_owned(),
            ),
            (Kind::Reverse, FoundStatus::Voided) if effect == Some(Effect::Voided) => {
                Learnt::done()
            }
            (Kind::Reverse, FoundStatus::Refunded) if effect == Some(Effect::Refunded) => {
                Learnt::done()
            }
            (Kind::Capture | Kind::Reverse, _) => Learnt::Absent,
        }
    }

    /// Which of the found ones is this order's: the one whose id is known, else one that holds money
    /// rather than one that was declined.
    fn ours<'a>(&self, found: &'a [Found]) -> Option<&'a Found> {
        let id = self.authorisation.as_ref().map_or("", |a| a.id.as_str());
        let declined = |found: &&Found| matches!(found.status, FoundStatus::Declined(_));
        match id {
            "" => found
                .iter()
                .find(|found| !declined(found))
                .or_else(|| found.first()),
            id => found.iter().find(|found| found.id == id),
        }
    }

    /// Keeps the processor's id, and forgets the card as soon as the request is never made again.
    fn tidy(&mut self, answer: &Answer) {
        let id = match answer {
            Answer::Authorised { id } => Some(id.clone()),
            Answer::Found(found) => self.ours(found).map(|found| found.id.clone()),
            Answer::Declined { .. }
            | Answer::Accepted
            | Answer::Refused { .. }
            | Answer::Unknown { .. } => None,
        };
        let Some(authorisation) = self.authorisation.as_mut() else {
            return;
        };
        if authorisation.operation.state.is_definite() {
            authorisation.token = None;
            if let Some(id) = id.filter(|_| authorisation.id.is_empty()) {
                authorisation.id = id;
            }
        }
    }

    /// Ends a reversal that has nothing to undo.
    pub(crate) fn conclude(&mut self) {
        let state = self.authorisation.as_ref().map(|a| a.operation.state);
        let nothing = matches!(state, None | Some(State::Declined | State::Refused));
        if let Some(reversal) = self.reversal.as_mut().filter(|_| nothing) {
            reversal.operation.settle(State::Done, "");
            reversal.effect.get_or_insert(Effect::Nothing);
        }
    }

    fn event_of(&self, about: Kind) -> Option<Event> {
        let operation = self.operation(about)?;
        let effect = self.reversal.as_ref().and_then(|reversal| reversal.effect);
        match (about, operation.state, effect) {
            (Kind::Authorise, State::Done, _) => Some(Event::Authorised),
            (Kind::Authorise, State::Declined, _) => Some(Event::Declined {
                code: operation.detail.clone(),
            }),
            (Kind::Capture, State::Done, _) => Some(Event::Captured),
            (Kind::Reverse, State::Done, Some(Effect::Voided)) => Some(Event::Voided),
            (Kind::Reverse, State::Done, Some(Effect::Refunded)) => Some(Event::Refunded),
            _ => None,
        }
    }
}
