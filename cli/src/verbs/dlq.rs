//! `dlq list|show|redrive|drop|actions`: what consumers could not handle, and what is done about it.

mod print;

use std::process::ExitCode;
use std::time::Duration;

use brewline_proto::operator::v1::operator_service_client::OperatorServiceClient;
use brewline_proto::operator::v1::{
    DeadLetter, DropDeadLetterRequest, DropDeadLetterResponse, GetDeadLetterRequest,
    GetDeadLetterResponse, ListDeadLettersRequest, ListOperatorActionsRequest, OperatorAction,
    RedriveDeadLetterRequest, RedriveDeadLetterResponse, RedriveResult,
};
use clap::{Args, Subcommand};
use futures_util::future::join_all;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::exit::{Unknown, Usage};
use crate::stack::Stack;
use crate::verbs::operator::{Actor, CONSUMING};

/// A service that takes longer to list its dead letters is named as one that did not answer.
const LISTED_WITHIN: Duration = Duration::from_secs(5);

/// The most that a service lists.
const LETTERS_LOOKED_THROUGH: i32 = 1_000;

/// Arguments of `dlq`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Dead letters that are still open, oldest first
    List(List),
    /// One dead letter: record, reason, and what is parked behind it
    Show {
        /// Its id
        id: Uuid,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Handle a dead letter again, and then what is parked behind it
    Redrive(Act),
    /// Give a dead letter up for good; refused while a parked event needs it
    Drop(Act),
    /// What operators have done, newest first
    Actions {
        /// At most so many of each service
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=1000))]
        limit: i32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Arguments of `dlq list`.
#[derive(Debug, Args)]
struct List {
    /// Only of this topic
    #[arg(long)]
    topic: Option<String>,
    /// Only of this consumer
    #[arg(long)]
    consumer: Option<String>,
    /// Only of this subject: an order, a customer, a product
    #[arg(long)]
    key: Option<String>,
    /// Only those whose reason holds this text
    #[arg(long)]
    reason: Option<String>,
    /// At most so many of each service
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=1000))]
    limit: i32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of an action on a dead letter.
