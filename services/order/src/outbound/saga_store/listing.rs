use brewline_kernel::{OrderId, Timestamp};
use brewline_postgres::{self as postgres, Connection, Instant, Row};

/// A saga as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its order.
    pub order_id: OrderId,
    /// Where it stands.
    pub state: String,
    /// What it waits for.
    pub step: String,
    /// How often that was tried.
    pub attempts: i32,
    /// When it is looked at next.
    pub due_at: Option<Timestamp>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
    /// Why it is parked.
    pub parked_reason: Option<String>,
}

/// One entry of a saga's log as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Counts from 1.
    pub sequence: i64,
    /// When.
    pub at: Timestamp,
    /// The state before.
    pub from_state: String,
    /// The state after.
    pub to_state: String,
    /// What it reacted to.
    pub trigger: String,
    /// What it decided to do.
    pub actions: Vec<String>,
}

const LIST_OPEN: &str = "
    select saga_id, state, step, attempts, due_at, started_at, updated_at, parked_reason
    from saga where open order by (state <> 'parked'), started_at, saga_id limit $1";

const LIST_IN_STATE: &str = "
    select saga_id, state, step, attempts, due_at, started_at, updated_at, parked_reason
    from saga where state = $2 order by started_at, saga_id limit $1";

const GET: &str = "
    select saga_id, state, step, attempts, due_at, started_at, updated_at, parked_reason
    from saga where saga_id = $1";

const LOG: &str = "
    select sequence, at, from_state, to_state, trigger, actions
    from saga_log where saga_id = $1 order by sequence";

/// Sagas in `state`, or all that have not ended; parked ones first, then the oldest.
///
/// # Errors
/// When the database fails.
pub async fn list(
    connection: &Connection,
    state: Option<&str>,
    limit: i64,
) -> Result<Vec<Summary>, postgres::Error> {
    let rows = match state {
        None => connection.query(LIST_OPEN, &[&limit]).await?,
        Some(state) => connection.query(LIST_IN_STATE, &[&limit, &state]).await?,
    };
    Ok(rows.iter().map(summary).collect())
}

/// One saga with its log, oldest entry first.
///
/// # Errors
/// When the database fails.
pub async fn get(
    connection: &Connection,
    order_id: OrderId,
) -> Result<Option<(Summary, Vec<LogLine>)>, postgres::Error> {
    let id = order_id.as_uuid();
    let Some(row) = connection.query_opt(GET, &[&id]).await? else {
        return Ok(None);
    };
    let log = connection.query(LOG, &[&id]).await?;
    Ok(Some((summary(&row), log.iter().map(log_line).collect())))
}

fn summary(row: &Row) -> Summary {
    Summary {
        order_id: OrderId::new(row.get(0)),
        state: row.get(1),
        step: row.get(2),
        attempts: row.get(3),
        due_at: row.get::<_, Option<Instant>>(4).map(|instant| instant.0),
        started_at: row.get::<_, Instant>(5).0,
        updated_at: row.get::<_, Instant>(6).0,
        parked_reason: row.get(7),
    }
}

fn log_line(row: &Row) -> LogLine {
    LogLine {
        sequence: row.get(0),
        at: row.get::<_, Instant>(1).0,
        from_state: row.get(2),
        to_state: row.get(3),
        trigger: row.get(4),
        actions: row.get(5),
    }
}
