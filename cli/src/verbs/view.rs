//! `view list|rebuild`: views made anew from the log beside the live ones.

use std::process::ExitCode;

use brewline_proto::operator::v1::view_service_client::ViewServiceClient;
use brewline_proto::operator::v1::{
    ListViewsRequest, RebuildResult, RebuildViewRequest, RebuildViewResponse, View,
    ViewDifferenceKind,
};
use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::exit::{Unknown, Usage};
use crate::stack::Stack;
use crate::terminal;
use crate::verbs::operator::{Actor, CONSUMING, instant};

/// Arguments of `view`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The views of all services
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a view anew from the log, compare it with the live one, and switch
    Rebuild(Rebuild),
}

/// Arguments of `view rebuild`.
#[derive(Debug, Args)]
struct Rebuild {
    /// Its name, as `view list` has it
    name: String,
    /// Switch even though the two differ
    #[arg(long)]
    accept_differences: bool,
    /// Compare only
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    actor: Actor,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists or rebuilds views.
///
/// # Errors
/// When a service does not answer, there is no such view, or it cannot be rebuilt.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let (views, silent) = views(stack).await?;
    match arguments.action {
        Action::List { json } => {
            print_list(&views, json)?;
            if silent.is_empty() {
                return Ok(ExitCode::SUCCESS);
            }
            Err(Unknown(format!("did not answer: {}", silent.join(", "))).into())
        }
        Action::Rebuild(asked) => {
            let found = views.iter().find(|(_, view)| view.name == asked.name);
            let Some((service, _)) = found else {
                return Err(no_such_view(&asked.name, &views, &silent));
            };
            rebuild(stack, service, &asked).await
        }
    }
}

/// The views of every service that keeps some, and who did not answer.
async fn views(stack: &Stack) -> anyhow::Result<(Vec<(&'static str, View)>, Vec<&'static str>)> {
    stack.endpoints()?;
    let (mut views, mut silent) = (Vec::new(), Vec::new());
    for service in CONSUMING {
        let Ok(channel) = stack.channel(service) else {
            continue;
        };
        let mut client = ViewServiceClient::new(channel);
        match client.list_views(ListViewsRequest {}).await {
            Ok(answer) => {
                let found = answer.into_inner().views.into_iter();
                views.extend(found.map(|view| (service, view)));
            }
            Err(status) if status.code() == Code::Unimplemented => {}
            Err(_) => silent.push(service),
        }
    }
    Ok((views, silent))
}

async fn rebuild(stack: &Stack, service: &str, asked: &Rebuild) -> anyhow::Result<ExitCode> {
    let mut client: ViewServiceClient<Channel> = ViewServiceClient::new(stack.channel(service)?);
    let request = RebuildViewRequest {
        name: asked.name.clone(),
        actor: asked.actor.name(),
        accept_differences: asked.accept_differences,
        dry_run: asked.dry_run,
    };
    let refused = |status: Status| refused(service, &status);
    let answers = client.rebuild_view(request).await.map_err(refused)?;
    let mut answers = answers.into_inner();
    let mut shown = terminal::Progress::default();
    let mut result = None;
    while let Some(answer) = answers.message().await.map_err(refused)? {
        shown.show(&progress(&answer));
        result = answer.result.or(result);
    }
    shown.clear();
    let result =
        result.ok_or_else(|| Unknown(format!("{service} ended without saying how it went")))?;
    print_result(&asked.name, asked.dry_run, &result, asked.json)?;
    let is_good = result.switched || asked.dry_run && result.differences == 0;
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn progress(answer: &RebuildViewResponse) -> String {
    let (records, known) = (answer.records, answer.records_known);
    let percent = records.saturating_mul(100).checked_div(known).unwrap_or(0);
    format!("{records} of {known} records read ({percent} %)")
}

fn print_list(views: &[(&str, View)], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let items: Vec<Value> = views
            .iter()
            .map(|(service, view)| {
                json!({
                    "name": view.name,
                    "service": service,
                    "topics": view.topics,
                    "tables": view.tables,
                    "rebuiltAt": instant(view.rebuilt_at),
                })
            })
            .collect();
        return terminal::say_json(&json!({ "items": items }));
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["view", "service", "made from", "held in", "last rebuilt"]);
    for (service, view) in views {
        table.add_row([
            view.name.clone(),
            (*service).to_owned(),
            view.topics.join(", "),
            view.tables.join(", "),
            instant(view.rebuilt_at).unwrap_or_else(|| "never".to_owned()),
        ]);
    }
    terminal::say(table);
    Ok(())
}

fn print_result(
    name: &str,
    dry_run: bool,
    result: &RebuildResult,
    as_json: bool,
) -> anyhow::Result<()> {
    let per_second = per_second(result);
    if as_json {
        let differences: Vec<Value> = result
            .first_differences
            .iter()
            .map(|d| json!({ "table": d.table, "key": d.key, "kind": kind(d.kind()) }))
            .collect();
        return terminal::say_json(&json!({
            "view": name,
            "switched": result.switched,
            "dryRun": dry_run,
            "events": result.events,
            "rows": result.rows,
            "elapsedMs": result.elapsed_ms,
            "eventsPerSecond": per_second,
            "stoppedMs": result.stopped_ms,
            "differences": result.differences,
            "firstDifferences": differences,
            "actionId": Some(&result.action_id).filter(|id| !id.is_empty()),
        }));
    }
    terminal::say(format!(
        "{} events in {} ms: {per_second} a second; {} rows",
        result.events, result.elapsed_ms, result.rows
    ));
    terminal::say(format!(
        "{} differences; the live view stood still for {} ms",
        result.differences, result.stopped_ms
    ));
    for difference in &result.first_differences {
        let kind = kind(difference.kind());
        terminal::say(format!("  {} {}: {kind}", difference.table, difference.key));
    }
    terminal::say(match (result.switched, dry_run) {
        (true, _) => format!("{name} is switched; on record as {}", result.action_id),
        (false, true) => "dry run: not switched".to_owned(),
        (false, false) => "not switched: look, then use --accept-differences".to_owned(),
    });
    Ok(())
}

/// Events a second; of an instant, as many as there were.
fn per_second(result: &RebuildResult) -> i64 {
    let millis = result.elapsed_ms.max(1);
    result.events.saturating_mul(1_000) / millis
}

const fn kind(kind: ViewDifferenceKind) -> &'static str {
    match kind {
        ViewDifferenceKind::LiveOnly => "the live view alone has it",
        ViewDifferenceKind::NewOnly => "the new view alone has it",
        ViewDifferenceKind::Changed => "they differ",
        ViewDifferenceKind::Unspecified => "?",
    }
}

fn no_such_view(name: &str, views: &[(&str, View)], silent: &[&str]) -> anyhow::Error {
    if !silent.is_empty() {
        let silent = silent.join(", ");
        return Unknown(format!(
            "no service that answers has it; {silent} did not answer"
        ))
        .into();
    }
    let names: Vec<&str> = views.iter().map(|(_, view)| view.name.as_str()).collect();
    Usage(format!(
        "there is no view {name}; there are: {}",
        names.join(", ")
    ))
    .into()
}

fn refused(service: &str, status: &Status) -> anyhow::Error {
    let message = status.message();
    let code = status.code();
    if matches!(code, Code::FailedPrecondition | Code::NotFound) {
        return anyhow::anyhow!("refused: {message}");
    }
    if code == Code::InvalidArgument {
        return Usage(message.to_owned()).into();
    }
    Unknown(format!("{service} did not do it: {message}")).into()
}
