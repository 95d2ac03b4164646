use brewline_kernel::{OrderId, Timestamp};
use brewline_order_domain::checkout::Phase;
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

// Sagas as people see them. One that is past the pivot or unwinding, and whose next input is parked
// behind a dead letter, waits for people: it is shown as parked, whatever its row says, and goes on by
// itself once the letter is redriven. Before the pivot a deadline unwinds it. What a barista tells is a
// saga's input only while the order is being cancelled, even if the saga had ended.
macro_rules! shown {
    ($select:literal) => {
        concat!(
            "with letter as materialized (
                select k.subject::uuid as saga_id, k.consumer, k.dead_letter_id
                from parked_key k
                where k.dead_letter_id is not null
                  and k.consumer in ('brewline.order.stock', 'brewline.order.tickets')
                  and k.subject ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
            ),
            stuck as materialized (
                select distinct on (l.saga_id) l.saga_id,
                       'waiting for dead letter ' || l.dead_letter_id || ' at ' || l.consumer as reason
                from letter l
                join saga s on s.saga_id = l.saga_id
                join orders o on o.order_id = l.saga_id
                where case l.consumer
                    when 'brewline.order.tickets' then o.status = 'cancelling'
                    else coalesce(s.resumes_in, s.state) in ('completing', 'unwinding')
                end
                order by l.saga_id, l.consumer
            ) ",
            $select
        )
    };
}

const LIST_OPEN: &str = shown!(
    "select * from (
        select s.saga_id, case when w.reason is null then s.state else 'parked' end as state, s.step,
               s.attempts, s.due_at, s.started_at, s.updated_at, coalesce(s.parked_reason, w.reason)
        from saga s left join stuck w on w.saga_id = s.saga_id where s.open
        union all
        select s.saga_id, 'parked', s.step, s.attempts, s.due_at, s.started_at, s.updated_at, w.reason
        from stuck w join saga s on s.saga_id = w.saga_id where not s.open
    ) s
    where $2::text is null or state = $2
    order by (state <> 'parked'), started_at, saga_id limit $1"
);

const LIST_ENDED: &str = "
    select saga_id, state, step, attempts, due_at, started_at, updated_at, parked_reason
    from saga where state = $2 order by started_at, saga_id limit $1";

const GET: &str = shown!(
    "select s.saga_id, case when w.reason is null then s.state else 'parked' end, s.step, s.attempts,
            s.due_at, s.started_at, s.updated_at, coalesce(s.parked_reason, w.reason)
    from saga s left join stuck w on w.saga_id = s.saga_id where s.saga_id = $1"
);

const LOG: &str = "
    select sequence, at, from_state, to_state, trigger, actions
    from saga_log where saga_id = $1 order by sequence";

/// Sagas in `state`, or all that have not ended; parked ones first, then the oldest.
///
/// # Errors
/// When the database fails.
pub async fn list(
    connection: &Connection,
    state: Option<Phase>,
    limit: i64,
) -> Result<Vec<Summary>, postgres::Error> {
    let ended = state.is_some_and(Phase::is_closed);
    let sql = if ended { LIST_ENDED } else { LIST_OPEN };
    let state = state.map(Phase::as_str);
    let rows = connection.query(sql, &[&limit, &state]).await?;
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
