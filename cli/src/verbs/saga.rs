//! `saga list|show`: what the order service's sagas are at.

use std::process::ExitCode;

use brewline_proto::operator::v1::saga_service_client::SagaServiceClient;
use brewline_proto::operator::v1::{GetSagaRequest, GetSagaResponse, ListSagasRequest, Saga};
use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};
use tonic::transport::Channel;
use uuid::Uuid;

use crate::exit::{Unknown, Usage};
use crate::stack::Stack;
use crate::terminal;

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
}

/// Lists or shows sagas.
///
/// # Errors
/// When the order service does not answer, or there is no such saga.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let mut client = SagaServiceClient::new(stack.channel("order")?);
    match arguments.action {
        Action::List { state, limit, json } => list(&mut client, state, limit, json).await?,
        Action::Show { id, json } => show(&mut client, id.to_string(), json).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(
    client: &mut SagaServiceClient<Channel>,
    state: String,
    limit: i32,
    as_json: bool,
) -> anyhow::Result<()> {
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

fn instant(at: Option<prost_types::Timestamp>) -> Option<String> {
    let at = at?;
    let at = jiff::Timestamp::new(at.seconds, at.nanos).ok()?;
    Some(format!("{at:.6}"))
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
    if status.code() == tonic::Code::InvalidArgument {
        return Usage(message.to_owned()).into();
    }
    Unknown(format!("order did not answer: {message}")).into()
}
