//! The command `brewline`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use brewline_cli::stack::{Folder, Stack};
use brewline_cli::{exit, terminal, verbs};
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, Parser, Subcommand};

/// Coffee orders that survive anything: a local stack, and what to do with it.
#[derive(Debug, Parser)]
#[command(name = "brewline", version, disable_help_subcommand = true)]
struct Cli {
    /// The data folder of the stack
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "BREWLINE_DATA",
        default_value = ".brewline"
    )]
    data: PathBuf,
    /// The endpoints of a platform that runs elsewhere, such as in a cluster; `${NAME}` in it is filled
    /// in from the environment, `${file:PATH}` from a file
    #[arg(long, global = true, value_name = "FILE", env = "BREWLINE_ENDPOINTS")]
    endpoints: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start everything, load the demo, place a first order; stays until Ctrl-C
    Up(verbs::up::Arguments),
    /// Stop everything, drained
    Down(verbs::down::Arguments),
    /// Show each process and how far each consumer is behind
    Status(verbs::status::Arguments),
    /// Stop a service and start it again
    Restart(verbs::restart::Arguments),
    /// Send a signal to a service; it is started again when it dies of it
    Kill(verbs::kill::Arguments),
    /// Run so many instances of a service
    Scale(verbs::scale::Arguments),
    /// Show a service's log
    Logs(verbs::logs::Arguments),
    /// Open psql on a service's database, as its role
    Psql(verbs::psql::Arguments),
    /// Run one of Kafka's own tools, connected as super user
    Kafka(verbs::kafka::Arguments),
    /// The shop from the shell
    Order(verbs::order::Arguments),
    /// Sagas: parked ones first, then the oldest
    Saga(verbs::saga::Arguments),
    /// Dead letters: what consumers could not handle
    Dlq(verbs::dlq::Arguments),
    /// Views: made anew from the log, compared, switched
    View(verbs::view::Arguments),
    /// Events as they come, envelope and body
    Events(verbs::events::Arguments),
    /// An order's whole story, and on what it is stuck
    Why(verbs::why::Arguments),
    /// Check that the books balance
    Verify(verbs::verify::Arguments),
    /// Measure speed and cost on this machine
    Bench(verbs::bench::Arguments),
    /// Run the services' decisions under seeds, in memory
    Sim(verbs::sim::Arguments),
    /// Set up and run the test suite
    Test(verbs::test::Arguments),
    /// Load the demo's stores, products and stock once, and place a first order
    Demo(verbs::demo::Arguments),
    /// Give PostgreSQL and Kafka what brewline needs: roles, databases, topics, users, rights
    Provision(verbs::provision::Arguments),
    /// Wait until the servers have what one service needs
    #[command(hide = true)]
    Provisioned(verbs::provisioned::Arguments),
    /// Do nothing until told to end: the process of a container in which verbs are run
    #[command(hide = true)]
    Toolbox(verbs::toolbox::Arguments),
    /// PostgreSQL and Kafka alone, for tests
    #[command(hide = true)]
    Servers(verbs::servers::Arguments),
    /// What `up --detach` leaves running
    #[command(hide = true)]
    Supervise(verbs::supervise::Arguments),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers; everything else is wrong usage.
            let error = without_hidden_verbs(error);
            error.print().ok();
            return if error.use_stderr() {
                ExitCode::from(exit::USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match execute(cli) {
        Ok(code) => code,
        Err(error) => {
            terminal::note(format!("brewline: {error:#}"));
            ExitCode::from(exit::code(&error))
        }
    }
}

/// Takes the hidden verbs out of the list that an error shows when there is no verb at all.
fn without_hidden_verbs(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::Strings(names)) = error.get(ContextKind::ValidSubcommand) {
        let command = Cli::command();
        let is_shown = |name: &String| {
            let verb = command.find_subcommand(name);
            !verb.is_some_and(clap::Command::is_hide_set)
        };
        let shown = names.iter().filter(|name| is_shown(name)).cloned();
        let shown = ContextValue::Strings(shown.collect());
        error.insert(ContextKind::ValidSubcommand, shown);
    }
    error
}

fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let folder = Folder::at(&cli.data)?;
    let stack = match cli.endpoints {
        Some(file) => Stack::elsewhere(folder, file),
        None => Stack::new(folder),
    };
    if let Some(name) = cli.verb.needs_processes_here() {
        stack.must_be_here(name)?;
    }
    // One thread: a supervisor must start its processes from the thread that lives as long as
    // itself, and no verb here computes.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?
        .block_on(run(cli.verb, &stack))
}

