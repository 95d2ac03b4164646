//! `saga list|show|retry|compensate`: what the order service's sagas are at, and what is done about those
//! that stand aside.

use std::process::ExitCode;

use brewline_proto::operator::v1::saga_service_client::SagaServiceClient;
use brewline_proto::operator::v1::{
    CompensateSagaRequest, GetSagaRequest, GetSagaResponse, ListSagasRequest, RetrySagaRequest,
    Saga,
};
use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};
use tonic::transport::Channel;
use uuid::Uuid;

use crate::exit::{Unknown, Usage};
use crate::stack::Stack;
use crate::terminal;
use crate::verbs::operator::{Actor, instant};

/// Arguments of `saga`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Sagas that have not ended, parked ones first, then the oldest
    List {
        /// Only those in this state
        #[arg(long, default_value = "")]
        state: String,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: i32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// One saga with its log
    Show {
        /// Its id: the order's
        id: Uuid,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Have a parked saga try again what it was parked at
    Retry(Act),
    /// Give a parked saga's order up and undo all it did; refused where that would break the books
    Compensate(Act),
}

/// Arguments of an action on a saga.
#[derive(Debug, Args)]
struct Act {
    /// Its id: the order's
    id: Uuid,
    /// Say whether it would be done and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    actor: Actor,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists, shows or moves sagas.
///
/// # Errors
/// When the order service does not answer, there is no such saga, or the action is refused.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let mut client = SagaServiceClient::new(stack.channel("order")?);
    match arguments.action {
        Action::List { state, limit, json } => list(&mut client, state, limit, json).await?,
        Action::Show { id, json } => show(&mut client, id.to_string(), json).await?,
        Action::Retry(act) => retry(&mut client, &act).await?,
        Action::Compensate(act) => compensate(&mut client, &act).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(
    client: &mut SagaServiceClient<Channel>,
    state: String,
    limit: i32,
    as_json: bool,
) -> anyhow::Result<()> {
    let nothing = if state.is_empty() {
        "no open sagas".to_owned()
    } else {
        format!("no sagas that are {state}")
    };
    let request = ListSagasRequest { state, limit };
    let sagas = client
        .list_sagas(request)
        .await
        .map_err(refused)?
        .into_inner()
        .sagas;
    if as_json {
        let items: Vec<Value> = sagas.iter().map(saga_json).collect();
        return terminal::say_json(&json!({ "items": items }));
    }
    if sagas.is_empty() {
        terminal::say(nothing);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header([
        "saga",
        "state",
        "step",
        "attempts",
        "started",
        "due",
        "parked because",
    ]);
    for saga in &sagas {
        table.add_row([
            saga.saga_id.clone(),
            saga.state.clone(),
            saga.step.clone(),
            saga.attempts.to_string(),
            instant(saga.started_at).unwrap_or_default(),
            instant(saga.due_at).unwrap_or_else(|| "-".to_owned()),
            saga.parked_reason.clone(),
        ]);
    }
    terminal::say(table);
    Ok(())
}

async fn show(
    client: &mut SagaServiceClient<Channel>,
    saga_id: String,
    as_json: bool,
) -> anyhow::Result<()> {
    let answer = client
        .get_saga(GetSagaRequest { saga_id })
        .await
        .map_err(refused)?;
    let answer = answer.into_inner();
    if as_json {
        return terminal::say_json(&with_log_json(&answer));
    }
    if let Some(saga) = &answer.saga {
        terminal::say(format!(
            "{}  {}  {}",
            saga.saga_id, saga.state, saga.parked_reason
        ));
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["at", "from", "to", "because of", "so"]);
    for entry in &answer.log {
        table.add_row([
            instant(entry.at).unwrap_or_default(),
            entry.from_state.clone(),
            entry.to_state.clone(),
            entry.trigger.clone(),
            entry.actions.join(", "),
        ]);
    }
    terminal::say(table);
    Ok(())
}

async fn retry(client: &mut SagaServiceClient<Channel>, act: &Act) -> anyhow::Result<()> {
    let request = RetrySagaRequest {
        saga_id: act.id.to_string(),
        actor: act.actor.name(),
        dry_run: act.dry_run,
    };
    let answer = client.retry_saga(request).await.map_err(refused)?;
    moved(act, "it tries again", answer.into_inner().saga.as_ref())
}

async fn compensate(client: &mut SagaServiceClient<Channel>, act: &Act) -> anyhow::Result<()> {
    let request = CompensateSagaRequest {
        saga_id: act.id.to_string(),
        actor: act.actor.name(),
        dry_run: act.dry_run,
    };
    let answer = client.compensate_saga(request).await.map_err(refused)?;
    moved(act, "it is undone", answer.into_inner().saga.as_ref())
}

fn moved(act: &Act, what: &str, saga: Option<&Saga>) -> anyhow::Result<()> {
    if act.json {
        let saga = saga.map(saga_json);
        return terminal::say_json(&json!({ "dryRun": act.dry_run, "saga": saga }));
    }
    let would = if act.dry_run { "dry run: " } else { "" };
    let (state, step) = saga.map_or(("?", ""), |saga| (saga.state.as_str(), saga.step.as_str()));
    terminal::say(format!("{would}{what}; now {state} {step}"));
    Ok(())
}

fn saga_json(saga: &Saga) -> Value {
    json!({
        "sagaId": saga.saga_id,
        "state": saga.state,
        "step": saga.step,
        "attempts": saga.attempts,
        "dueAt": instant(saga.due_at),
        "startedAt": instant(saga.started_at),
        "updatedAt": instant(saga.updated_at),
        "parkedReason": Some(&saga.parked_reason).filter(|reason| !reason.is_empty()),
    })
}

fn with_log_json(answer: &GetSagaResponse) -> Value {
    let log: Vec<Value> = answer
        .log
        .iter()
        .map(|entry| {
            json!({
                "sequence": entry.sequence,
                "at": instant(entry.at),
                "from": entry.from_state,
                "to": entry.to_state,
                "trigger": entry.trigger,
                "actions": entry.actions,
            })
        })
        .collect();
    json!({ "saga": answer.saga.as_ref().map(saga_json), "log": log })
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "the shape that `map_err` wants"
)]
fn refused(status: tonic::Status) -> anyhow::Error {
    let message = status.message();
    if status.code() == tonic::Code::NotFound {
        return anyhow::anyhow!("{message}");
    }
    if status.code() == tonic::Code::FailedPrecondition {
        return anyhow::anyhow!("refused: {message}");
    }
    if status.code() == tonic::Code::InvalidArgument {
        return Usage(message.to_owned()).into();
    }
    Unknown(format!("order did not answer: {message}")).into()
}
