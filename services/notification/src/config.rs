//! What this service has to be told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use brewline_config::{Environment, Variable};
use brewline_messaging::{ConsumerSettings, RelaySettings};
use {brewline_kafka as kafka, brewline_postgres as postgres};

use crate::outbound::caller::CallSettings;
use crate::outbound::mailer::MailSettings;

const GRPC_LISTEN: Variable = Variable {
    name: "BREWLINE_GRPC_LISTEN",
    default: Some("127.0.0.1:9205"),
    help: "Where gRPC is served. Loopback unless told otherwise: callers are not authenticated here.",
};
const SMTP_URL: Variable = Variable {
    name: "BREWLINE_SMTP_URL",
    default: None,
    help: "The mail server: `smtp://host:port`. Plain SMTP: a relay beside us does what the world \
           asks for.",
};
const MAIL_FROM: Variable = Variable {
    name: "BREWLINE_MAIL_FROM",
    default: Some("brewline <shop@brewline.example>"),
    help: "Who mails come from. A domain that exists nowhere: a real shop has one of its own.",
};
const MAIL_CONNECTIONS_MAX: Variable = Variable {
    name: "BREWLINE_MAIL_CONNECTIONS_MAX",
    default: Some("24"),
    help: "Mails on their way at once, each on a connection of its own. 24: with a server that needs \
           30 ms to make a mail durable that is 800 a second, and few servers allow one client more.",
};
const MAIL_PER_SECOND_MAX: Variable = Variable {
    name: "BREWLINE_MAIL_PER_SECOND_MAX",
    default: Some("2000"),
    help: "Mails handed in a second. 2,000: twice what two cores of orders make; real servers want \
           far less.",
};
const MAIL_TIMEOUT_MS: Variable = Variable {
    name: "BREWLINE_MAIL_TIMEOUT_MS",
    default: Some("15000"),
    help: "How long handing in one mail may take, in milliseconds. 15 s: a server that greylists or \
           scans takes seconds. Three times as long a mail is its worker's: then another takes it over.",
};
const CUSTOMER_WAIT_MS: Variable = Variable {
    name: "BREWLINE_CUSTOMER_WAIT_MS",
    default: Some("300000"),
    help: "How long a message waits for a customer who is not known here yet, in milliseconds. 5 min: \
           longer than a restart of whoever is behind.",
};
const WEBHOOK_ALLOW_PRIVATE: Variable = Variable {
    name: "BREWLINE_WEBHOOK_ALLOW_PRIVATE",
    default: Some("false"),
    help: "`true` lets webhooks call addresses that are not public. For one machine and tests: \
           otherwise who registers an endpoint reaches the network behind us.",
};
const WEBHOOK_CALLS_PER_ENDPOINT_MAX: Variable = Variable {
    name: "BREWLINE_WEBHOOK_CALLS_PER_ENDPOINT_MAX",
    default: Some("4"),
    help: "Calls to one endpoint at once. 4: an endpoint that answers in 20 ms gets 200 a second, and \
           one that hangs holds no more than these.",
};
const WEBHOOK_PER_SECOND_MAX: Variable = Variable {
    name: "BREWLINE_WEBHOOK_PER_SECOND_MAX",
    default: Some("100"),
    help: "Calls to one endpoint a second. 100: a small server keeps up with it.",
};
const WEBHOOK_TIMEOUT_MS: Variable = Variable {
    name: "BREWLINE_WEBHOOK_TIMEOUT_MS",
    default: Some("15000"),
    help: "How long one call may take, answer included, in milliseconds. 15 s is what Standard \
           Webhooks asks for at least.",
};
const WEBHOOK_AUTHORITIES_FILE: Variable = Variable {
    name: "BREWLINE_WEBHOOK_AUTHORITIES_FILE",
    default: None,
    help: "A file of certificates in PEM that webhooks by https are trusted by, beside the system's. Unset: \
           the system's alone.",
};
const WEBHOOK_SECRET_OVERLAP_HOURS: Variable = Variable {
    name: "BREWLINE_WEBHOOK_SECRET_OVERLAP_HOURS",
    default: Some("24"),
    help: "How long a webhook's former secret signs beside its new one, in hours. 24: a day for whoever \
           checks signatures to change over.",
};
const EVENTS_KEPT_HOURS: Variable = Variable {
    name: "BREWLINE_EVENTS_KEPT_HOURS",
    default: Some("72"),
    help: "How long events can be pulled, in hours. 72: a weekend's outage of who pulls them.",
};

