//! The binary of the service `payment`.

use std::process::ExitCode;

fn main() -> ExitCode {
    brewline_server::main(
        "payment",
        brewline_payment::Config::read,
        brewline_payment::run,
    )
}
