//! The table on the page on observability: each alert with the fault that was seen to make it fire.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use brewline_slo::Pack;

use crate::faults::{self, BY_PROMTOOL, STAY};

const PAGE: &str = "../docs/operating/observability.md";
const BEGINNING: &str = "<!-- alerts: BREWLINE_REGENERATE=1 ./brewline test observe -->\n";
const END: &str = "<!-- alerts -->\n";

/// Whether the page says what this test does. `BREWLINE_REGENERATE` writes it.
pub(crate) fn is_current() -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let text = std::fs::read_to_string(&path).context("read the page")?;
    let (before, rest) = text
        .split_once(BEGINNING)
        .context("the page has no table")?;
    let (_, after) = rest.split_once(END).context("the table has no end")?;
    let table = table()?;
    let made = format!("{before}{BEGINNING}{table}{END}{after}");
    if std::env::var_os("BREWLINE_REGENERATE").is_some() {
        std::fs::write(&path, &made).context("write the page")?;
    } else {
        ensure!(
            made == text,
            "{PAGE} is not up to date: BREWLINE_REGENERATE=1 writes it"
        );
    }
    Ok(format!(
        "{} alerts",
        table.lines().count().saturating_sub(2)
    ))
}

fn table() -> anyhow::Result<String> {
    let mut causes: BTreeMap<&str, String> = BTreeMap::new();
    for fault in faults::all() {
        let long = if fault.is_long { " (`--all`)" } else { "" };
        for alert in fault.during.iter().chain(fault.after) {
            causes.insert(alert, format!("{}{long}", fault.what));
        }
    }
    for (alert, why) in BY_PROMTOOL {
        causes.insert(alert, format!("by promtool only: {why}"));
    }
    let mut table = "| alert | the fault that makes it fire |\n|---|---|\n".to_owned();
    for alert in Pack::committed()?.alerts() {
        let cause = causes.remove(&*alert);
        let cause = cause.with_context(|| format!("nothing makes {alert} fire"))?;
        table.push_str(&format!(
            "| [{alert}](../runbooks/{alert}.md) | {cause} |\n"
        ));
    }
    ensure!(causes.is_empty(), "no alerts are {:?}", causes.keys());
    let known = Pack::committed()?.alerts();
    ensure!(
        STAY.iter()
            .all(|(alert, _)| known.iter().any(|name| name == alert))
    );
    Ok(table)
}
