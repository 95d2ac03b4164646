//! `demo`: what `up` does at its end, for a platform that something else has started.

use std::process::ExitCode;

use clap::Args;

use crate::stack::{Stack, demo};

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Load stores, products and stock, and place no order
    #[arg(long)]
    no_order: bool,
}

/// Loads the demo (once: it comes under fixed keys) and places an order.
///
/// # Errors
/// When a service refuses, or the order does not get through.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let tokens = demo::load(stack).await?;
    if !arguments.no_order {
        demo::first_order(stack, &tokens).await?;
    }
    Ok(ExitCode::SUCCESS)
}