// === impl Verb ===

impl Verb {
    /// The name of a verb that starts, stops or reads processes of this machine.
    const fn needs_processes_here(&self) -> Option<&'static str> {
        match self {
            Self::Up(_) => Some("up"),
            Self::Down(_) => Some("down"),
            Self::Restart(_) => Some("restart"),
            Self::Kill(_) => Some("kill"),
            Self::Scale(_) => Some("scale"),
            Self::Logs(_) => Some("logs"),
            Self::Kafka(_) => Some("kafka"),
            Self::Servers(_) => Some("servers"),
            Self::Supervise(_) => Some("supervise"),
            Self::Status(_)
            | Self::Psql(_)
            | Self::Order(_)
            | Self::Saga(_)
            | Self::Dlq(_)
            | Self::View(_)
            | Self::Events(_)
            | Self::Why(_)
            | Self::Verify(_)
            | Self::Bench(_)
            | Self::Sim(_)
            | Self::Test(_)
            | Self::Demo(_)
            | Self::Provision(_)
            | Self::Provisioned(_)
            | Self::Toolbox(_) => None,
        }
    }
}

async fn run(verb: Verb, stack: &Stack) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Up(arguments) => verbs::up::run(arguments, stack).await,
        Verb::Down(arguments) => verbs::down::run(arguments, stack).await,
        Verb::Status(arguments) => verbs::status::run(arguments, stack).await,
        Verb::Restart(arguments) => verbs::restart::run(arguments, stack).await,
        Verb::Kill(arguments) => verbs::kill::run(arguments, stack).await,
        Verb::Scale(arguments) => verbs::scale::run(arguments, stack).await,
        Verb::Logs(arguments) => verbs::logs::run(arguments, stack).await,
        Verb::Psql(arguments) => verbs::psql::run(arguments, stack).await,
        Verb::Kafka(arguments) => verbs::kafka::run(arguments, stack).await,
        Verb::Order(arguments) => verbs::order::run(arguments, stack).await,
        Verb::Saga(arguments) => verbs::saga::run(arguments, stack).await,
        Verb::Dlq(arguments) => verbs::dlq::run(arguments, stack).await,
        Verb::View(arguments) => verbs::view::run(arguments, stack).await,
        Verb::Events(arguments) => verbs::events::run(arguments, stack).await,
        Verb::Why(arguments) => verbs::why::run(arguments, stack).await,
        Verb::Verify(arguments) => verbs::verify::run(arguments, stack).await,
        Verb::Bench(arguments) => verbs::bench::run(arguments, stack).await,
        Verb::Sim(arguments) => verbs::sim::run(&arguments),
        Verb::Test(arguments) => verbs::test::run(arguments, stack).await,
        Verb::Demo(arguments) => verbs::demo::run(arguments, stack).await,
        Verb::Provision(arguments) => verbs::provision::run(arguments).await,
        Verb::Provisioned(arguments) => verbs::provisioned::run(arguments).await,
        Verb::Toolbox(_) => verbs::toolbox::run().await,
        Verb::Servers(arguments) => verbs::servers::run(arguments, stack).await,
        Verb::Supervise(arguments) => verbs::supervise::run(arguments, stack).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_known_to_the_script_and_named_in_the_readme() {
        let (script, readme) = (
            include_str!("../../brewline"),
            include_str!("../../README.md"),
        );
        let list = script.split_once("\nverbs=\"").unwrap().1;
        let list = list.split_once('"').unwrap().0.replace('\\', " ");
        let script: Vec<&str> = list.split_whitespace().collect();
        let table = readme.split_once("## Verbs").unwrap().1;
        let table = table.split_once("\n## ").unwrap().0;
        for verb in Cli::command()
            .get_subcommands()
            .filter(|v| !v.is_hide_set())
        {
            let name = verb.get_name();
            assert!(script.contains(&name), "the script does not know {name}");
            let named = [format!("`{name}`"), format!("`{name} ")];
            let named = named.iter().any(|name| table.contains(name.as_str()));
            assert!(named, "the README's table does not name {name}");
        }
    }

    #[test]
    fn no_two_arguments_of_a_verb_are_one() {
        Cli::command().debug_assert();
    }
}
