//! `psql SERVICE`: psql on a service's database, connected as its role.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use clap::Args;

use crate::stack::Stack;
use crate::verbs::Unknown;

/// Arguments of `psql`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The service whose database it is
    #[arg(value_parser = crate::stack::postgres::DATABASES)]
    service: String,
    /// May read only, as `verify` does
    #[arg(long)]
    read_only: bool,
    /// Handed on to psql
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Becomes psql.
///
/// # Errors
/// When nothing runs or the service has no database.
#[allow(clippy::unused_async, reason = "every verb has the same shape")]
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let endpoints = stack.endpoints()?;
    let urls = if arguments.read_only {
        &endpoints.evidence.postgres
    } else {
        &endpoints.postgres
    };
    let service = &arguments.service;
    let url = urls
        .get(service)
        .ok_or_else(|| Unknown(format!("the stack names no database of {service}")))?;
    let mut psql = Command::new("psql");
    // The URL holds a password, and arguments are everybody's to read.
    let (without, password) = split_password(url);
    psql.arg(without)
        .args(&arguments.rest)
        .env("PGPASSWORD", password);
    Err(psql.exec()).context("run psql")
}

fn split_password(url: &str) -> (String, String) {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (login, place) = rest.rsplit_once('@')?;
        let (user, password) = login.split_once(':')?;
        Some((format!("{scheme}://{user}@{place}"), password.to_owned()))
    });
    parts.unwrap_or_else(|| (url.to_owned(), String::new()))
}
