//! Dead letters and actions on a terminal and as JSON.

use brewline_proto::operator::v1::{
    DeadLetter, DropDeadLetterResponse, GetDeadLetterResponse, HeldRecord, OperatorAction,
    RedriveDeadLetterResponse, RedriveResult,
};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use crate::verbs::operator::instant;
use crate::{decode, terminal};

/// A list of dead letters, as far as services answered: that there are none is said when all did.
pub(super) fn list(
    letters: &[(&str, DeadLetter)],
    silent: &[&str],
    as_json: bool,
) -> anyhow::Result<()> {
    if as_json {
        let items: Vec<Value> = letters.iter().map(|(s, l)| letter_json(s, l)).collect();
        return terminal::say_json(&json!({ "items": items, "notAnswered": silent }));
    }
    if letters.is_empty() {
        none("no dead letters", silent);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header([
        "id", "consumer", "event", "key", "at", "tries", "parked", "because",
    ]);
    for (_, letter) in letters {
        table.add_row([
            letter.id.clone(),
            letter.consumer.clone(),
            short(&letter.event_type).to_owned(),
            letter.subject.clone(),
            instant(letter.at).unwrap_or_default(),
            letter.attempts.to_string(),
            letter.parked.to_string(),
            letter.reason.clone(),
        ]);
    }
    terminal::say(table);
    Ok(())
}

/// One dead letter.
pub(super) fn letter(
    service: &str,
    whole: &GetDeadLetterResponse,
    as_json: bool,
) -> anyhow::Result<()> {
    let Some(letter) = &whole.dead_letter else {
        anyhow::bail!("the answer holds no dead letter");
    };
    let outcome = outcome(whole);
    if as_json {
        let mut shown = letter_json(service, letter);
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("outcome".to_owned(), json!(outcome));
            fields.insert("closedAt".to_owned(), json!(instant(whole.closed_at)));
            let record = whole.record.as_ref().map(record_json);
            fields.insert("record".to_owned(), json!(record));
            let parked: Vec<Value> = whole.parked.iter().map(record_json).collect();
            fields.insert("parkedRecords".to_owned(), json!(parked));
        }
        return terminal::say_json(&shown);
    }
    terminal::say(format!("dead letter {}  {outcome}", letter.id));
    terminal::say(format!("  consumer  {} ({service})", letter.consumer));
    let (topic, partition, offset) = (&letter.topic, letter.partition, letter.offset);
    terminal::say(format!("  record    {topic}/{partition}/{offset}"));
    terminal::say(format!("  key       {}", letter.subject));
    terminal::say(format!("  because   {}", letter.reason));
    terminal::say(format!("  tries     {}", letter.attempts));
    let failed = instant(letter.at).unwrap_or_default();
    terminal::say(format!("  failed    {failed}"));
    if let Some(record) = &whole.record {
        terminal::say(format!("  event     {}", in_words(record)));
        let mut headers: Vec<_> = record.headers.iter().collect();
        headers.sort();
        for (name, value) in headers {
            terminal::say(format!("    {name}: {value}"));
        }
    }
    terminal::say(format!("  parked behind it: {}", letter.parked));
    for record in &whole.parked {
        terminal::say(format!("    {}", in_words(record)));
    }
    let shown = i64::try_from(whole.parked.len()).unwrap_or(i64::MAX);
    if letter.parked > shown {
        terminal::say(format!("    and {} more", letter.parked - shown));
    }
    Ok(())
}

