//! The service under test, with what it lives on.

use std::sync::Arc;
use std::time::Duration;

use brewline_kernel::system::SystemIds;
use brewline_kernel::{Money, OrderId};
use brewline_messaging::Outbox;
use brewline_payment::app::{Machinery, Operations, Payer};
use brewline_payment::config::{Limits, ProcessorConfig};
use brewline_payment::outbound::processor::Processor;
use brewline_payment::outbound::store::MIGRATIONS;
use brewline_payment_domain::{
    Command, Effect, KeyLifetime, Outcome, RefusalReason, Rules, TokenHash,
};
use brewline_postgres::{Config, Pool};
use brewline_server::Context;
use brewline_test_support::{ManualClock, TestDatabase};
use tokio::runtime::Runtime;

use crate::card_processor::CardProcessor;

/// How long the card processor remembers a key, in seconds of the manual clock.
pub(crate) const KEY_LIFETIME_S: u64 = 1_000;

/// How long a hanging request is waited for.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(700);

pub(crate) const AMOUNT: i64 = 350;

/// A database, a card processor, a clock, and one running service.
pub(crate) struct Shop {
    pub(crate) db: TestDatabase,
    pub(crate) processor: CardProcessor,
    pub(crate) clock: Arc<ManualClock>,
    rules: Rules,
    service: Service,
}

/// A service in a runtime of its own, so that it can die at any moment.
pub(crate) struct Service {
    runtime: Option<Runtime>,
    operations: Operations,
}

/// Everything the ledger says about an order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) held: i64,
    pub(crate) receivable: i64,
    pub(crate) revenue: i64,
    pub(crate) refunds: i64,
}

// === impl Shop ===

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::with_rules("none").await
    }

    pub(crate) async fn with_rules(rules: &str) -> Self {
        let rules: Rules = rules.parse().unwrap();
        let db = TestDatabase::create(MIGRATIONS).await;
        let clock = Arc::new(ManualClock::default());
        let processor = CardProcessor::start(Arc::clone(&clock)).await;
        processor.forget_keys_after(Duration::from_secs(KEY_LIFETIME_S));
        let service = Service::start(db.config(), &processor, &clock, &rules);
        Self {
            db,
            processor,
            clock,
            rules,
            service,
        }
    }

    /// Another service on the same database.
    pub(crate) fn another(&self) -> Service {
        Service::start(self.db.config(), &self.processor, &self.clock, &self.rules)
    }

    /// The service dies without a word, and is started again.
    pub(crate) fn crash(&mut self) {
        self.service = self.another();
    }

    pub(crate) fn operations(&self) -> Operations {
        self.service.operations.clone()
    }

    pub(crate) async fn authorise(&self, order: OrderId) -> Outcome {
        self.service.run(order, authorise("tok_ok", AMOUNT)).await
    }

    /// A customer pays with a card.
    pub(crate) async fn pay(&self, order: OrderId, token: &str, customer: &str) -> Outcome {
        self.service.pay(order, token, customer).await
    }

    pub(crate) async fn capture(&self, order: OrderId) -> Outcome {
        self.service.run(order, Command::Capture).await
    }

    pub(crate) async fn reverse(&self, order: OrderId) -> Outcome {
        self.service.run(order, Command::Reverse).await
    }

    pub(crate) async fn run(&self, order: OrderId, command: Command) -> Outcome {
        self.service.run(order, command).await
    }

    /// Repeats a command until its outcome is known, as the saga does.
    pub(crate) async fn settle(&self, order: OrderId, command: Command) -> Outcome {
        for _ in 0..10 {
            let outcome = self.run(order, command.clone()).await;
            if !is_unknown(&outcome) {
                return outcome;
            }
        }
        panic!("{command:?} stays unknown");
    }

    pub(crate) async fn books(&self, order: OrderId) -> Books {
        let sql = "select coalesce(sum(held_minor), 0)::bigint, coalesce(sum(receivable_minor), 0)::bigint,
                          coalesce(sum(revenue_minor), 0)::bigint, coalesce(sum(refunds_minor), 0)::bigint
                   from ledger_posting where order_id = $1";
        let connection = self.db.pool().get().await.unwrap();
        let row = connection
            .query_one(sql, &[&order.as_uuid()])
            .await
            .unwrap();
        Books {
            held: row.get(0),
            receivable: row.get(1),
            revenue: row.get(2),
            refunds: row.get(3),
        }
    }

    /// The order's events in the outbox, by version, without their package.
    pub(crate) async fn events(&self, order: OrderId) -> Vec<(i64, String)> {
        let sql = "select version, replace(type, 'brewline.payment.v1.', '') from outbox
                   where aggregate_id = $1 order by position";
        let connection = self.db.pool().get().await.unwrap();
        let rows = connection.query(sql, &[&order.to_string()]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

// === impl Service ===

impl Service {
    fn start(
        db: &Config,
        processor: &CardProcessor,
        clock: &Arc<ManualClock>,
        rules: &Rules,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let config = ProcessorConfig {
            url: processor.url(),
            timeout: TIMEOUT,
            concurrency_max: 64,
            key_lifetime: KeyLifetime::new(Duration::from_secs(KEY_LIFETIME_S)),
        };
        let machinery = Machinery {
            pool: Pool::new(db),
            processor: Processor::new(&config).unwrap(),
            concurrency_max: config.concurrency_max,
            patience: Duration::from_secs(2),
            key_lifetime: config.key_lifetime,
            outbox: Outbox::new(1),
            clock: Arc::<ManualClock>::clone(clock),
            ids: Arc::new(SystemIds),
            rules: Arc::new(rules.clone()),
            limits: Limits {
                batch_rows_max: 100,
                queue_rows_max: 500,
            },
        };
        let guard = runtime.enter();
        let operations = Operations::start(&Context::new("payment", "payment-test"), machinery);
        drop(guard);
        Self {
            runtime: Some(runtime),
            operations,
        }
    }

    pub(crate) async fn run(&self, order: OrderId, command: Command) -> Outcome {
        let payer = Payer::default();
        let run = self.operations.run(order, command, payer, None);
        run.await.unwrap()
    }

    /// A customer pays with a card.
    pub(crate) async fn pay(&self, order: OrderId, token: &str, customer: &str) -> Outcome {
        let (command, payer) = (authorise(token, AMOUNT), Payer::of(token, customer));
        let run = self.operations.run(order, command, payer, None);
        run.await.unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn an_order() -> OrderId {
    use brewline_kernel::IdGenerator as _;
    OrderId::new(SystemIds.next())
}

pub(crate) fn authorise(token: &str, minor: i64) -> Command {
    let mut hash = [0; 32];
    hash[..token.len()].copy_from_slice(token.as_bytes());
    Command::Authorise {
        amount: Money::new(minor, "EUR".parse().unwrap()),
        token: token.to_owned(),
        token_hash: TokenHash(hash),
    }
}

pub(crate) fn effect(outcome: &Outcome) -> Option<Effect> {
    match outcome {
        Outcome::Done { effect, .. } => Some(*effect),
        Outcome::Declined { .. } | Outcome::Unknown { .. } | Outcome::Refused { .. } => None,
    }
}

pub(crate) fn refusal(outcome: &Outcome) -> Option<RefusalReason> {
    match outcome {
        Outcome::Refused { reason, .. } => Some(*reason),
        Outcome::Done { .. } | Outcome::Declined { .. } | Outcome::Unknown { .. } => None,
    }
}

pub(crate) fn is_unknown(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unknown { .. })
}
