//! `servers up|down`: PostgreSQL and Kafka alone, with what tests need to get in.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::stack::acl::TEST;
use crate::stack::options::{Extent, StackOptions, Terms};
use crate::stack::ports::Ports;
use crate::stack::postgres::Server;
use crate::stack::secrets::Secrets;
use crate::stack::{Folder, Stack, detached};
use crate::terminal;

/// Arguments of `servers`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start them and print the environment of the tests
    Up {
        /// The first port
        #[arg(long, default_value_t = 28080)]
        port_base: u16,
    },
    /// Stop them
    Down {
        /// Remove the data folder too
        #[arg(long)]
        purge: bool,
    },
}

/// Starts or stops the servers.
///
/// # Errors
/// When they do not start or stop.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let folder = stack.folder();
    match arguments.action {
        Action::Up { port_base } => {
            for (name, value) in up(folder, port_base, Terms::default()).await? {
                terminal::say(format!("export {name}='{value}'"));
            }
        }
        Action::Down { purge: true } => super::down::purge(folder).await?,
        Action::Down { purge: false } => terminal::note(super::down::stop(folder).await?),
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts the servers on a folder and returns the environment of the tests.
///
/// # Errors
/// When they do not start.
pub async fn up(
    folder: &Folder,
    port_base: u16,
    terms: Terms,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let ports = Ports::from_base(port_base)?;
    let options = StackOptions {
        port_base,
        extent: Extent::Servers,
        terms,
        ..StackOptions::default()
    };
    detached::start(folder, &options).await?;
    let secrets = Secrets::load(folder)?;
    Ok(vec![
        (
            "BREWLINE_TEST_POSTGRES_URL",
            Server::private(ports.postgres(), &secrets).super_url,
        ),
        (
            "BREWLINE_TEST_KAFKA_BROKERS",
            format!("127.0.0.1:{}", ports.kafka()),
        ),
        ("BREWLINE_TEST_KAFKA_USERNAME", TEST.to_owned()),
        (
            "BREWLINE_TEST_KAFKA_PASSWORD",
            secrets.kafka(TEST).to_owned(),
        ),
        ("BREWLINE_TEST_DATA", folder.root().display().to_string()),
    ])
}