/// How a redrive ended.
pub(super) fn redriven(
    service: &str,
    answer: &RedriveDeadLetterResponse,
    dry_run: bool,
    as_json: bool,
) -> anyhow::Result<()> {
    let result = match answer.result() {
        RedriveResult::Flows => "flows",
        RedriveResult::Failed => "failed",
        RedriveResult::DoneBefore => "done-before",
        RedriveResult::Unspecified => "unknown",
    };
    if as_json {
        return terminal::say_json(&json!({
            "service": service,
            "dryRun": dry_run,
            "result": result,
            "applied": answer.applied,
            "duplicates": answer.duplicates,
            "parked": answer.parked,
            "openId": some(&answer.open_id),
            "reason": some(&answer.reason),
            "attempts": (answer.attempts > 0).then_some(answer.attempts),
            "actionId": some(&answer.action_id),
        }));
    }
    let would = if dry_run { "dry run: " } else { "" };
    terminal::say(match answer.result() {
        RedriveResult::Flows => format!(
            "{would}{} records applied, {} were applied already; the key flows",
            answer.applied, answer.duplicates
        ),
        RedriveResult::Failed => format!(
            "{would}{} records applied, then dead letter {} failed (try {}): {}\n{} records stay parked behind it",
            answer.applied, answer.open_id, answer.attempts, answer.reason, answer.parked
        ),
        RedriveResult::DoneBefore => "it had been redriven already".to_owned(),
        RedriveResult::Unspecified => "the service says nothing about how it ended".to_owned(),
    });
    audit(&answer.action_id);
    Ok(())
}

/// How a drop ended.
pub(super) fn dropped(
    service: &str,
    answer: &DropDeadLetterResponse,
    dry_run: bool,
    as_json: bool,
) -> anyhow::Result<()> {
    if as_json {
        return terminal::say_json(&json!({
            "service": service,
            "dryRun": dry_run,
            "dropped": answer.dropped,
            "applied": answer.applied,
            "parked": answer.parked,
            "actionId": some(&answer.action_id),
        }));
    }
    let would = if dry_run { "dry run: " } else { "" };
    terminal::say(if answer.dropped {
        format!(
            "{would}dropped; {} records that were parked behind it applied, {} stay parked",
            answer.applied, answer.parked
        )
    } else {
        "it had been dropped already".to_owned()
    });
    audit(&answer.action_id);
    Ok(())
}

/// What operators have done, as far as services answered.
pub(super) fn actions(
    actions: &[(&str, OperatorAction)],
    silent: &[&str],
    as_json: bool,
) -> anyhow::Result<()> {
    if as_json {
        let items: Vec<Value> = actions
            .iter()
            .map(|(service, action)| {
                json!({
                    "service": service,
                    "id": action.id,
                    "at": instant(action.at),
                    "actor": action.actor,
                    "action": action.action,
                    "subject": action.subject,
                    "detail": serde_json::from_str(&action.detail).unwrap_or(Value::Null),
                })
            })
            .collect();
        return terminal::say_json(&json!({ "items": items, "notAnswered": silent }));
    }
    if actions.is_empty() {
        none("no actions on record", silent);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["at", "who", "what", "to", "at service", "how it ended"]);
    for (service, action) in actions {
        table.add_row([
            instant(action.at).unwrap_or_default(),
            action.actor.clone(),
            action.action.clone(),
            action.subject.clone(),
            (*service).to_owned(),
            action.detail.clone(),
        ]);
    }
    terminal::say(table);
    Ok(())
}

/// Nothing was found: which says something only when everybody was heard. Who was not is told as an error.
fn none(sentence: &str, silent: &[&str]) {
    if silent.is_empty() {
        terminal::say(sentence);
    }
}

fn audit(action_id: &str) {
    if !action_id.is_empty() {
        terminal::say(format!("on record as {action_id}"));
    }
}

fn letter_json(service: &str, letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "service": service,
        "consumer": letter.consumer,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "key": letter.subject,
        "eventType": letter.event_type,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "parked": letter.parked,
        "failedAt": instant(letter.at),
    })
}

fn record_json(record: &HeldRecord) -> Value {
    json!({
        "partition": record.partition,
        "offset": record.offset,
        "version": record.version,
        "eventType": record.event_type,
        "headers": record.headers,
        "body": decode::body(&record.event_type, &record.payload),
    })
}

fn in_words(record: &HeldRecord) -> String {
    let body = decode::body(&record.event_type, &record.payload);
    let (version, offset) = (record.version, record.offset);
    format!(
        "{} v{version} at offset {offset}  {body}",
        short(&record.event_type)
    )
}

fn outcome(whole: &GetDeadLetterResponse) -> String {
    let name = whole.outcome().as_str_name();
    name.trim_start_matches("DEAD_LETTER_OUTCOME_")
        .to_lowercase()
}

fn short(kind: &str) -> &str {
    kind.rsplit('.').next().unwrap_or(kind)
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
