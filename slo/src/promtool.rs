use crate::pack::{Cause, Objective, Pack, Series, Severity};
use crate::rules::{BURNS, CAUSES, SHARES};
use crate::span::Span;
use crate::yaml::{block, line, quoted};

/// One test of promtool: what comes in, when it is looked at, and who must fire or not.
struct Test<'a> {
    name: String,
    step: Span,
    input: &'a [Series],
    at: Span,
    alert: String,
    fires: bool,
}

/// A minute: what the values of the pack's series are apart.
const STEP: Span = Span::seconds(60);

/// Past the hour of the fast burn, and past the day of the slow one.
const FAST_AT: Span = Span::seconds(75 * 60);
const SLOW_AT: Span = Span::seconds(26 * 3600);

/// The slow tests span a day: looked at every minute, they would take one.
const SLOW_STEP: Span = Span::seconds(600);

/// Tests of the causes; `rules` is the path of their rule file from where this one will lie.
pub(crate) fn causes(pack: &Pack, rules: &str) -> String {
    let tests = pack.causes.iter().flat_map(cause_tests);
    file(rules, &[CAUSES], STEP, tests)
}

/// Tests of the objectives' alerts for those who are told now.
pub(crate) fn fast_burns(pack: &Pack, rules: &str) -> String {
    let tests = pack.objectives.iter().flat_map(objective_tests);
    let fast = tests.filter(|test| test.step == STEP);
    file(rules, &[SHARES, BURNS], STEP, fast)
}

/// Tests of the objectives' alerts for those who are told later.
pub(crate) fn slow_burns(pack: &Pack, rules: &str) -> String {
    let tests = pack.objectives.iter().flat_map(objective_tests);
    let slow = tests.filter(|test| test.step == SLOW_STEP);
    file(rules, &[SHARES, BURNS], SLOW_STEP, slow)
}

/// `groups` are evaluated in this order: promtool takes them as they come otherwise, and alerts looked at before
/// the shares they read see none at all, because the last ones are a whole step old.
fn file<'a>(
    rules: &str,
    groups: &[&str],
    evaluation: Span,
    tests: impl Iterator<Item = Test<'a>>,
) -> String {
    let mut text = format!(
        "# {}\nrule_files:\n  - {rules}\nevaluation_interval: {evaluation}\n",
        crate::files::HEAD
    );
    text.push_str("group_eval_order:\n");
    for group in groups {
        text.push_str("  - ");
        text.push_str(group);
        text.push('\n');
    }
    text.push_str("tests:\n");
    for test in tests {
        write_test(&mut text, &test);
    }
    text
}

fn objective_tests(objective: &Objective) -> [Test<'_>; 4] {
    let inputs = &objective.tests;
    let test = |severity: Severity, input, (step, at), fires, what: &str| Test {
        name: format!("{} {what}", objective.alert_name(severity)),
        step,
        input,
        at,
        alert: objective.alert_name(severity),
        fires,
    };
    let (fast, slow) = ((STEP, FAST_AT), (SLOW_STEP, SLOW_AT));
    [
        test(Severity::Page, &inputs.fast, fast, true, "fires"),
        test(
            Severity::Page,
            &inputs.slow,
            fast,
            false,
            "leaves a slow burn alone",
        ),
        test(Severity::Ticket, &inputs.slow, slow, true, "fires"),
        test(Severity::Ticket, &inputs.quiet, slow, false, "stays quiet"),
    ]
}

fn cause_tests(cause: &Cause) -> [Test<'_>; 2] {
    let case = &cause.tests;
    [
        (&case.fires, true, "fires"),
        (&case.quiet, false, "stays quiet"),
    ]
    .map(|(input, fires, what)| Test {
        name: format!("{} {what}", cause.alert),
        step: STEP,
        input,
        at: case.at,
        alert: cause.alert.clone(),
        fires,
    })
}

fn write_test(text: &mut String, test: &Test<'_>) {
    line(text, 2, &format!("- name: {}", test.name));
    line(text, 4, &format!("interval: {}", test.step));
    line(text, 4, "input_series:");
    for series in test.input {
        line(text, 6, &format!("- series: {}", single(&series.series)));
        line(text, 8, &format!("values: {}", quoted(&series.values)));
    }
    line(text, 4, "promql_expr_test:");
    let expr = format!(
        "count(ALERTS{{alertname=\"{}\",alertstate=\"firing\"}}) > 0 or vector(0)",
        test.alert
    );
    line(text, 6, "-");
    block(text, 8, "expr", &format!("clamp_max({expr}, 1)"));
    line(text, 8, &format!("eval_time: {}", test.at));
    line(text, 8, "exp_samples:");
    line(text, 10, "- labels: '{}'");
    line(text, 12, &format!("value: {}", u8::from(test.fires)));
}

fn single(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}
