use crate::Timestamp;

/// A saga: a long-running process that reacts to what happens and says what to do next. Pure: the
/// same state, event and instant always give the same reaction, in production and in simulation.
pub trait Saga {
    /// Everything it remembers.
    type State: Clone + PartialEq + std::fmt::Debug;
    /// Where it stands, for the log and for people.
    type Phase: Copy + PartialEq + std::fmt::Debug + std::fmt::Display;
    /// What it reacts to.
    type Event: Clone + std::fmt::Debug;
    /// What it wants done.
    type Action: Clone + PartialEq + std::fmt::Debug;

    /// What `event` does to a saga in `state`; `now` is the clock of the database that holds it.
    fn react(
        &self,
        state: &Self::State,
        event: &Self::Event,
        now: Timestamp,
    ) -> Reaction<Self::State, Self::Phase, Self::Action>;

    /// Where `state` stands.
    fn phase(state: &Self::State) -> Self::Phase;
}

/// A new state and what it wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction<State, Phase, Action> {
    /// The state after the event.
    pub state: State,
    /// The phases gone through, in order; empty when the phase stayed. The last is the state's.
    pub path: Vec<Phase>,
    /// What is to be done, in this order.
    pub actions: Vec<Action>,
}
