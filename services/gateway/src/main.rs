//! The edge, as a process.

use std::process::ExitCode;

fn main() -> ExitCode {
    brewline_server::main("gateway", brewline_gateway::read, brewline_gateway::run)
}
