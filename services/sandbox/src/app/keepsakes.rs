use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::Error;
use crate::outbound::LineFile;

/// How many items may wait to be written. More wait outside, in their sockets.
const QUEUE_MAX: usize = 4_096;

/// How many are written before they are synced together: bounds the time the first of them waits.
const BATCH_MAX: usize = 512;

/// What was received and is kept: mails, calls of webhooks. Cheap to clone.
///
/// Like the card ledger it is written by a thread of its own, which answers after the sync. Unlike it
/// nothing is held in memory: who wants to read it reads the file.
#[derive(Clone, Debug)]
pub struct Keepsakes(mpsc::Sender<Ask>);

#[derive(Debug)]
enum Ask {
    Put {
        lines: Vec<Vec<u8>>,
        done: oneshot::Sender<()>,
    },
    Look {
        done: oneshot::Sender<(PathBuf, u64)>,
    },
    Clear {
        done: oneshot::Sender<()>,
    },
}

/// Has `file` kept by a thread named `name`. The future ends with it: well when every handle is gone.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn keep(
    name: &'static str,
    mut file: LineFile,
) -> anyhow::Result<(
    Keepsakes,
    impl Future<Output = anyhow::Result<()>> + Send + 'static,
)> {
    let (asks, queue) = mpsc::channel(QUEUE_MAX);
    let (done, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || done.send(work(&mut file, queue)))
        .context("start a keeper's thread")?;
    let ended = async move { Ok(ended.await.map_err(|_| Error::ClerkGone)??) };
    Ok((Keepsakes(asks), ended))
}

fn work(file: &mut LineFile, mut queue: mpsc::Receiver<Ask>) -> Result<(), Error> {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX {
            let Ok(ask) = queue.try_recv() else { break };
            batch.push(ask);
        }
        // All of them are durable before the first is answered.
        for ask in &batch {
            match ask {
                Ask::Put { lines, .. } => lines.iter().for_each(|line| file.append(line)),
                Ask::Clear { .. } => file.clear()?,
                Ask::Look { .. } => {}
            }
        }
        file.sync()?;
        batch.into_iter().for_each(|ask| answer(file, ask));
    }
    Ok(())
}

/// Who has stopped waiting needs no answer.
fn answer(file: &LineFile, ask: Ask) {
    match ask {
        Ask::Put { done, .. } | Ask::Clear { done } => drop(done.send(())),
        Ask::Look { done } => drop(done.send((file.path().to_owned(), file.length()))),
    }
}

// === impl Keepsakes ===

impl Keepsakes {
    /// Keeps the items, durably.
    pub(crate) async fn put<T: Serialize>(&self, items: &[T]) -> Result<(), Error> {
        let line = |item| serde_json::to_vec(item).expect("texts always fit into JSON");
        let lines = items.iter().map(line).collect();
        self.ask(|done| Ask::Put { lines, done }).await
    }

    /// The file, and how much of it holds whole lines.
    pub(crate) async fn look(&self) -> Result<(PathBuf, u64), Error> {
        self.ask(|done| Ask::Look { done }).await
    }

    /// Throws everything away.
    pub(crate) async fn clear(&self) -> Result<(), Error> {
        self.ask(|done| Ask::Clear { done }).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Error> {
        let (done, answer) = oneshot::channel();
        let sent = self.0.send(ask(done)).await;
        sent.map_err(|_| Error::ClerkGone)?;
        answer.await.map_err(|_| Error::ClerkGone)
    }
}
