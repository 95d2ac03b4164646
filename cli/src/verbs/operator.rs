//! What the operators' verbs have in common: which services they ask, and who asks.

use clap::Args;

/// Services that consume and so have positions, dead letters and views.
pub(super) const CONSUMING: [&str; 5] = [
    "order",
    "inventory",
    "barista",
    "notification",
    "leaderboard",
];

/// Who acts, for the record.
#[derive(Clone, Debug, Args)]
pub(super) struct Actor {
    /// Who acts, for the record; your user name unless told
    #[arg(
        long = "as",
        value_name = "NAME",
        env = "USER",
        hide_env = true,
        default_value = "unknown",
        hide_default_value = true
    )]
    actor: String,
}

// === impl Actor ===

impl Actor {
    /// The name given, or that of the user.
    pub(super) fn name(&self) -> String {
        self.actor.clone()
    }
}

/// An instant as RFC 3339.
pub(super) fn instant(at: Option<prost_types::Timestamp>) -> Option<String> {
    let at = at?;
    let at = jiff::Timestamp::new(at.seconds, at.nanos).ok()?;
    Some(format!("{at:.6}"))
}
