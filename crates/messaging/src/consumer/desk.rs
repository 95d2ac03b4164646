//! Where an operator finds the consumers of this process.

use std::fmt;
use std::sync::Arc;

use brewline_postgres as postgres;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::transaction::Applier;
use crate::operator::action::Detail;
use crate::{Failure, Handler, Monitor};

/// What an operator asks of a consumer.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The dead letter.
    pub(crate) letter: Uuid,
    /// Who asks.
    pub(crate) actor: String,
    /// Roll back at the end.
    pub(crate) dry_run: bool,
}

/// How a redrive ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redriven {
    pub(crate) outcome: Outcome,
    pub(crate) applied: i64,
    pub(crate) duplicates: i64,
    pub(crate) parked: i64,
    pub(crate) action: Option<Uuid>,
}

/// Where a redrive has left the subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It flows.
    Flows,
    /// It is parked behind this letter, which was tried so often and failed for this reason.
    Failed {
        open: Uuid,
        reason: String,
        attempts: i32,
    },
    /// Somebody else had redriven the letter already.
    DoneBefore,
}

/// How a drop ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// False when it had been dropped before.
    pub(crate) dropped: bool,
    pub(crate) applied: i64,
    pub(crate) parked: i64,
    pub(crate) action: Option<Uuid>,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// This consumer has no such dead letter.
    #[error("there is no such dead letter")]
    Unknown,
    /// It would break something.
    #[error("{0}")]
    Refused(String),
    /// The database did not do it; it may do it later.
    #[error(transparent)]
    Database(#[from] postgres::Error),
    /// The handler met an outage.
    #[error(transparent)]
    Handler(#[from] Failure),
}

/// A consumer, as an operator sees it.
pub(crate) trait Desk: Send + Sync {
    /// Handles a dead letter again.
    fn redrive(&self, request: Request) -> BoxFuture<'_, Result<Redriven, Refusal>>;
    /// Gives one up.
    fn drop_letter(&self, request: Request) -> BoxFuture<'_, Result<Dropped, Refusal>>;
}

/// The desk of a consumer is open as long as this lives.
pub(super) struct Open {
    monitor: Monitor,
    consumer: &'static str,
}

/// A consumer with a handler.
struct Worker<H> {
    applier: Arc<Applier<H>>,
    monitor: Monitor,
}

/// Opens the desk of a consumer.
pub(super) fn open<H: Handler>(
    monitor: &Monitor,
    consumer: &'static str,
    applier: &Arc<Applier<H>>,
) -> Open {
    let worker = Worker {
        applier: Arc::clone(applier),
        monitor: monitor.clone(),
    };
    monitor.open_desk(consumer, Arc::new(worker));
    Open {
        monitor: monitor.clone(),
        consumer,
    }
}

// === impl Open ===

impl Drop for Open {
    fn drop(&mut self) {
        self.monitor.close_desk(self.consumer);
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Open").field(&self.consumer).finish()
    }
}

// === impl Worker ===

impl<H: Handler> Worker<H> {
    fn tell(&self, effects: Vec<H::Effect>, dry_run: bool) {
        if dry_run {
            return;
        }
        self.monitor.committed();
        for effect in effects {
            self.applier.handler.committed(effect);
        }
    }
}

impl<H: Handler> Desk for Worker<H> {
    fn redrive(&self, request: Request) -> BoxFuture<'_, Result<Redriven, Refusal>> {
        Box::pin(async move {
            let (redriven, effects) = self.applier.redrive(&request).await?;
            self.tell(effects, request.dry_run);
            Ok(redriven)
        })
    }

    fn drop_letter(&self, request: Request) -> BoxFuture<'_, Result<Dropped, Refusal>> {
        Box::pin(async move {
            let (dropped, effects) = self.applier.drop_letter(&request).await?;
            self.tell(effects, request.dry_run);
            Ok(dropped)
        })
    }
}

// === impl Redriven ===

impl Redriven {
    pub(crate) fn flows(applied: i64, duplicates: i64) -> Self {
        Self {
            outcome: Outcome::Flows,
            applied,
            duplicates,
            parked: 0,
            action: None,
        }
    }

    pub(crate) fn before() -> Self {
        Self {
            outcome: Outcome::DoneBefore,
            ..Self::flows(0, 0)
        }
    }

    pub(crate) fn failed(&mut self, open: Uuid, reason: &str, attempts: i32) {
        self.outcome = Outcome::Failed {
            open,
            reason: reason.to_owned(),
            attempts,
        };
    }

    /// For the audit row.
    pub(crate) fn detail(&self, consumer: &str) -> Detail {
        let mut detail = Detail::from([
            ("consumer", consumer.to_owned()),
            ("applied", self.applied.to_string()),
            ("parked", self.parked.to_string()),
        ]);
        match &self.outcome {
            Outcome::Flows => detail.insert("result", "flows".to_owned()),
            Outcome::DoneBefore => detail.insert("result", "done before".to_owned()),
            Outcome::Failed { open, reason, .. } => {
                detail.insert("open", open.to_string());
                detail.insert("reason", reason.clone());
                detail.insert("result", "failed".to_owned())
            }
        };
        detail
    }
}

// === impl Dropped ===

impl Dropped {
    /// For the audit row.
    pub(crate) fn detail(&self, consumer: &str) -> Detail {
        Detail::from([
            ("consumer", consumer.to_owned()),
            ("applied", self.applied.to_string()),
            ("parked", self.parked.to_string()),
            ("result", "dropped".to_owned()),
        ])
    }
}
