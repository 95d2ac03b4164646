use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use brewline_kernel::{Clock, IdGenerator};
use brewline_sandbox_domain::{
    EntryId, Kind, Ledger, Outcome, Reference, Rejection, Request, Standing, Verdict,
};
use tokio::sync::{mpsc, oneshot};

use super::desk::{Ask, Desk, Done, Hold, Replayed, Reply, Standings};
use super::held::{HeldKeys, Queued};
use crate::{Error, Journal, signals};

/// How many requests may wait for the clerk. More callers than that wait outside, in their sockets.
const QUEUE_MAX: usize = 4_096;

/// How many requests are decided before their entries are synced together: bounds the time the
/// first of them waits.
const BATCH_MAX: usize = 512;

/// The one who writes the ledger: a thread, since waiting for a disk would block everybody else.
struct Clerk {
    ledger: Ledger,
    journal: Journal,
    held: HeldKeys,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    /// Answers that go out after the next sync.
    answers: Vec<Box<dyn FnOnce() + Send>>,
    appended: usize,
}

/// Puts a clerk to work. The future ends with the clerk: well when every [`Desk`] is gone.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn employ(
    journal: Journal,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
) -> anyhow::Result<(
    Desk,
    impl Future<Output = anyhow::Result<()>> + Send + 'static,
)> {
    let (asks, queue) = mpsc::channel(QUEUE_MAX);
    let (done, ended) = oneshot::channel();
    let mut clerk = Clerk {
        ledger,
        journal,
        held: HeldKeys::default(),
        clock,
        ids,
        answers: Vec::new(),
        appended: 0,
    };
    std::thread::Builder::new()
        .name("clerk".to_owned())
        .spawn(move || done.send(clerk.work(queue)))
        .context("start the clerk's thread")?;
    let ended = async move { Ok(ended.await.map_err(|_| Error::ClerkGone)??) };
    Ok((Desk::new(asks), ended))
}

// === impl Clerk ===

impl Clerk {
    fn work(&mut self, mut queue: mpsc::Receiver<Ask>) -> Result<(), Error> {
        while let Some(first) = queue.blocking_recv() {
            self.handle(first);
            for _ in 1..BATCH_MAX {
                match queue.try_recv() {
                    Ok(ask) => self.handle(ask),
                    Err(_) => break,
                }
            }
            self.settle()?;
        }
        Ok(())
    }

    /// Makes everything decided durable, then answers. The order is the whole point: an answer that
    /// overtook its entry could be forgotten by a crash.
    fn settle(&mut self) -> Result<(), Error> {
        if self.appended > 0 {
            let begin = Instant::now();
            self.journal.sync()?;
            signals::synced(self.appended, begin.elapsed());
            self.appended = 0;
        }
        for answer in self.answers.drain(..) {
            answer();
        }
        Ok(())
    }

    fn handle(&mut self, ask: Ask) {
        match ask {
            Ask::Perform {
                request,
                bank,
                holder,
                lifetime,
                reply,
            } if holder => self.perform_held(&request, bank, lifetime, reply),
            Ask::Perform {
                request,
                bank,
                lifetime,
                reply,
                ..
            } => self.perform(&request, bank, lifetime, reply),
            Ask::Hold {
                request,
                lifetime,
                reply,
            } => {
                let hold = self.hold(request, lifetime);
                self.answer(reply, hold);
            }
            Ask::FindByKey {
                key,
                lifetime,
                reply,
            } => {
                let found = self.find_by_key(&key, lifetime);
                self.answer(reply, found);
            }
            Ask::FindByReference { reference, reply } => {
                let found = self.find_by_reference(&reference);
                self.answer(reply, found);
            }
            Ask::FindById { id, reply } => {
                let found = self.find(id).into_iter().collect();
                self.answer(reply, found);
            }
            Ask::Ledger { reference, reply } => {
                let entries = match reference {
                    None => self.ledger.entries().to_vec(),
                    Some(reference) => self.ledger.filed_under(&reference).cloned().collect(),
                };
                self.answer(reply, entries);
            }
        }
    }

    fn perform(
        &mut self,
        request: &Request,
        bank: Option<Outcome>,
        lifetime: Duration,
        reply: Reply<Result<Done, Rejection>>,
    ) {
        match self.held.queue(request, reply) {
            Queued::Waits => {}
            Queued::Refused(reply) => self.answer(reply, Err(Rejection::KeyReused)),
            Queued::Free(reply) => {
                let outcome = self.decide(request, bank, lifetime);
                self.answer(reply, outcome);
            }
        }
    }

    fn perform_held(
        &mut self,
        request: &Request,
        bank: Option<Outcome>,
        lifetime: Duration,
        reply: Reply<Result<Done, Rejection>>,
    ) {
        let waiters = self.held.release(request);
        let outcome = self.decide(request, bank, lifetime);
        for waiter in waiters {
            let again = outcome
                .as_ref()
                .map(|(entry, _)| (Arc::clone(entry), Replayed::Again))
                .map_err(|rejection| *rejection);
            self.answer(waiter, again);
        }
        self.answer(reply, outcome);
    }

    fn decide(
        &mut self,
        request: &Request,
        bank: Option<Outcome>,
        lifetime: Duration,
    ) -> Result<Done, Rejection> {
        let id = EntryId::new(self.ids.next().as_u128());
        let verdict = self
            .ledger
            .decide(request, bank, id, self.clock.now(), lifetime)?;
        match verdict {
            Verdict::Replay(entry) => Ok((entry, Replayed::Again)),
            Verdict::Append(entry) => {
                self.journal.append(&entry);
                self.appended += 1;
                let entry = self
                    .ledger
                    .apply(entry)
                    .expect("what was decided on this ledger follows from it");
                Ok((entry, Replayed::First))
            }
        }
    }

    fn hold(&mut self, request: Request, lifetime: Duration) -> Hold {
        let (kind, key) = (request.operation.kind(), request.key.as_str());
        let now = self.clock.now();
        if self.ledger.remembered(kind, key, now, lifetime).is_some() {
            return Hold::Taken;
        }
        if self.held.hold(request) {
            Hold::Mine
        } else {
            Hold::Taken
        }
    }

    fn find_by_key(&self, key: &str, lifetime: Duration) -> Standings {
        let now = self.clock.now();
        let entry = self
            .ledger
            .remembered(Kind::Authorise, key, now, lifetime)
            .map(|entry| entry.id);
        entry.and_then(|id| self.find(id)).into_iter().collect()
    }

    fn find_by_reference(&self, reference: &Reference) -> Standings {
        let filed = self.ledger.filed_under(reference);
        filed
            .filter(|entry| entry.kind == Kind::Authorise)
            .filter_map(|entry| self.find(entry.id))
            .collect()
    }

    fn find(&self, id: EntryId) -> Option<(Arc<brewline_sandbox_domain::Entry>, Standing)> {
        let (entry, standing) = self.ledger.authorisation(id)?;
        Some((Arc::clone(entry), standing))
    }

    /// Every answer waits for the sync, even one that wrote nothing: it may tell of an entry of this
    /// very batch.
    fn answer<T: Send + 'static>(&mut self, reply: Reply<T>, answer: T) {
        self.answers.push(Box::new(move || {
            // Who has stopped waiting needs no answer.
            drop(reply.send(answer));
        }));
    }
}
