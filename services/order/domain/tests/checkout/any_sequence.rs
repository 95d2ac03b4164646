//! What holds after any sequence of events, and of every step.

use std::time::Duration;

use brewline_order_domain::checkout::{Call, CheckoutAction, PaymentStatus, Phase, STEPS, Stock};
use proptest::prelude::*;

use crate::told::{every_event, given};

#[test]
fn every_step_stands_beside_its_compensation() {
    for step in STEPS {
        assert!(
            !step.compensation.is_empty() && !step.undone_by.is_empty(),
            "{step:?}"
        );
    }
    let calls: Vec<_> = STEPS
        .iter()
        .filter(|s| s.compensation == "Reverse")
        .collect();
    assert_eq!(calls.len(), 2, "one undo for all money");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any events, in any order, repeated, with any time between them.
    #[test]
    fn any_sequence_of_events_keeps_the_books(
        steps in prop::collection::vec((prop::sample::select(every_event()), 0_u64..40_000), 0..40)
    ) {
        let mut told = given();
        let mut reverse_recorded = false;
        for (event, pause) in steps {
            told = told.after(Duration::from_millis(pause)).when(event);
            let state = &told.state;
            if reverse_recorded {
                prop_assert!(!told.last.contains(&CheckoutAction::Capture));
                prop_assert!(!told.last.contains(&CheckoutAction::Authorise));
                prop_assert!(!told.last.contains(&CheckoutAction::Confirm));
            }
            reverse_recorded = state.money.reverse != Call::Never;
            if matches!(state.working_phase(), Phase::Completing | Phase::Completed) {
                prop_assert_eq!(state.money.authorise, Call::Done);
            }
            match state.phase {
                Phase::Completed => {
                    prop_assert_eq!(state.stock, Stock::Committed);
                    prop_assert_eq!(state.money.status(), PaymentStatus::Captured);
                }
                Phase::Undone => {
                    prop_assert!(state.stock.is_undone());
                    prop_assert!(state.money.is_undone());
                }
                Phase::Parked => prop_assert!(state.parked.is_some()),
                Phase::Reserving | Phase::Authorising | Phase::Completing | Phase::Unwinding => {
                    prop_assert!(state.parked.is_none());
                }
            }
            // Whoever waits for a call's answer or is before the pivot has something that wakes it.
            let before_pivot = matches!(state.working_phase(), Phase::Reserving | Phase::Authorising);
            prop_assert!(!before_pivot || state.deadline_at.is_some());
            if told.last.iter().any(|a| matches!(a, CheckoutAction::RetryAfterBackoff { .. })) {
                prop_assert!(state.owed_call().is_some());
            }
        }
        let count = |name: &str| told.actions.iter().filter(|a| a.starts_with(name)).count();
        prop_assert!(count("confirm") + count("reject") <= 1, "{:?}", told.actions);
        prop_assert!(count("give-up") <= 1);
    }
}
