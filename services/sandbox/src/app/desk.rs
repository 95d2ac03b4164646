use std::sync::Arc;
use std::time::Duration;

use brewline_sandbox_domain::{Entry, EntryId, Outcome, Reference, Rejection, Request, Standing};
use tokio::sync::{mpsc, oneshot};

use crate::Error;

/// What the clerk answers with.
pub(super) type Reply<T> = oneshot::Sender<T>;

/// An operation that was decided, now or before.
pub(crate) type Done = (Arc<Entry>, Replayed);

/// Authorisations with how they stand.
pub(crate) type Standings = Vec<(Arc<Entry>, Standing)>;

/// Whether an answer was given before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replayed {
    /// It is the first one.
    First,
    /// It was given before, under the same key.
    Again,
}

/// Whether a key could be held for a request that will be done later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It is held: repeats wait until the holder is done.
    Mine,
    /// It is known or held already.
    Taken,
}

/// What can be asked of the clerk.
#[derive(Debug)]
pub(super) enum Ask {
    Perform {
        request: Request,
        bank: Option<Outcome>,
        holder: bool,
        lifetime: Duration,
        reply: Reply<Result<Done, Rejection>>,
    },
    Hold {
        request: Request,
        lifetime: Duration,
        reply: Reply<Hold>,
    },
    FindByKey {
        key: String,
        lifetime: Duration,
        reply: Reply<Standings>,
    },
    FindByReference {
        reference: Reference,
        reply: Reply<Standings>,
    },
    FindById {
        id: EntryId,
        reply: Reply<Standings>,
    },
    Ledger {
        reference: Option<Reference>,
        reply: Reply<Vec<Arc<Entry>>>,
    },
}

/// Where requests are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Desk(mpsc::Sender<Ask>);

// === impl Desk ===

impl Desk {
    pub(super) const fn new(asks: mpsc::Sender<Ask>) -> Self {
        Self(asks)
    }

    /// Has a request decided. The answer is durable. `bank` overrides what the card's bank would say.
    ///
    /// The request is done even when the caller stops waiting: it is the clerk's by then.
    pub(crate) async fn perform(
        &self,
        request: Request,
        bank: Option<Outcome>,
        lifetime: Duration,
    ) -> Result<Result<Done, Rejection>, Error> {
        self.decide(request, bank, false, lifetime).await
    }

    /// Like [`Desk::perform`], by the one who holds the key.
    pub(crate) async fn perform_held(
        &self,
        request: Request,
        lifetime: Duration,
    ) -> Result<Result<Done, Rejection>, Error> {
        self.decide(request, None, true, lifetime).await
    }

    /// Holds the key of a request that will be done later by [`Desk::perform_held`].
    pub(crate) async fn hold(&self, request: Request, lifetime: Duration) -> Result<Hold, Error> {
        self.ask(|reply| Ask::Hold {
            request,
            lifetime,
            reply,
        })
        .await
    }

    /// The authorisation asked for under a key that is still remembered.
    pub(crate) async fn find_by_key(
        &self,
        key: String,
        lifetime: Duration,
    ) -> Result<Standings, Error> {
        self.ask(|reply| Ask::FindByKey {
            key,
            lifetime,
            reply,
        })
        .await
    }

    /// All authorisations under a reference, oldest first.
    pub(crate) async fn find_by_reference(&self, reference: Reference) -> Result<Standings, Error> {
        self.ask(|reply| Ask::FindByReference { reference, reply })
            .await
    }

    /// One authorisation.
    pub(crate) async fn find_by_id(&self, id: EntryId) -> Result<Standings, Error> {
        self.ask(|reply| Ask::FindById { id, reply }).await
    }

    /// The ledger, or what of it is filed under a reference.
    pub(crate) async fn ledger(
        &self,
        reference: Option<Reference>,
    ) -> Result<Vec<Arc<Entry>>, Error> {
        self.ask(|reply| Ask::Ledger { reference, reply }).await
    }

    async fn decide(
        &self,
        request: Request,
        bank: Option<Outcome>,
        holder: bool,
        lifetime: Duration,
    ) -> Result<Result<Done, Rejection>, Error> {
        self.ask(|reply| Ask::Perform {
            request,
            bank,
            holder,
            lifetime,
            reply,
        })
        .await
    }

    async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.0
            .send(ask(reply))
            .await
            .map_err(|_| Error::ClerkGone)?;
        answer.await.map_err(|_| Error::ClerkGone)
    }
}
