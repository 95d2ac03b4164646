//! The outside world of the demo: a card processor, a mailbox and a receiver of webhooks, each with a
//! ledger of its own, that can be told to misbehave.
//!
//! ```text
//!  inbound::http ──► app::Desk ──queue──► app::clerk (one thread) ──► outbound::journal (file)
//!        │ misbehave?                      decides by the domain's Ledger
//!        └► inbound::door (connections that can be reset or refused)
//!  inbound::{smtp, hook} ──────────► app::Keepsakes (a thread each) ──► outbound::LineFile
//! ```
//!
//! The clerk takes whatever has queued up, decides it, writes all new entries, syncs the file **once**,
//! and only then answers: an answer is a promise that survives a power cut.

mod app;
mod config;
mod error;
mod inbound;
mod outbound;
mod signals;

use std::sync::Arc;

use anyhow::Context as _;
use brewline_kernel::system::{SystemClock, SystemIds};
use brewline_server::Context;

pub use app::{Desk, Keepsakes, World};
pub use config::{Config, read};
pub use error::Error;
pub use inbound::{Door, router};
pub use outbound::{Journal, JournalError, LineFile};

/// The ledgers of mails and of calls of webhooks, by the names of their files.
const MAILBOX: &str = "mailbox.ndjson";
const HOOKS: &str = "hooks.ndjson";

/// Starts the service; it goes on in the context's tasks.
///
/// # Errors
/// When the journal cannot be used or an address cannot be bound.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let gate = context.health().gate("journal");
    let (journal, ledger) = Journal::open(&config.data_dir).context("open the journal")?;
    tracing::info!(entries = ledger.last(), "ledger rebuilt from the journal");
    let (desk, clerk) = app::employ(journal, ledger, Arc::new(SystemClock), Arc::new(SystemIds))?;
    context.spawn("clerk", clerk);
    let keep = |name, file| -> anyhow::Result<Keepsakes> {
        let file = LineFile::open(&config.data_dir, file).context("open a ledger")?;
        let (kept, keeper) = app::keep(name, file)?;
        context.spawn(name, keeper);
        Ok(kept)
    };
    let (mailbox, hooks) = (keep("mailbox", MAILBOX)?, keep("hooks", HOOKS)?);
    let (clock, lifetime) = (Arc::new(SystemClock), config.key_lifetime);
    let world = World::new(desk, mailbox, hooks, lifetime, clock, context.shutdown());
    // A closed door without another one could never be opened again from outside.
    let closed = match config.control_listen {
        Some(_) => world.closed(),
        None => World::never_closed(),
    };
    let door = Door::bind(config.listen, closed).await?;
    tracing::info!(listen = %config.listen, "card processor is open");
    context.spawn("http", inbound::serve(door, world.clone()));
    if let Some(smtp) = config.smtp_listen {
        let door = Door::bind(smtp, world.mailbox_closed()).await?;
        tracing::info!(listen = %smtp, "mailbox is open");
        context.spawn("smtp", inbound::smtp::serve(door, world.clone()));
    }
    if let Some(control) = config.control_listen {
        let door = Door::bind(control, World::never_closed()).await?;
        context.spawn("control", inbound::serve(door, world));
    }
    gate.open();
    Ok(())
}
