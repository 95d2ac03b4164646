//! What those on call do, while orders flow and while what they act upon dies: dead letters redriven, views
//! made anew.

use anyhow::{Context as _, ensure};
use brewline_chaos::faults;
use brewline_cli::stack::Endpoints;
use brewline_postgres::{Config, Pool, Row};
use brewline_proto::operator::v1::operator_service_client::OperatorServiceClient;
use brewline_proto::operator::v1::view_service_client::ViewServiceClient;
use brewline_proto::operator::v1::{RebuildViewRequest, RedriveDeadLetterRequest, RedriveResult};
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

use crate::platform::{Platform, number};
use crate::scenarios::{Scenario, scenario};

/// So many records wait behind dead letters before anybody does something about it.
const PARKED: i64 = 3;
/// Between these a view that is made anew can be lost.
const REBUILDING: [&str; 2] = [
    "operator.rebuilt-before-compared",
    "operator.switched-before-commit",
];

/// All of them.
pub(crate) fn all() -> Vec<Scenario> {
    vec![
        // First, while there is little to read.
        scenario("view-orders-made-anew-while-its-service-dies", |p| {
            Box::pin(rebuild(p, "order", "orders"))
        }),
        scenario("view-wall-made-anew-while-its-service-dies", |p| {
            Box::pin(rebuild(p, "barista", "wall"))
        }),
        scenario("poison-in-the-middle-of-keys-redriven-twice-at-once", |p| {
            Box::pin(poison(p))
        }),
    ]
}

/// The service dies with the new view in hand, and with it half in place; the third attempt switches, and
/// there is nothing to accept: the view was what the log says all the while.
async fn rebuild(
    platform: &Platform,
    service: &'static str,
    view: &'static str,
) -> anyhow::Result<()> {
    for point in REBUILDING {
        let (admin, pid) = platform.instance(service, 1)?;
        faults::arm(&admin, &format!("{point}=kill")).await?;
        let outlived = made_anew(platform, service, view, false).await;
        ensure!(outlived.is_err(), "{point} never bit: {outlived:?}");
        platform.reborn(service, 1, pid).await?;
    }
    platform
        .until("the view is made anew", async || {
            made_anew(platform, service, view, false).await.is_ok()
        })
        .await
}

/// Makes a view anew from the log; an error where it was not switched.
pub(crate) async fn made_anew(
    platform: &Platform,
    service: &str,
    view: &str,
    accept_differences: bool,
) -> anyhow::Result<()> {
    let mut client = ViewServiceClient::new(channel(&platform.endpoints()?, service).await?);
    let wish = RebuildViewRequest {
        name: view.to_owned(),
        actor: "kill tests".to_owned(),
        accept_differences,
        dry_run: false,
    };
    let mut told = client.rebuild_view(wish).await?.into_inner();
    let mut result = None;
    while let Some(far) = told.message().await? {
        result = far.result.or(result);
    }
    let switched = result.as_ref().is_some_and(|result| result.switched);
    ensure!(switched, "{view} was not switched: {result:?}");
    Ok(())
}

async fn channel(endpoints: &Endpoints, service: &str) -> anyhow::Result<Channel> {
    let found = endpoints.services.get(service);
    let grpc = found.and_then(|service| service.grpc.clone());
    let grpc = grpc.with_context(|| format!("no {service}"))?;
    Ok(Endpoint::from_shared(grpc)?.connect().await?)
}

/// Some customers who want mails.
const WANT_MAILS: &str = "select customer_id from preference
    where 'email' = any(channels) order by customer_id limit 10";
/// From now on a service cannot note a mail that something is sold, for these customers.
const POISON: &str = "
    create or replace function poison() returns trigger language plpgsql as
        $$ begin raise exception 'poison'; end $$;
    create trigger poison before insert on delivery for each row
        when (new.kind = 'confirmed' and new.customer_id in (CUSTOMERS)) execute function poison();";
