//! The service `leaderboard`.

use std::process::ExitCode;

fn main() -> ExitCode {
    brewline_server::main(
        brewline_leaderboard::SERVICE,
        brewline_leaderboard::config::read,
        brewline_leaderboard::run,
    )
}
