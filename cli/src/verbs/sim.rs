//! `sim`: the services' decisions under seeds. Hands over to `brewline-sim`, which is a program of its
//! own: the command for people needs none of what it is made of.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use clap::Args;

use crate::verbs::Unknown;

/// Arguments of `sim`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How many seeds; 1000 unless a single one is asked for
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// The first seed; alone, it is the only one and its story is told
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Becomes the simulator. Answers only when that cannot be.
///
/// # Errors
/// When the simulator is not beside this program.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let own = std::env::current_exe().context("find this program")?;
    let program = own.with_file_name("brewline-sim");
    if !program.is_file() {
        let shown = program.display();
        return Err(Unknown(format!(
            "{shown} is not there: build it with `cargo build -p brewline-sim`"
        ))
        .into());
    }
    let mut command = Command::new(&program);
    if let Some(seeds) = arguments.seeds {
        command.args(["--seeds", &seeds.to_string()]);
    }
    if let Some(seed) = arguments.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    if arguments.json {
        command.arg("--json");
    }
    Err(command.exec()).with_context(|| format!("run {}", program.display()))
}
