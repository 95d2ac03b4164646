use std::fmt::Write as _;

use crate::pack::{Cause, Objective, Pack, Severity};

/// What somebody reads who was woken by an alert.
pub(crate) struct Page {
    pub(crate) alert: String,
    pub(crate) text: String,
}

/// A page for every alert, and one that lists them.
pub(crate) fn pages(pack: &Pack) -> Vec<Page> {
    let burns = pack.objectives.iter().flat_map(|objective| {
        [Severity::Page, Severity::Ticket].map(|severity| burn_page(pack, objective, severity))
    });
    let mut pages: Vec<Page> = burns.chain(pack.causes.iter().map(cause_page)).collect();
    pages.push(index(pack));
    pages
}

fn burn_page(pack: &Pack, objective: &Objective, severity: Severity) -> Page {
    let alert = objective.alert_name(severity);
    let mut text = head(&alert, severity, &objective.meaning);
    let mine = pack.burns.iter().filter(|burn| burn.severity == severity);
    let pairs: Vec<String> = mine
        .map(|burn| {
            format!(
                "{} times over {} and {}",
                burn.factor, burn.long, burn.short
            )
        })
        .collect();
    let (title, target) = (&objective.title, &objective.target);
    paragraph(
        &mut text,
        &format!(
            "The promise: {title}, {target} % over {}. The alert fires when the budget burns {} too fast.",
            pack.budget_window,
            pairs.join(", or ")
        ),
    );
    steps(&mut text, &objective.look, &objective.act);
    Page { alert, text }
}

fn cause_page(cause: &Cause) -> Page {
    let mut text = head(&cause.alert, cause.severity, &cause.meaning);
    paragraph(
        &mut text,
        &format!("It fires when this holds for {}:", cause.lasting),
    );
    fence(&mut text, "promql", cause.expr.trim());
    steps(&mut text, &cause.look, &cause.act);
    Page {
        alert: cause.alert.clone(),
        text,
    }
}

fn head(alert: &str, severity: Severity, meaning: &str) -> String {
    let mut text = format!("<!-- {} -->\n# {alert}\n\n", crate::files::HEAD);
    let told = match severity {
        Severity::Page => "page: somebody looks now",
        Severity::Ticket => "ticket: somebody looks on the next working day",
    };
    paragraph(&mut text, &format!("Severity {told}."));
    paragraph(&mut text, meaning.trim());
    text
}

fn steps(text: &mut String, look: &[String], act: &[String]) {
    paragraph(text, "## Look");
    fence(text, "sh", &look.join("\n"));
    paragraph(text, "## Act");
    for step in act {
        writeln!(text, "- {}", step.trim()).ok();
    }
    paragraph(
        text,
        "\nBeside the code every command begins with `./brewline`; in a cluster with \
         `kubectl exec deploy/brewline-toolbox -- brewline`. When the alert has ended, \
         `./brewline verify` says whether the books balance.",
    );
    // One line break at the end, not two.
    text.pop();
}

fn index(pack: &Pack) -> Page {
    let mut text = format!("<!-- {} -->\n# Runbooks\n\n", crate::files::HEAD);
    paragraph(
        &mut text,
        "One page for each alert. Objectives first, then causes.",
    );
    text.push_str("| alert | severity | says |\n|---|---|---|\n");
    for objective in &pack.objectives {
        for severity in [Severity::Page, Severity::Ticket] {
            row(
                &mut text,
                &objective.alert_name(severity),
                severity,
                &objective.title,
            );
        }
    }
    for cause in &pack.causes {
        row(&mut text, &cause.alert, cause.severity, &cause.meaning);
    }
    Page {
        alert: "README".to_owned(),
        text,
    }
}

fn row(text: &mut String, alert: &str, severity: Severity, says: &str) {
    let first = says.split_inclusive(". ").next().unwrap_or(says).trim();
    let severity = severity.as_str();
    writeln!(text, "| [{alert}]({alert}.md) | {severity} | {first} |").ok();
}

fn paragraph(text: &mut String, words: &str) {
    writeln!(text, "{words}\n").ok();
}

fn fence(text: &mut String, language: &str, lines: &str) {
    writeln!(text, "```{language}\n{lines}\n```\n").ok();
}
