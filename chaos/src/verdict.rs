//! Verdicts and the report they make.

use serde::Serialize;

/// What can be said of an invariant, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It has no subjects yet, or needs evidence that nobody offered. Says nothing.
    NotJudged,
    /// It holds for every subject.
    Pass,
    /// Evidence that should be readable was not.
    Unknown,
    /// It is broken.
    Fail,
}

/// One way in which an invariant is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// The order it concerns, when it concerns one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// What is wrong, in a sentence.
    pub detail: String,
}

/// What came of judging one invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its id, such as `I5`.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// How many subjects were looked at: a verdict on none proves nothing.
    pub subjects: u64,
    /// How it is broken.
    pub violations: Vec<Violation>,
    /// What a reader should know beside that, such as why it was not judged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Everything that was judged.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The worst verdict of all.
    pub verdict: Verdict,
    /// Orders placed before this instant were left out; RFC 3339, none when nothing was.
    pub since: Option<String>,
    /// One finding an invariant.
    pub invariants: Vec<Finding>,
}

/// Collects what is found while one invariant is judged.
#[derive(Debug)]
pub struct Judge {
    finding: Finding,
}

/// The most violations listed for one invariant; the rest are counted in a note.
const VIOLATIONS_MAX: usize = 10_000;

// === impl Report ===

impl Report {
    /// The worst of the findings; a report that judged nothing is `Unknown`.
    #[must_use]
    pub fn new(since: Option<String>, invariants: Vec<Finding>) -> Self {
        let worst = invariants.iter().map(|finding| finding.verdict).max();
        let verdict = match worst {
            None | Some(Verdict::NotJudged) => Verdict::Unknown,
            Some(verdict) => verdict,
        };
        Self {
            verdict,
            since,
            invariants,
        }
    }

    /// 0 pass, 1 fail, 2 unknown.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self.verdict {
            Verdict::Pass => 0,
            Verdict::Fail => 1,
            Verdict::Unknown | Verdict::NotJudged => 2,
        }
    }
}

// === impl Judge ===

impl Judge {
    /// Begins to judge the invariant `id`.
    #[must_use]
    pub const fn new(id: &'static str, name: &'static str) -> Self {
        let finding = Finding {
            id,
            name,
            verdict: Verdict::Pass,
            subjects: 0,
            violations: Vec::new(),
            notes: Vec::new(),
        };
        Self { finding }
    }

    /// One more subject was looked at.
    pub const fn subject(&mut self) {
        self.finding.subjects += 1;
    }

    /// The invariant is broken.
    pub fn violation(&mut self, order: Option<uuid::Uuid>, detail: impl Into<String>) {
        let order_id = order.map(|id| id.to_string());
        self.finding.violations.push(Violation {
            order_id,
            detail: detail.into(),
        });
    }

    /// Says a thing that is no violation.
    pub fn note(&mut self, note: impl Into<String>) {
        self.finding.notes.push(note.into());
    }

    /// The invariant cannot be judged here, which is no fault.
    #[must_use]
    pub fn not_judged(mut self, why: impl Into<String>) -> Finding {
        self.note(why);
        self.finding.verdict = Verdict::NotJudged;
        self.finding
    }

    /// Evidence that should have been readable was not.
    #[must_use]
    pub fn unknown(mut self, why: impl Into<String>) -> Finding {
        self.note(why);
        self.finding.verdict = Verdict::Unknown;
        self.finding
    }

    /// The finding.
    #[must_use]
    pub fn finish(mut self) -> Finding {
        let found = self.finding.violations.len();
        if found > VIOLATIONS_MAX {
            self.finding.violations.truncate(VIOLATIONS_MAX);
            self.note(format!(
                "{found} violations; the first {VIOLATIONS_MAX} are listed"
            ));
        }
        self.finding.verdict = match (found, self.finding.subjects) {
            (0, 0) => Verdict::NotJudged,
            (0, _) => Verdict::Pass,
            _ => Verdict::Fail,
        };
        self.finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(verdict: Verdict) -> Finding {
        Finding {
            verdict,
            ..Judge::new("I0", "test").finish()
        }
    }

    #[test]
    fn the_worst_finding_decides() {
        use Verdict::{Fail, NotJudged, Pass, Unknown};
        for (findings, verdict, code) in [
            (vec![Pass, NotJudged], Pass, 0),
            (vec![Pass, Unknown], Unknown, 2),
            (vec![Unknown, Fail, Pass], Fail, 1),
            (vec![NotJudged], Unknown, 2),
            (vec![], Unknown, 2),
        ] {
            let report = Report::new(None, findings.into_iter().map(finding).collect());
            assert_eq!((report.verdict, report.exit_code()), (verdict, code));
        }
    }

    #[test]
    fn without_subjects_nothing_is_judged() {
        assert_eq!(
            Judge::new("I0", "test").finish().verdict,
            Verdict::NotJudged
        );
        let mut judge = Judge::new("I0", "test");
        judge.violation(None, "broken");
        assert_eq!(judge.finish().verdict, Verdict::Fail);
    }
}
