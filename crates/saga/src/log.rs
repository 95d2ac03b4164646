//! The append-only record of a saga's steps.

use brewline_kernel::Reaction;

/// One step as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry<Phase> {
    /// The phase before.
    pub from: Phase,
    /// The phase after; the same when only something was learned.
    pub to: Phase,
    /// What was reacted to.
    pub trigger: &'static str,
    /// What was decided to be done.
    pub actions: Vec<String>,
}

/// The entries that a reaction leaves: one for each phase gone through, so that the log is always a
/// path of the saga's automaton. The actions stand with the first.
pub fn entries<State, Phase: Copy, Action>(
    from: Phase,
    reaction: &Reaction<State, Phase, Action>,
    trigger: &'static str,
    describe: impl Fn(&Action) -> String,
) -> Vec<LogEntry<Phase>> {
    let mut actions: Vec<String> = reaction.actions.iter().map(describe).collect();
    let stayed = [from];
    let path = if reaction.path.is_empty() {
        &stayed[..]
    } else {
        &reaction.path
    };
    let mut at = from;
    let mut entries = Vec::with_capacity(path.len());
    for to in path.iter().copied() {
        entries.push(LogEntry {
            from: at,
            to,
            trigger,
            actions: std::mem::take(&mut actions),
        });
        at = to;
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_gone_through_is_an_entry() {
        let reaction = Reaction {
            state: (),
            path: vec!['b', 'c'],
            actions: vec!["go"],
        };
        let entries = entries('a', &reaction, "event", ToString::to_string);
        let steps: Vec<_> = entries
            .iter()
            .map(|e| (e.from, e.to, e.actions.len()))
            .collect();
        assert_eq!(steps, [('a', 'b', 1), ('b', 'c', 0)]);
    }

    #[test]
    fn learning_something_is_an_entry_too() {
        let reaction = Reaction::<(), char, &str> {
            state: (),
            path: vec![],
            actions: vec![],
        };
        let entries = entries('a', &reaction, "event", ToString::to_string);
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].from, entries[0].to), ('a', 'a'));
    }
}