/// Everything the service is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where gRPC is served.
    pub grpc_listen: SocketAddr,
    /// The service's own database.
    pub postgres: postgres::Config,
    /// The broker.
    pub kafka: kafka::Config,
    /// How the relay works.
    pub relay: RelaySettings,
    /// How the consumers work.
    pub consumer: ConsumerSettings,
    /// How mails are sent.
    pub mail: MailSettings,
    /// How webhooks are called.
    pub call: CallSettings,
    /// Whom webhooks by https are trusted by, beside the system's authorities.
    pub authorities: Option<PathBuf>,
    /// How long a webhook's former secret signs beside its new one.
    pub secret_overlap: Duration,
    /// How long a message waits for its customer.
    pub customer_wait: Duration,
    /// How long events can be pulled.
    pub events_kept: Duration,
}

/// Reads every setting before it gives up, so that all faults are told together.
pub fn read(env: &mut Environment) -> Option<Config> {
    let grpc_listen = env.read(&GRPC_LISTEN);
    let postgres = postgres::Config::read(env);
    let kafka = kafka::Config::read(env);
    let relay = RelaySettings::read(env, crate::SOURCE);
    let consumer = ConsumerSettings::read_of_follower(env);
    let mail = mail(env);
    let call = call(env);
    let customer_wait = env.millis(&CUSTOMER_WAIT_MS);
    let hours: Option<u32> = env.read(&EVENTS_KEPT_HOURS);
    let authorities = env.optional(&WEBHOOK_AUTHORITIES_FILE);
    let overlap_hours: Option<u32> = env.read(&WEBHOOK_SECRET_OVERLAP_HOURS);
    Some(Config {
        grpc_listen: grpc_listen?,
        postgres: postgres?,
        kafka: kafka?,
        relay: relay?,
        consumer: consumer?,
        mail: mail?,
        call: call?,
        customer_wait: customer_wait?,
        authorities: authorities?,
        secret_overlap: Duration::from_secs(u64::from(overlap_hours?) * 3_600),
        events_kept: Duration::from_secs(u64::from(hours?) * 3_600),
    })
}

fn mail(env: &mut Environment) -> Option<MailSettings> {
    let server = env.read(&SMTP_URL);
    let from = env.read(&MAIL_FROM);
    let connections_max = env.read(&MAIL_CONNECTIONS_MAX);
    let per_second_max = env.read(&MAIL_PER_SECOND_MAX);
    let timeout = env.millis(&MAIL_TIMEOUT_MS);
    Some(MailSettings {
        server: server?,
        from: from?,
        connections_max: connections_max?,
        per_second_max: per_second_max?,
        timeout: timeout?,
    })
}

fn call(env: &mut Environment) -> Option<CallSettings> {
    let allow_private = env.read(&WEBHOOK_ALLOW_PRIVATE);
    let per_endpoint_max = env.read(&WEBHOOK_CALLS_PER_ENDPOINT_MAX);
    let per_second_max = env.read(&WEBHOOK_PER_SECOND_MAX);
    let timeout = env.millis(&WEBHOOK_TIMEOUT_MS);
    Some(CallSettings {
        allow_private: allow_private?,
        per_endpoint_max: per_endpoint_max?,
        per_second_max: per_second_max?,
        timeout: timeout?,
    })
}
