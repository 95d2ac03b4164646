//! What is done to the platform, and the alerts that are to fire for it.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context as _;
use brewline_chaos::{faults, workload};
use brewline_cli::stack::process::descendants;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::platform::Platform;
use crate::poison;

/// A fault that lasts until it is told to end, and mends what it broke before it does.
type Doing<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

/// One fault.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// What is done, as the page on observability says it.
    pub(crate) what: &'static str,
    /// What fires while it lasts.
    pub(crate) during: &'static [&'static str],
    /// What fires when it is over: what waited is counted once it is done.
    pub(crate) after: &'static [&'static str],
    /// Whether it takes minutes, and so waits for `--all`.
    pub(crate) is_long: bool,
    pub(crate) doing: for<'a> fn(&'a Platform, CancellationToken) -> Doing<'a>,
}

/// Alerts that nothing here makes fire, and why.
pub(crate) const BY_PROMTOOL: [(&str, &str); 2] = [
    (
        "BoardsBehind",
        "a board that cannot keep up needs more records than a test has time for",
    ),
    ("DiskFillsUp", "it reads what a cluster's kubelets tell"),
];

/// Alerts that go on when all is well again, and why.
pub(crate) const STAY: [(&str, &str); 6] = [
    ("OrderAcceptanceBurnsSlowly", "its windows are hours"),
    ("OrderLatencyBurnsSlowly", "its windows are hours"),
    ("OrderSettlementBurnsSlowly", "its windows are hours"),
    ("MessageFreshnessBurnsSlowly", "its windows are hours"),
    ("NotificationDeliveryBurnsSlowly", "its windows are hours"),
    (
        "BoardsSkipSubjects",
        "the record that cannot be read stays in the log",
    ),
];

/// How often something is done again that others undo.
const AGAIN: Duration = Duration::from_millis(50);
/// A process that dies must be asked once before it dies again, or nobody sees that it lived.
const LIFE: Duration = Duration::from_millis(2_500);
/// Of the captures, so many are declined: enough that one is soon, few enough to be undone one by one.
const REFUSED_SHARE: f64 = 0.1;
/// How long that may take.
const UNDONE_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(250);
/// Customers in a rush: more than the gateway takes at once.
const RUSH: usize = 300;

/// The one that goes on while others are done: its alerts wait for a minute of real time.
pub(crate) const PATIENT: Fault = Fault {
    name: "nobody-outside-answers",
    what: "mail server, webhook receiver and captures of the card processor do not answer for a minute",
    during: &[
        "CardProcessorFails",
        "WebhooksFail",
        "SagasAge",
        "NotificationDeliveryBurnsFast",
        "NotificationDeliveryBurnsSlowly",
    ],
    after: &[],
    is_long: false,
    doing: |platform, stop| Box::pin(nobody_outside_answers(platform, stop)),
};

/// What is done before, while captures are answered.
pub(crate) const FIRST: Fault = Fault {
    name: "captures-are-refused",
    what: "the card processor declines a tenth of the captures",
    during: &["SagaParked"],
    after: &[],
    is_long: false,
    doing: |platform, stop| Box::pin(captures_are_refused(platform, stop)),
};

