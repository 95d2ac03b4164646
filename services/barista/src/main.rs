//! The service `barista`.

use std::process::ExitCode;

fn main() -> ExitCode {
    brewline_server::main(
        brewline_barista::SERVICE,
        brewline_barista::config::read,
        brewline_barista::run,
    )
}
