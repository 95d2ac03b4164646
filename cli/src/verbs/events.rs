//! `events tail`: events as they come, envelope and body.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;
use brewline_chaos::evidence::topics;
use brewline_kafka::{Admin, Reader, Received, Until};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::decode;
use crate::stack::Stack;
use crate::verbs::given;
use crate::{sources, terminal};

/// Arguments of `events`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Follow the event topics
    Tail(Tail),
}

/// Arguments of `events tail`.
#[derive(Debug, Args)]
pub struct Tail {
    /// Only events about this order
    #[arg(long)]
    order: Option<Uuid>,
    /// Only this topic; may be repeated
    #[arg(long = "topic", value_parser = given::topic())]
    topics: Vec<String>,
    /// Where to begin
    #[arg(long, value_enum, default_value = "now")]
    from: From,
    /// Stop at the end of the log instead of following it
    #[arg(long)]
    until_end: bool,
    /// Print JSON, a line an event
    #[arg(long)]
    json: bool,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    /// At the first record
    Beginning,
    /// At what comes next
    Now,
}

/// Shows events until Ctrl-C, until nobody reads them any more (`| head`) or, when asked, to the end.
///
/// # Errors
/// When no stack runs or the broker does not answer.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let Action::Tail(tail) = arguments.action;
    let config = sources::kafka(&stack.endpoints()?);
    let all: Vec<String> = topics()
        .iter()
        .map(|(topic, _)| (*topic).to_owned())
        .collect();
    let chosen = if tail.topics.is_empty() {
        all
    } else {
        tail.topics.clone()
    };
    let names: Vec<&str> = chosen.iter().map(String::as_str).collect();
    let from = match tail.from {
        From::Beginning => BTreeMap::new(),
        From::Now => {
            let admin = Admin::new(&config).context("reach the broker")?;
            admin
                .end_offsets(&names)
                .await
                .context("ask for the ends of the topics")?
        }
    };
    let until = if tail.until_end {
        Until::End
    } else {
        Until::Stopped
    };
    let mut reader = Reader::open(&config, &names, from, until)
        .await
        .context("read the topics")?;
    let mut unread = std::pin::pin!(terminal::unread());
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
            () = &mut unread => return Ok(ExitCode::SUCCESS),
            next = reader.next() => match next {
                Some(record) => show(&record.context("read the topics")?, &tail)?,
                None => return Ok(ExitCode::SUCCESS),
            },
        }
    }
}

fn show(record: &Received, tail: &Tail) -> anyhow::Result<()> {
    let headers: BTreeMap<&str, &str> = record
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), std::str::from_utf8(value).ok()?)))
        .collect();
    let header = |name: &str| headers.get(name).copied().unwrap_or("");
    if tail
        .order
        .is_some_and(|order| header("ce_subject") != order.to_string())
    {
        return Ok(());
    }
    let kind = header("ce_type");
    let body = decode::body(kind, record.payload.as_deref().unwrap_or_default());
    if tail.json {
        return terminal::say_json(&whole(record, &headers, &body));
    }
    let short = kind.rsplit('.').next().unwrap_or(kind);
    terminal::say(format!(
        "{}  {}/{}/{}  {short} {} v{}  {body}",
        header("ce_time"),
        record.topic,
        record.partition,
        record.offset,
        header("ce_subject"),
        header("ce_sequence"),
    ));
    Ok(())
}

fn whole(record: &Received, headers: &BTreeMap<&str, &str>, body: &Value) -> Value {
    json!({
        "topic": &*record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "headers": headers,
        "body": body,
    })
}