/// What is done one after the other meanwhile.
pub(crate) const OTHERS: [Fault; 8] = [
    Fault {
        name: "payment-stands-still",
        what: "`payment` is stopped (SIGSTOP)",
        during: &["ServiceDown", "InstanceDown", "PaymentCallsUnknown"],
        after: &["OrderSettlementBurnsFast", "OrderSettlementBurnsSlowly"],
        is_long: false,
        doing: |platform, stop| Box::pin(stands_still(platform, "payment", stop)),
    },
    Fault {
        name: "barista-dies-again-and-again",
        what: "`barista` is killed every few seconds",
        during: &["InstanceRestarts"],
        after: &[],
        is_long: false,
        doing: |platform, stop| Box::pin(dies_again_and_again(platform, "barista", stop)),
    },
    Fault {
        name: "records-that-cannot-be-read",
        what: "events with bodies that are none, one of them with a thousand successors",
        during: &[
            "DeadLetters",
            "KeysParked",
            "PartitionPaused",
            "LogErrors",
            "BoardsSkipSubjects",
        ],
        after: &[],
        is_long: false,
        doing: |platform, stop| Box::pin(poison::records_that_cannot_be_read(platform, stop)),
    },
    Fault {
        name: "postgres-dies-again-and-again",
        what: "PostgreSQL is killed as soon as it runs",
        during: &[
            "PostgresUnreachable",
            "ConsumerLosesDatabase",
            "OrderAcceptanceBurnsFast",
            "OrderAcceptanceBurnsSlowly",
            "ConsumerBehind",
            "MessageFreshnessBurnsFast",
            "MessageFreshnessBurnsSlowly",
        ],
        after: &[],
        is_long: false,
        doing: |platform, stop| Box::pin(postgres_is_held_down(platform, stop)),
    },
    Fault {
        name: "postgres-stands-still-in-the-rush-hour",
        what: "PostgreSQL is stopped (SIGSTOP) while 300 customers order at once",
        during: &["PoolExhausted", "PlaceQueueGrows", "GatewaySheds"],
        after: &["OrderLatencyBurnsFast", "OrderLatencyBurnsSlowly"],
        is_long: false,
        doing: |platform, stop| Box::pin(postgres_stands_still(platform, stop)),
    },
    Fault {
        name: "inventory-stands-still-in-the-rush-hour",
        what: "`inventory` is stopped (SIGSTOP) while 300 customers order at once",
        during: &["OrdersTurnedAway"],
        after: &[],
        is_long: false,
        doing: |platform, stop| Box::pin(inventory_stands_still(platform, stop)),
    },
    Fault {
        name: "kafka-stands-still",
        what: "Kafka is stopped (SIGSTOP)",
        during: &["KafkaUnreachable", "OutboxAges"],
        after: &[],
        is_long: false,
        doing: |platform, stop| Box::pin(stands_still(platform, "kafka", stop)),
    },
    Fault {
        name: "kafka-stutters",
        what: "Kafka is stopped for three seconds, again and again",
        during: &["RelayLags"],
        after: &[],
        is_long: false,
        doing: |platform, stop| Box::pin(kafka_stutters(platform, stop)),
    },
];

/// What takes minutes.
pub(crate) const LONG: Fault = Fault {
    name: "kafka-stands-still-for-minutes",
    what: "Kafka is stopped (SIGSTOP) for five minutes",
    during: &["RelayDeliveriesFail", "ReservationsOverdue"],
    after: &[],
    is_long: true,
    doing: |platform, stop| Box::pin(stands_still(platform, "kafka", stop)),
};

/// Every fault, for the page that names them.
pub(crate) fn all() -> impl Iterator<Item = Fault> {
    [FIRST, PATIENT].into_iter().chain(OTHERS).chain([LONG])
}

async fn nobody_outside_answers(
    platform: &Platform,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let sandbox = platform.sandbox()?;
    for (what, how) in [
        (
            "mail",
            json!({ "mode": "error", "status": 451, "share": 1.0 }),
        ),
        (
            "hook",
            json!({ "mode": "error", "status": 500, "share": 1.0 }),
        ),
        ("capture", json!({ "mode": "hang", "share": 1.0 })),
    ] {
        faults::misbehave(&sandbox, what, &how).await?;
    }
    stop.cancelled().await;
    Ok(faults::behave(&sandbox).await?)
}

async fn captures_are_refused(platform: &Platform, stop: CancellationToken) -> anyhow::Result<()> {
    let sandbox = platform.sandbox()?;
    let how = json!({ "mode": "decline", "share": REFUSED_SHARE });
    faults::misbehave(&sandbox, "capture", &how).await?;
    stop.cancelled().await;
    faults::behave(&sandbox).await?;
    timeout(UNDONE_WITHIN, undo_refused(platform))
        .await
        .context("what is undone stays parked")?
}

