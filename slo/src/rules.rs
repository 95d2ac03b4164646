use std::collections::BTreeMap;

use crate::expression::in_window;
use crate::pack::{Burn, Cause, Indicator, Objective, Pack, Severity};
use crate::span::Span;

/// Rules that are looked at together, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How often it is looked at.
    pub interval: Span,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The result of an expression, kept under a name.
    Record {
        /// The name.
        name: String,
        /// What is kept.
        expr: String,
        /// Labels that it is given.
        labels: BTreeMap<&'static str, String>,
    },
    /// Something that somebody is told.
    Alert {
        /// Its name.
        name: String,
        /// When it is pending.
        expr: String,
        /// How long it must be so before it fires.
        lasting: Span,
        /// Labels: who is told, and of what.
        labels: BTreeMap<&'static str, String>,
        /// What is said.
        annotations: BTreeMap<&'static str, String>,
    },
}

/// The windows of a share that dashboards show as "now".
const SHORTEST: Span = Span::seconds(300);

/// How long a burn must last before it is told: the windows already prove that it matters.
const BURN_LASTING: Span = Span::seconds(60);

/// What is recorded of objectives.
pub(crate) const SHARES: &str = "brewline-slo-shares";
/// The alerts that read it.
pub(crate) const BURNS: &str = "brewline-slo-burns";
/// The alerts that name a cause.
pub(crate) const CAUSES: &str = "brewline-causes";

/// All groups of a pack, at its scale.
#[must_use]
pub fn groups(pack: &Pack) -> Vec<Group> {
    let group = |name: &str, rules| Group {
        name: name.to_owned(),
        interval: pack.interval(),
        rules,
    };
    let objectives = || pack.objectives.iter();
    vec![
        group(SHARES, objectives().flat_map(|o| shares(pack, o)).collect()),
        group(BURNS, objectives().flat_map(|o| burns(pack, o)).collect()),
        group(CAUSES, pack.causes.iter().map(|c| cause(pack, c)).collect()),
    ]
}

/// The windows that a share is recorded for, shortest first.
fn windows(pack: &Pack) -> Vec<Span> {
    let both = pack.burns.iter().flat_map(|burn| [burn.short, burn.long]);
    let mut all: Vec<Span> = both.chain([SHORTEST]).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The name of a share's record. It keeps the unscaled window, so that dashboards read the same names
/// at every scale.
fn share_name(window: Span) -> String {
    format!("brewline:slo_errors:ratio_rate{window}")
}

fn shares(pack: &Pack, objective: &Objective) -> Vec<Rule> {
    let mut rules: Vec<Rule> = moment(objective).into_iter().collect();
    let of_window = |window: Span| {
        record(
            objective,
            share_name(window),
            share(pack, objective, window),
        )
    };
    rules.extend(windows(pack).into_iter().map(of_window));
    let target = format!("vector({} / 100)", objective.target);
    rules.push(record(
        objective,
        "brewline:slo_target:ratio".to_owned(),
        target,
    ));
    let spent = share(pack, objective, pack.budget_window);
    let left = format!("1 - ({spent}) / (1 - {} / 100)", objective.target);
    rules.push(record(
        objective,
        "brewline:slo_budget_left:ratio".to_owned(),
        left,
    ));
    rules
}

fn record(objective: &Objective, name: String, expr: String) -> Rule {
    Rule::Record {
        name,
        expr,
        labels: BTreeMap::from([("slo", objective.name.clone())]),
    }
}

/// What is looked at, recorded: a share over time needs its past.
fn moment(objective: &Objective) -> Option<Rule> {
    match &objective.indicator {
        Indicator::Moments { good } => {
            let name = "brewline:slo_good:bool".to_owned();
            Some(record(objective, name, good.clone()))
        }
        Indicator::Requests { .. } => None,
    }
}

/// The share of what went wrong in a window. Nothing to count is no share: nobody is woken by silence.
fn share(pack: &Pack, objective: &Objective, window: Span) -> String {
    let window = pack.window(window);
    match &objective.indicator {
        Indicator::Requests { bad, total, .. } => {
            let (bad, total) = (in_window(bad, window), in_window(total, window));
            format!("(({bad}) or vector(0)) / (({total}) > 0)")
        }
        Indicator::Moments { .. } => {
            let name = &objective.name;
            format!("1 - avg_over_time(brewline:slo_good:bool{{slo=\"{name}\"}}[{window}])")
        }
    }
}

fn burns(pack: &Pack, objective: &Objective) -> [Rule; 2] {
    [Severity::Page, Severity::Ticket].map(|severity| {
        let mine = pack.burns.iter().filter(|burn| burn.severity == severity);
        let pairs: Vec<String> = mine.map(|burn| pair(pack, objective, burn)).collect();
        let title = &objective.title;
        let summary = format!(
            "{title}: the budget ({} % good over {}) burns too fast",
            objective.target, pack.budget_window
        );
        Rule::Alert {
            name: objective.alert_name(severity),
            expr: pairs.join("\nor\n"),
            lasting: pack.waiting(BURN_LASTING),
            labels: BTreeMap::from([
                ("severity", severity.as_str().to_owned()),
                ("slo", objective.name.clone()),
            ]),
            annotations: annotations(
                &objective.alert_name(severity),
                summary,
                &format!(
                    "{} Share of bad ones now: {{{{ $value | humanizePercentage }}}}.",
                    objective.meaning
                ),
            ),
        }
    })
}

/// Both windows above the factor; and, where things are counted, enough of them.
fn pair(pack: &Pack, objective: &Objective, burn: &Burn) -> String {
    let (name, factor, target) = (&objective.name, &burn.factor, &objective.target);
    let above = |window| {
        let record = share_name(window);
        format!("{record}{{slo=\"{name}\"}} > {factor} * (1 - {target} / 100)")
    };
    let both = format!("{}\nand {}", above(burn.short), above(burn.long));
    let Indicator::Requests { bad, bad_min, .. } = &objective.indicator else {
        return format!("({both})");
    };
    let window = pack.window(burn.long);
    let (bad, seconds) = (in_window(bad, window), window.as_seconds());
    format!("({both}\nand on () ({bad}) * {seconds} >= {bad_min})")
}

fn cause(pack: &Pack, cause: &Cause) -> Rule {
    Rule::Alert {
        name: cause.alert.clone(),
        expr: pack.scaled(cause.expr.trim()),
        lasting: pack.waiting(cause.lasting),
        labels: BTreeMap::from([("severity", cause.severity.as_str().to_owned())]),
        annotations: annotations(&cause.alert, cause.summary.clone(), &cause.meaning),
    }
}

fn annotations(alert: &str, summary: String, description: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("summary", summary),
        ("description", description.trim().to_owned()),
        ("runbook", format!("docs/runbooks/{alert}.md")),
    ])
}
