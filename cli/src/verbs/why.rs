//! `why ORDER`: an order's whole story, and on what it is stuck.

mod standing;

use std::process::ExitCode;

use brewline_chaos::evidence::{self, Evidence};
use brewline_chaos::timeline::{self, Entry};
use clap::Args;
use serde_json::json;
use uuid::Uuid;

use crate::sources::{self, Scope};
use crate::stack::Stack;
use crate::terminal;
use crate::verbs::{Unknown, dlq};
use standing::Standing;

/// Arguments of `why`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The order
    order: Uuid,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Tells the story.
///
/// # Errors
/// When no stack runs.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let sources = sources::of(&stack.endpoints()?, &Scope::default())?;
    let mut progress = terminal::Progress::default();
    progress.show("reading tables, topics and the card processor's ledger");
    let evidence = evidence::collect(sources).await;
    progress.clear();
    let letters = dlq::of_key(stack, &arguments.order.to_string()).await;
    let trace = trace_id(stack, arguments.order).await;
    let standing = Standing::of(&evidence, arguments.order, letters, trace);
    let story = timeline::of(&evidence, arguments.order);
    let stuck = stuck_on(&evidence, arguments.order);
    if let Err(why) = &evidence.log {
        terminal::note(format!(
            "the log is left out, since it could not be read: {why}"
        ));
    }
    if arguments.json {
        terminal::say_json(
            &json!({ "orderId": arguments.order, "stuckOn": stuck, "story": story, "now": standing }),
        )?;
    } else {
        print(&story);
        if !story.is_empty() {
            standing.lines().into_iter().for_each(terminal::say);
        }
        if let Some(stuck) = &stuck {
            terminal::say(format!("\nstuck: {stuck}"));
        }
    }
    if story.is_empty() {
        if let Err(why) = &evidence.orders {
            return Err(Unknown(format!("the orders could not be read: {why}")).into());
        }
        terminal::note(format!("there is no order {}", arguments.order));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The trace of the request that placed the order, when the outbox still has it.
async fn trace_id(stack: &Stack, order: Uuid) -> Option<String> {
    let sql = "select split_part(traceparent, '-', 2) from outbox
               where aggregate_type = 'order' and aggregate_id = $1 and version = 1
                 and traceparent is not null";
    let pool = sources::database(&stack.endpoints().ok()?, "order").ok()?;
    let row = pool.get().await.ok()?;
    let row = row.query_opt(sql, &[&order.to_string()]).await.ok()??;
    row.try_get(0).ok()
}

/// Prints a story, an entry a line.
pub(super) fn print(story: &[Entry]) {
    let begin = story.first().map_or(0, |entry| entry.at_micros);
    for entry in story {
        let after = (entry.at_micros - begin) / 1_000;
        terminal::say(format!(
            "{:>+8} ms  {:<14}  {}",
            after, entry.source, entry.text
        ));
    }
    if let Some(first) = story.first() {
        terminal::say(format!("   since {}", instant(first.at_micros)));
    }
}

/// An instant as RFC 3339.
pub(super) fn instant(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros)
        .unwrap_or_default()
        .to_string()
}

/// What an open order waits for.
fn stuck_on(evidence: &Evidence, order: Uuid) -> Option<String> {
    let mark = evidence.after.as_ref().ok()?.get(&order)?;
    if mark.closed {
        return None;
    }
    let subject = order.to_string();
    for tables in evidence.messaging.values().flatten() {
        if let Some((consumer, _)) = tables.parked.iter().find(|(_, parked)| *parked == subject) {
            return Some(format!(
                "{consumer} has parked its events behind one it cannot handle"
            ));
        }
    }
    Some(match mark.phase.as_str() {
        "parked" => format!("its checkout stands aside: {}", mark.parked_reason),
        "reserving" => "it waits for inventory's answer".to_owned(),
        "authorising" => "it waits for a known authorisation".to_owned(),
        "completing" => "it waits for the capture or for its stock to be sold".to_owned(),
        "unwinding" => "it waits for its money or its stock to be undone".to_owned(),
        phase => format!("it is {phase}"),
    })
}
