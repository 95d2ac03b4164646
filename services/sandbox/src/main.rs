//! The outside world of the demo, as a process.

use std::process::ExitCode;

fn main() -> ExitCode {
    brewline_server::main("sandbox", brewline_sandbox::read, brewline_sandbox::run)
}
