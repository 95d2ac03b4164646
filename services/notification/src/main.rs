//! The service `notification`.

use std::process::ExitCode;

fn main() -> ExitCode {
    brewline_server::main(
        brewline_notification::SERVICE,
        brewline_notification::config::read,
        brewline_notification::run,
    )
}
