//! What the operators' verbs have in common: which services they ask, and who asks.

use std::fs;

use clap::Args;
use rustix::process::getuid;

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
    #[arg(long = "as", value_name = "NAME", env = "USER", hide_env = true)]
    actor: Option<String>,
}

// === impl Actor ===

impl Actor {
    /// The name given, or that of the user.
    pub(super) fn name(&self) -> String {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        user(self.actor.as_deref(), &passwd, getuid().as_raw())
    }
}

/// Who is told, or else whom the system knows; a number where it knows no name.
fn user(told: Option<&str>, passwd: &str, uid: u32) -> String {
    let told = told.filter(|name| !name.is_empty()).map(str::to_owned);
    told.or_else(|| {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
        })
    })
    .unwrap_or_else(|| format!("uid-{uid}"))
}

/// An instant as RFC 3339.
pub(super) fn instant(at: Option<prost_types::Timestamp>) -> Option<String> {
    let at = at?;
    let at = jiff::Timestamp::new(at.seconds, at.nanos).ok()?;
    Some(format!("{at:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_acts_is_named_also_without_an_environment() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n";
        assert_eq!(user(Some("bo"), passwd, 1000), "bo");
        assert_eq!(user(Some(""), passwd, 1000), "ana");
        assert_eq!(user(None, passwd, 0), "root");
        assert_eq!(user(None, passwd, 65_532), "uid-65532");
    }
}
