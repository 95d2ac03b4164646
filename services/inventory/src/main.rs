//! The service `inventory`.

use std::process::ExitCode;

fn main() -> ExitCode {
    brewline_server::main(
        brewline_inventory::SERVICE,
        brewline_inventory::config::read,
        brewline_inventory::run,
    )
}
