//! As much of PromQL as is needed to scale windows and to name what an expression reads.

use std::collections::BTreeSet;

use crate::span::Span;

/// Words of the language that stand where a metric could.
const KEYWORDS: [&str; 10] = [
    "and", "or", "unless", "bool", "offset", "inf", "nan", "atan2", "start", "end",
];

/// Words that are followed by a list of labels in parentheses.
const LABEL_LISTS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// The expression with each window (`[5m]`, `[1h:1m]`) as `scale` makes it.
#[must_use]
pub fn with_windows(expr: &str, scale: impl Fn(Span) -> Span) -> String {
    let mut parts = expr.split('[');
    let mut scaled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find([']', ':']).unwrap_or(part.len());
        let (window, rest) = part.split_at(end);
        scaled.push('[');
        match window.parse::<Span>() {
            Ok(span) => scaled.push_str(&scale(span).to_string()),
            Err(_) => scaled.push_str(window),
        }
        scaled.push_str(rest);
    }
    scaled
}

/// The expression with `$window` filled in.
#[must_use]
pub fn in_window(expr: &str, window: Span) -> String {
    expr.replace("$window", &window.to_string())
}

/// The names of all metrics that an expression reads.
#[must_use]
pub fn metrics(expr: &str) -> BTreeSet<String> {
    let plain = without_inner_texts(expr);
    let mut names = BTreeSet::new();
    let mut rest = plain.as_str();
    while let Some(start) = rest.find(is_name_start) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c| !is_name(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        rest = after;
        // `5m` and `1e3` are numbers, their letters no names.
        let is_number = before.ends_with(|c: char| c.is_ascii_digit() || c == '.');
        if LABEL_LISTS.contains(&word) {
            rest = after_parentheses(after);
        } else if !is_number && !after.trim_start().starts_with('(') && !is_keyword(word) {
            names.insert(word.to_owned());
        }
    }
    names
}

fn is_keyword(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    KEYWORDS.contains(&lower.as_str())
        || ["sum", "min", "max", "avg", "count", "topk"].contains(&lower.as_str())
}

const fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == ':'
}

const fn is_name(c: char) -> bool {
    is_name_start(c) || c.is_ascii_digit()
}

fn after_parentheses(text: &str) -> &str {
    let inner = text.trim_start();
    match inner.strip_prefix('(') {
        Some(list) => list.split_once(')').map_or("", |(_, rest)| rest),
        // `group_left` may stand alone.
        None => text,
    }
}

/// Without quoted texts, label matchers and windows.
fn without_inner_texts(expr: &str) -> String {
    let mut plain = String::with_capacity(expr.len());
    let mut chars = expr.chars();
    let mut depth: u32 = 0;
    while let Some(c) = chars.next() {
        match c {
            '"' => skip_quoted(&mut chars),
            '{' | '[' => depth += 1,
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                plain.push(' ');
            }
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    plain
}

fn skip_quoted(chars: &mut std::str::Chars<'_>) {
    while let Some(c) = chars.next() {
        match c {
            '"' => return,
            '\\' => {
                chars.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_named_and_nothing_else_is() {
        let expr = r#"histogram_quantile(0.99, sum by (le, service) (rate(a_bucket{x="b[c]",y=~"d"}[5m])))
            / on (slo) group_left (z) b:c_d > 1e3 and (up == bool 0) or absent(e offset 5m) or sum(f) by (g)"#;
        let found: Vec<String> = metrics(expr).into_iter().collect();
        assert_eq!(found, ["a_bucket", "b:c_d", "e", "f", "up"]);
    }

    #[test]
    fn every_window_is_scaled_and_subqueries_keep_their_steps() {
        let expr = "rate(a[5m]) + max_over_time(b[1h:1m])";
        let scaled = with_windows(expr, |span| span.scaled(60, Span::seconds(1)));
        assert_eq!(scaled, "rate(a[5s]) + max_over_time(b[1m:1m])");
    }
}
