//! The service `order`.

use std::process::ExitCode;

fn main() -> ExitCode {
    brewline_server::main("order", brewline_order::config::read, brewline_order::run)
}
