//! Every file that is made from the pack, as a path in the repository and its text.

use crate::dashboard;
use crate::pack::Pack;
use crate::promtool::{causes, fast_burns, slow_burns};
use crate::rules::{Group, groups};
use crate::runbook;
use crate::yaml::rule_file;

/// What a generated file says about itself.
pub(crate) const HEAD: &str =
    "Made from slo/slo.yaml by BREWLINE_REGENERATE=1 cargo test -p brewline-slo; do not edit";

/// Where rules lie.
pub const RULES: &str = "charts/brewline/rules";
/// Where the tests of promtool lie.
pub const PROMTOOL: &str = "slo/promtool";
const OBJECTIVES: &str = "objectives.yaml";
const CAUSES: &str = "causes.yaml";

/// Where dashboards lie.
pub const DASHBOARDS: &str = "charts/brewline/dashboards";
/// Where runbook pages lie.
pub const RUNBOOKS: &str = "docs/runbooks";

/// A file to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path from the root of the repository.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// All files of a pack.
#[must_use]
pub fn all(pack: &Pack) -> Vec<File> {
    let file = |path: String, text: String| File { path, text };
    let mut files = vec![];
    for (name, groups) in rules(pack) {
        files.push(file(format!("{RULES}/{name}"), rule_file(&groups)));
    }
    let (objectives_rules, causes_rules) = (from_tests(OBJECTIVES), from_tests(CAUSES));
    for (name, text) in [
        ("causes", causes(pack, &causes_rules)),
        ("fast-burns", fast_burns(pack, &objectives_rules)),
        ("slow-burns", slow_burns(pack, &objectives_rules)),
    ] {
        files.push(file(format!("{PROMTOOL}/{name}.test.yaml"), text));
    }
    files.extend(dashboard::all().iter().map(|dashboard| {
        let path = format!("{DASHBOARDS}/{}.json", dashboard.uid);
        file(path, format!("{:#}\n", dashboard.json()))
    }));
    files.extend(
        runbook::pages(pack)
            .into_iter()
            .map(|page| file(format!("{RUNBOOKS}/{}.md", page.alert), page.text)),
    );
    files
}

/// The rule files of a pack, by their names.
#[must_use]
pub fn rules(pack: &Pack) -> [(&'static str, Vec<Group>); 2] {
    let of_causes = |group: &Group| group.name == crate::rules::CAUSES;
    let (causes, objectives) = groups(pack).into_iter().partition(of_causes);
    [(OBJECTIVES, objectives), (CAUSES, causes)]
}

fn from_tests(rules: &str) -> String {
    format!("../../{RULES}/{rules}")
}
