use std::time::Duration;

use tokio_postgres::error::SqlState;

/// What went wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is malformed.
    #[error("the database's URL is malformed: {0}")]
    Url(#[source] tokio_postgres::Error),
    /// The certificates to verify the server by cannot be read.
    #[error("read the root certificates ({file}): {source}")]
    Roots {
        /// Where they are.
        file: String,
        /// Why not.
        source: openssl::error::ErrorStack,
    },
    /// No connection could be opened.
    #[error("connect to the database: {}", described(.0))]
    Connect(#[source] tokio_postgres::Error),
    /// All connections were busy for too long.
    #[error("no connection was free within {} ms", .0.as_millis())]
    Exhausted(Duration),
    /// The server said nothing for too long. The statement may have taken effect.
    #[error("the database did not answer within {} ms", .0.as_millis())]
    Unanswered(Duration),
    /// The server takes no writes: a standby, or an old primary after a failover.
    #[error("the database is read-only")]
    ReadOnly,
    /// The server ended the session.
    #[error("the database closed the connection")]
    Closed,
    /// A statement failed, or the connection broke under it.
    #[error("{}", described(.0))]
    Statement(#[source] tokio_postgres::Error),
    /// A migration that was applied reads otherwise now.
    #[error("migration {version} `{name}` was changed after it had been applied")]
    MigrationChanged {
        /// Its version.
        version: i32,
        /// Its name in this program.
        name: &'static str,
    },
    /// A migration comes too late: a later one was applied without it.
    #[error("migration {version} `{name}` is older than the schema, which is at {at}")]
    MigrationSkipped {
        /// Its version.
        version: i32,
        /// Its name in this program.
        name: &'static str,
        /// The newest version applied.
        at: i32,
    },
}

// === impl Error ===

impl Error {
    /// The name of the constraint that a statement ran into, for mapping it to a rejection.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        self.statement()?.as_db_error()?.constraint()
    }

    /// The five characters by which PostgreSQL classifies an error.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.statement()?.code().map(SqlState::code)
    }

    /// The database is away, full, read-only or overloaded: wait and try again; what was asked is
    /// not to blame.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::Exhausted(_)
            | Self::Unanswered(_)
            | Self::ReadOnly
            | Self::Closed => true,
            Self::Statement(error) => match error.code() {
                Some(state) => is_outage(state.code()),
                None => error.is_closed() || is_io(error),
            },
            Self::Url(_)
            | Self::Roots { .. }
            | Self::MigrationChanged { .. }
            | Self::MigrationSkipped { .. } => false,
        }
    }

    /// The transaction lost against another one: the same again, from its beginning, may succeed at
    /// once.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        // Serialisation failure, deadlock, lock not had in time.
        matches!(self.code(), Some("40001" | "40P01" | "55P03"))
    }

    /// The connection is of no further use even though it may look alive.
    pub(crate) fn is_breaking(&self) -> bool {
        match self {
            Self::Unanswered(_) | Self::ReadOnly | Self::Closed => true,
            Self::Statement(error) => match error.code() {
                // 0A000: a cached plan's result type changed under it (a migration ran); 26000: the
                // statement is gone; 25P01, 25P02: its transaction is not what we take it for.
                Some(state) => matches!(
                    state.code(),
                    "0A000" | "25006" | "25P01" | "25P02" | "25P03" | "26000"
                ),
                None => error.is_closed() || is_io(error),
            },
            Self::Connect(_)
            | Self::Exhausted(_)
            | Self::Url(_)
            | Self::Roots { .. }
            | Self::MigrationChanged { .. }
            | Self::MigrationSkipped { .. } => false,
        }
    }

    const fn statement(&self) -> Option<&tokio_postgres::Error> {
        match self {
            Self::Statement(error) | Self::Connect(error) => Some(error),
            Self::Url(_)
            | Self::Roots { .. }
            | Self::Exhausted(_)
            | Self::Unanswered(_)
            | Self::ReadOnly
            | Self::Closed
            | Self::MigrationChanged { .. }
            | Self::MigrationSkipped { .. } => None,
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Statement(error)
    }
}

/// Class 08: connection; 53: out of disk, memory or connections; 58: the operating system; 57P: the
/// server or this session is being ended; 57014: it took longer than the server allows; 25006: the
/// server became a standby; 25P03: this session was idle inside a transaction for too long.
fn is_outage(code: &str) -> bool {
    ["08", "53", "57P", "58"]
        .iter()
        .any(|class| code.starts_with(class))
        || matches!(code, "57014" | "25006" | "25P03")
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

/// The driver says only `db error` and leaves the message to the source: say it in one line.
fn described(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_are_told_from_faults_of_the_statement() {
        for code in [
            "57P01", "57P03", "53300", "53100", "25006", "08006", "58030", "57014",
        ] {
            assert!(is_outage(code), "{code}");
        }
        for code in ["23505", "40001", "42P01", "22P02", "P0001"] {
            assert!(!is_outage(code), "{code}");
        }
    }
}
