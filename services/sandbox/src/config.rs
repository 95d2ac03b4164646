use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use brewline_config::{Environment, Variable};

const HTTP_LISTEN: Variable = Variable {
    name: "BREWLINE_HTTP_LISTEN",
    default: Some("127.0.0.1:8090"),
    help: "Where the card processor is served. Loopback: it is a demo's outside world, without \
           any identity.",
};
const CONTROL_LISTEN: Variable = Variable {
    name: "BREWLINE_CONTROL_LISTEN",
    default: None,
    help: "A second address that serves the same and is never closed. When it is set, the mode \
           `refuse-connection` really closes the first one; without it new connections are reset \
           at their first request, since nobody could call the misbehaviour off otherwise.",
};
const SMTP_LISTEN: Variable = Variable {
    name: "BREWLINE_SMTP_LISTEN",
    default: None,
    help: "Where the mailbox takes mails by SMTP. Without it there is no mailbox.",
};
const DATA_DIR: Variable = Variable {
    name: "BREWLINE_DATA_DIR",
    default: None,
    help: "The folder of the ledger's journal. It must be kept: the ledger is evidence.",
};
const KEY_TTL_MS: Variable = Variable {
    name: "BREWLINE_PROCESSOR_KEY_TTL_MS",
    default: Some("86400000"),
    help: "How long idempotency keys are remembered, in milliseconds. 24 h is what card processors \
           promise at least.",
};

/// The settings of this service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to serve.
    pub listen: SocketAddr,
    /// Where to serve what is never closed.
    pub control_listen: Option<SocketAddr>,
    /// Where to take mails.
    pub smtp_listen: Option<SocketAddr>,
    /// The folder of the journal.
    pub data_dir: PathBuf,
    /// How long keys are remembered.
    pub key_lifetime: Duration,
}

/// Reads the settings; `None` when some are missing or malformed.
pub fn read(env: &mut Environment) -> Option<Config> {
    let listen = env.read(&HTTP_LISTEN);
    let control_listen = env.optional(&CONTROL_LISTEN);
    let smtp_listen = env.optional(&SMTP_LISTEN);
    let data_dir = env.read(&DATA_DIR);
    let key_lifetime = env.millis(&KEY_TTL_MS);
    Some(Config {
        listen: listen?,
        control_listen: control_listen?,
        smtp_listen: smtp_listen?,
        data_dir: data_dir?,
        key_lifetime: key_lifetime?,
    })
}