/// What is refused for good is asked for in vain once more: it is undone. Of those that were about to capture,
/// some may be refused yet.
async fn undo_refused(platform: &Platform) -> anyhow::Result<()> {
    let about_to: BTreeSet<String> = in_state(platform, "completing").await?;
    loop {
        let left = in_state(platform, "completing").await?;
        let parked = in_state(platform, "parked").await?;
        if parked.is_empty() && left.is_disjoint(&about_to) {
            return Ok(());
        }
        for saga in parked {
            platform.brewline(&["saga", "compensate", &saga]).await?;
        }
        sleep(LOOK).await;
    }
}

async fn in_state(platform: &Platform, state: &str) -> anyhow::Result<BTreeSet<String>> {
    let words = [
        "saga", "list", "--state", state, "--limit", "1000", "--json",
    ];
    let sagas = items(platform, &words).await?;
    let id = |saga: &Value| saga["sagaId"].as_str().map(str::to_owned);
    sagas
        .iter()
        .map(|saga| id(saga).context("a saga without an id"))
        .collect()
}

async fn stands_still(
    platform: &Platform,
    unit: &str,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    platform
        .brewline(&["kill", unit, "--signal", "STOP"])
        .await?;
    stop.cancelled().await;
    platform
        .brewline(&["kill", unit, "--signal", "CONT"])
        .await?;
    Ok(())
}

async fn dies_again_and_again(
    platform: &Platform,
    service: &str,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        platform.brewline(&["kill", service]).await?;
        sleep(LIFE).await;
    }
    Ok(())
}

async fn kafka_stutters(platform: &Platform, stop: CancellationToken) -> anyhow::Result<()> {
    let kafka = platform.endpoints()?.pids.kafka;
    let kafka = *kafka.first().context("no Kafka of our own")?;
    while !stop.is_cancelled() {
        faults::freeze(kafka)?;
        sleep(Duration::from_secs(3)).await;
        faults::thaw(kafka)?;
        // Long enough for clients to connect again and be answered: what is late must arrive to be seen late.
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// Without orders there would be nothing to be behind with but what was in flight, which may be nothing.
async fn postgres_is_held_down(platform: &Platform, stop: CancellationToken) -> anyhow::Result<()> {
    let news = poison::records_that_concern_nobody(platform, stop.clone());
    let (down, news) = tokio::join!(hold_postgres_down(platform, stop), news);
    down.and(news)
}

async fn hold_postgres_down(platform: &Platform, stop: CancellationToken) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        if let Some(postgres) = platform.endpoints()?.pids.postgres.filter(|pid| *pid != 0) {
            // It may have died of the last signal just now.
            faults::kill(postgres).ok();
        }
        sleep(AGAIN).await;
    }
    Ok(())
}

async fn inventory_stands_still(
    platform: &Platform,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let rush = platform.load(platform.gateway()?, None, RUSH);
    let stopped = stands_still(platform, "inventory", stop.clone());
    let (_, stopped) = tokio::join!(workload::run(rush, stop), stopped);
    stopped
}

/// All of it: each connection has a process of its own.
async fn postgres_stands_still(platform: &Platform, stop: CancellationToken) -> anyhow::Result<()> {
    let postgres = platform.endpoints()?.pids.postgres;
    let postgres = postgres.context("no PostgreSQL of our own")?;
    let family = || descendants(postgres).into_iter().chain([postgres]);
    let rush = platform.load(platform.gateway()?, None, RUSH);
    let frozen = async {
        // The first process first: it would make new ones.
        faults::freeze(postgres)?;
        for process in family() {
            faults::freeze(process).ok();
        }
        stop.cancelled().await;
        for process in family() {
            faults::thaw(process).ok();
        }
        anyhow::Ok(())
    };
    let (_, frozen) = tokio::join!(workload::run(rush, stop.clone()), frozen);
    frozen
}

/// What a verb lists.
pub(crate) async fn items(platform: &Platform, words: &[&str]) -> anyhow::Result<Vec<Value>> {
    let said = platform.brewline(words).await?;
    let list: Value =
        serde_json::from_str(&said).with_context(|| format!("understand {words:?}"))?;
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}
