use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

/// What happens at a crash point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// The process ends at once, without any clean-up: what a SIGKILL or a power cut leaves.
    Kill,
    /// The thread stands still: what a long garbage collection or a SIGSTOP looks like.
    Pause(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Armed {
    action: Action,
    /// How many more times the place is passed before the action happens.
    passes_left: u32,
}

/// Why a plan cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPlan(String);

/// Whether anything is armed at all: keeps an unarmed point at the cost of one load.
static ANY: AtomicBool = AtomicBool::new(false);

// === impl InvalidPlan ===

impl std::fmt::Display for InvalidPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` is not `name=kill`, `name=kill@N` or `name=pause:MILLISECONDS`",
            self.0
        )
    }
}

impl std::error::Error for InvalidPlan {}

/// Replaces what is armed by `plan`: `name=kill;other=kill@3;third=pause:2000`. `kill@3` acts when
/// the place is passed for the third time. An empty plan disarms everything.
///
/// # Errors
/// When the plan cannot be read; nothing changes then.
pub fn arm(plan: &str) -> Result<(), InvalidPlan> {
    let armed = plan
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| parse(part).ok_or_else(|| InvalidPlan(part.to_owned())))
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    ANY.store(!armed.is_empty(), Ordering::Release);
    *points().lock().unwrap_or_else(PoisonError::into_inner) = armed;
    Ok(())
}

/// A place where the process can be made to die or stand still.
pub fn hit(name: &'static str) {
    let points = points();
    if !ANY.load(Ordering::Acquire) {
        return;
    }
    // The lock is let go before acting: a paused thread must not hold up the others.
    let action = due(
        &mut points.lock().unwrap_or_else(PoisonError::into_inner),
        name,
    );
    match action {
        Some(Action::Kill) => std::process::abort(),
        Some(Action::Pause(time)) => std::thread::sleep(time),
        None => {}
    }
}

/// Whether the bug of this name is switched on in this process: by `BREWLINE_PLANTED_BUG` at start,
/// or by [`plant`] since.
#[must_use]
pub fn planted(bug: &'static str) -> bool {
    bugs()
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .as_str()
        == bug
}

/// Switches the bug of this name on and any other off; none is on when the name is empty.
pub fn plant(bug: &str) {
    bug.clone_into(&mut bugs().write().unwrap_or_else(PoisonError::into_inner));
}

fn bugs() -> &'static RwLock<String> {
    static PLANTED: OnceLock<RwLock<String>> = OnceLock::new();
    PLANTED.get_or_init(|| RwLock::new(environment("BREWLINE_PLANTED_BUG")))
}

fn points() -> &'static Mutex<BTreeMap<String, Armed>> {
    static POINTS: OnceLock<Mutex<BTreeMap<String, Armed>>> = OnceLock::new();
    POINTS.get_or_init(|| {
        let armed: BTreeMap<_, _> = environment("BREWLINE_FAILPOINTS")
            .split(';')
            .filter_map(|part| parse(part.trim()))
            .collect();
        ANY.store(!armed.is_empty(), Ordering::Release);
        Mutex::new(armed)
    })
}

fn environment(name: &str) -> String {
    std::env::var_os(name)
        .and_then(|text| text.into_string().ok())
        .unwrap_or_default()
}

fn parse(part: &str) -> Option<(String, Armed)> {
    let (name, action) = part.split_once('=')?;
    let armed = match action.split_once(['@', ':']) {
        None if action == "kill" => Armed {
            action: Action::Kill,
            passes_left: 0,
        },
        Some(("kill", nth)) => Armed {
            action: Action::Kill,
            passes_left: nth.parse::<u32>().ok()?.checked_sub(1)?,
        },
        Some(("pause", millis)) => {
            let time = Duration::from_millis(millis.parse().ok()?);
            Armed {
                action: Action::Pause(time),
                passes_left: 0,
            }
        }
        _ => return None,
    };
    Some((name.to_owned(), armed))
}

/// The action due at `name` now. An action happens once: the point is disarmed by it.
fn due(points: &mut BTreeMap<String, Armed>, name: &str) -> Option<Action> {
    let armed = points.get_mut(name)?;
    match armed.passes_left.checked_sub(1) {
        Some(left) => {
            armed.passes_left = left;
            None
        }
        None => points.remove(name).map(|armed| armed.action),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> BTreeMap<String, Armed> {
        text.split(';').filter_map(parse).collect()
    }

    #[test]
    fn acts_on_the_nth_pass_and_only_once() {
        let mut points = plan("a.b=kill@3");
        let seen: Vec<_> = (0..5).map(|_| due(&mut points, "a.b")).collect();
        assert_eq!(seen, [None, None, Some(Action::Kill), None, None]);
    }

    #[test]
    fn other_places_are_left_alone() {
        let mut points = plan("a.b=pause:20");
        assert_eq!(due(&mut points, "a.c"), None);
        assert_eq!(
            due(&mut points, "a.b"),
            Some(Action::Pause(Duration::from_millis(20)))
        );
    }

    #[test]
    fn one_bug_is_planted_at_a_time() {
        plant("double-charge");
        assert!(planted("double-charge") && !planted("oversell"));
        plant("");
        assert!(!planted("double-charge"));
    }

    #[test]
    fn a_plan_that_cannot_be_read_is_refused() {
        for wrong in ["a", "a=die", "a=kill@0", "a=pause:long"] {
            assert!(arm(wrong).is_err(), "{wrong} was taken");
        }
    }
}