#[derive(Debug, Args)]
struct Act {
    /// Its id
    id: Uuid,
    /// Say how it would end and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    actor: Actor,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A service that has a dead letter, and the letter.
struct Found {
    service: &'static str,
    client: OperatorServiceClient<Channel>,
    letter: GetDeadLetterResponse,
}

/// Lists, shows, redrives or drops.
///
/// # Errors
/// When a service does not answer, there is no such dead letter, or the action is refused.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    // Without a stack, that is what has to be said, not that each service is silent.
    stack.endpoints()?;
    match arguments.action {
        Action::List(wanted) => list(stack, &wanted).await,
        Action::Show { id, json } => {
            let found = find(stack, id).await?;
            print::letter(found.service, &found.letter, json)?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Redrive(act) => redrive(stack, act).await,
        Action::Drop(act) => give_up(stack, act).await,
        Action::Actions { limit, json } => actions(stack, limit, json).await,
    }
}

async fn list(stack: &Stack, wanted: &List) -> anyhow::Result<ExitCode> {
    let request = ListDeadLettersRequest {
        limit: wanted.limit,
    };
    let (answers, silent) = ask_all(stack, async |mut client| {
        let answer = client.list_dead_letters(request).await?;
        Ok(answer.into_inner().dead_letters)
    })
    .await;
    let mut letters: Vec<(&str, DeadLetter)> = answers;
    letters.retain(|(_, letter)| wanted.wants(letter));
    letters.sort_by_key(|(_, letter)| letter.at.map(|at| (at.seconds, at.nanos)));
    print::list(&letters, &silent, wanted.json)?;
    answered(&silent)
}

/// The open dead letters of a key, as far as services answer.
pub(super) async fn of_key(stack: &Stack, key: &str) -> Vec<DeadLetter> {
    let request = ListDeadLettersRequest {
        limit: LETTERS_LOOKED_THROUGH,
    };
    let (letters, _) = ask_all(stack, async |mut client| {
        let answer = client.list_dead_letters(request).await?;
        Ok(answer.into_inner().dead_letters)
    })
    .await;
    let letters = letters.into_iter().map(|(_, letter)| letter);
    letters.filter(|letter| letter.subject == key).collect()
}

async fn actions(stack: &Stack, limit: i32, json: bool) -> anyhow::Result<ExitCode> {
    let request = ListOperatorActionsRequest { limit };
    let (mut actions, silent) = ask_all(stack, async |mut client| {
        let answer = client.list_operator_actions(request).await?;
        Ok(answer.into_inner().actions)
    })
    .await;
    actions.sort_by_key(|(_, action): &(_, OperatorAction)| {
        std::cmp::Reverse(action.at.map(|at| (at.seconds, at.nanos)))
    });
    print::actions(&actions, &silent, json)?;
    answered(&silent)
}

async fn redrive(stack: &Stack, act: Act) -> anyhow::Result<ExitCode> {
    let mut found = find(stack, act.id).await?;
    let request = RedriveDeadLetterRequest {
        id: act.id.to_string(),
        actor: act.actor.name(),
        dry_run: act.dry_run,
    };
    let answer = found.client.redrive_dead_letter(request).await;
    let answer: RedriveDeadLetterResponse = answer
        .map_err(|status| refused(found.service, &status))?
        .into_inner();
    print::redriven(found.service, &answer, act.dry_run, act.json)?;
    Ok(match answer.result() {
        RedriveResult::Flows | RedriveResult::DoneBefore => ExitCode::SUCCESS,
        RedriveResult::Failed | RedriveResult::Unspecified => ExitCode::FAILURE,
    })
}

async fn give_up(stack: &Stack, act: Act) -> anyhow::Result<ExitCode> {
    let mut found = find(stack, act.id).await?;
    let request = DropDeadLetterRequest {
        id: act.id.to_string(),
        actor: act.actor.name(),
        dry_run: act.dry_run,
    };
    let answer = found.client.drop_dead_letter(request).await;
    let answer: DropDeadLetterResponse = answer
        .map_err(|status| refused(found.service, &status))?
        .into_inner();
    print::dropped(found.service, &answer, act.dry_run, act.json)?;
    Ok(ExitCode::SUCCESS)
}

/// The service whose dead letter this is.
async fn find(stack: &Stack, id: Uuid) -> anyhow::Result<Found> {
    let mut silent = Vec::new();
    for service in CONSUMING {
        let Ok(channel) = stack.channel(service) else {
            continue;
        };
        let mut client = OperatorServiceClient::new(channel);
        let request = GetDeadLetterRequest { id: id.to_string() };
        match client.get_dead_letter(request).await {
            Ok(letter) => {
                return Ok(Found {
                    service,
                    client,
                    letter: letter.into_inner(),
                });
            }
            Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented) => {}
            Err(_) => silent.push(service),
        }
    }
    if silent.is_empty() {
        anyhow::bail!("there is no dead letter {id}");
    }
    let silent = silent.join(", ");
    Err(Unknown(format!(
        "no service that answers has it; {silent} did not answer"
    ))
    .into())
}

/// Asks every service that consumes and runs; who did not answer comes second.
async fn ask_all<T>(
    stack: &Stack,
    ask: impl AsyncFn(OperatorServiceClient<Channel>) -> Result<Vec<T>, Status>,
) -> (Vec<(&'static str, T)>, Vec<&'static str>) {
    let asked = CONSUMING.map(async |service| {
        let channel = stack.channel(service).ok()?;
        let answer = timeout(LISTED_WITHIN, ask(OperatorServiceClient::new(channel))).await;
        Some((service, answer))
    });
    let (mut found, mut silent) = (Vec::new(), Vec::new());
    for (service, answer) in join_all(asked).await.into_iter().flatten() {
        match answer {
            Ok(Ok(items)) => found.extend(items.into_iter().map(|item| (service, item))),
            Ok(Err(status)) if status.code() == Code::Unimplemented => {}
            Ok(Err(_)) | Err(_) => silent.push(service),
        }
    }
    (found, silent)
}

fn answered(silent: &[&str]) -> anyhow::Result<ExitCode> {
    if silent.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Unknown(format!("did not answer: {}", silent.join(", "))).into())
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

// === impl List ===

impl List {
    fn wants(&self, letter: &DeadLetter) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        let reason = self.reason.as_ref();
        is(&self.topic, &letter.topic)
            && is(&self.consumer, &letter.consumer)
            && is(&self.key, &letter.subject)
            && reason.is_none_or(|part| letter.reason.contains(part.as_str()))
    }
}