const ANTIDOTE: &str = "drop function if exists poison() cascade";
/// What waits behind dead letters.
const WAITING: &str = "select count(*) from parked";
const OPEN: &str = "select id from dead_letter where outcome = 'open'";

/// Records in the middle of orders' ways cannot be handled: they become dead letters, and what follows of
/// the same orders waits behind them. Once the reason is gone they are redriven: the first time the service
/// dies with it, then two operators do it at once. Each mail goes out once.
async fn poison(platform: &Platform) -> anyhow::Result<()> {
    let notification = platform.database("notification")?;
    let owner = owner(&platform.endpoints()?, "notification")?;
    let rows = notification.get().await?.query(WANT_MAILS, &[]).await?;
    let customers: Vec<String> = rows
        .iter()
        .map(|row: &Row| format!("'{}'", row.get::<_, &str>(0)))
        .collect();
    let poison = POISON.replace("CUSTOMERS", &customers.join(", "));
    owner.get().await?.batch_execute(&poison).await?;
    let waiting = platform
        .until("records wait behind dead letters", async || {
            let waiting = number(&notification, WAITING, &[]).await;
            waiting.is_ok_and(|waiting| waiting >= PARKED)
        })
        .await;
    owner.get().await?.batch_execute(ANTIDOTE).await?;
    waiting?;
    redriven_by_nobody(platform, &notification).await?;
    platform
        .until("nothing is a dead letter any more", async || {
            let all = redriven_twice_at_once(platform, &notification).await;
            all.is_ok_and(|left| left == 0)
        })
        .await
}

/// The service dies with a dead letter redriven and not committed.
async fn redriven_by_nobody(platform: &Platform, notification: &Pool) -> anyhow::Result<()> {
    let letters = open(notification).await?;
    let letter = letters.first().context("there is no dead letter")?;
    let (admin, pid) = platform.instance("notification", 1)?;
    faults::arm(&admin, "operator.redriven-before-commit=kill").await?;
    let told = redriven(platform, *letter).await;
    ensure!(told.is_err(), "it outlived a crash: {told:?}");
    platform.reborn("notification", 1, pid).await?;
    let open = open(notification).await?;
    ensure!(open.contains(letter), "{letter} was closed by nobody");
    Ok(())
}

/// How many dead letters there still were: each is redriven twice at once, and nobody is told that it
/// failed.
async fn redriven_twice_at_once(platform: &Platform, notification: &Pool) -> anyhow::Result<usize> {
    let letters = open(notification).await?;
    for letter in &letters {
        let (one, other) = tokio::join!(redriven(platform, *letter), redriven(platform, *letter));
        for told in [one?, other?] {
            ensure!(
                matches!(told, RedriveResult::Flows | RedriveResult::DoneBefore),
                "{letter}: {told:?}"
            );
        }
    }
    Ok(letters.len())
}

async fn open(notification: &Pool) -> anyhow::Result<Vec<Uuid>> {
    let rows = notification.get().await?.query(OPEN, &[]).await?;
    Ok(rows.iter().map(|row: &Row| row.get(0)).collect())
}

async fn redriven(platform: &Platform, letter: Uuid) -> anyhow::Result<RedriveResult> {
    let channel = channel(&platform.endpoints()?, "notification").await?;
    let wish = RedriveDeadLetterRequest {
        id: letter.to_string(),
        actor: "kill tests".to_owned(),
        dry_run: false,
    };
    let answer = OperatorServiceClient::new(channel)
        .redrive_dead_letter(wish)
        .await?;
    Ok(answer.into_inner().result())
}

/// A database as the role that owns its tables.
fn owner(endpoints: &Endpoints, service: &str) -> anyhow::Result<Pool> {
    let url = endpoints.postgres.get(service);
    let url = url.with_context(|| format!("no database of {service}"))?;
    Ok(Pool::new(&Config::from_url(url, 1)?))
}
