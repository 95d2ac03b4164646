use brewline_kernel::{Envelope, IdGenerator, OrderId, Timestamp};
use brewline_messaging::NewEvent;
use brewline_order_domain::order::{self, CancellationStatus, Order, OrderEvent};
use brewline_postgres::{Instant, ToSql, Transaction};
use uuid::Uuid;

use super::{AGGREGATE_TYPE, Cause, Change, Error, SOURCE, TOPIC};
use crate::outbound::event_codec;

const INSERT_EVENTS: &str = "insert into order_event \
    (order_id, version, event_id, type, payload, occurred_at) \
    select * from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::bytea[], \
                         $6::timestamptz[])";

const INSERT_ORDERS: &str = "insert into orders \
    (order_id, version, status, updated_at, rejection_code, rejection_detail, cancellation_status, \
     cancellation_reason, store_id, customer_id, total_minor, currency, placed_at, lines) \
    select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], \
                         $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[], $12::text[], \
                         $13::timestamptz[], $14::bytea[])";

const UPDATE_ORDERS: &str = "update orders o set version = c.version, status = c.status, \
    updated_at = c.updated_at, rejection_code = c.rejection_code, rejection_detail = c.rejection_detail, \
    cancellation_status = c.cancellation_status, cancellation_reason = c.cancellation_reason \
    from unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], \
                $7::text[], $8::text[], $9::bigint[]) \
      as c(order_id, version, status, updated_at, rejection_code, rejection_detail, cancellation_status, \
           cancellation_reason, expected) \
    where o.order_id = c.order_id and o.version = c.expected";

/// The columns of everything that one call of `append` writes.
#[derive(Default)]
pub(super) struct Rows {
    events: EventColumns,
    inserted: OrderColumns,
    updated: OrderColumns,
    pointers: Vec<NewEvent>,
}

#[derive(Default)]
struct EventColumns {
    order_id: Vec<Uuid>,
    version: Vec<i64>,
    event_id: Vec<Uuid>,
    type_name: Vec<String>,
    payload: Vec<Vec<u8>>,
    occurred_at: Vec<Instant>,
}

#[derive(Default)]
struct OrderColumns {
    order_id: Vec<Uuid>,
    version: Vec<i64>,
    status: Vec<&'static str>,
    updated_at: Vec<Instant>,
    rejection_code: Vec<Option<&'static str>>,
    rejection_detail: Vec<Option<String>>,
    cancellation_status: Vec<Option<&'static str>>,
    cancellation_reason: Vec<Option<String>>,
    // The version a row must stand at to be updated.
    expected: Vec<i64>,
    // What never changes, written once.
    store_id: Vec<String>,
    customer_id: Vec<String>,
    total_minor: Vec<i64>,
    currency: Vec<String>,
    placed_at: Vec<Instant>,
    lines: Vec<Vec<u8>>,
}

// === impl Rows ===

impl Rows {
    /// Adds the rows of one change; answers the order after it.
    pub(super) fn add(&mut self, change: Change, ids: &dyn IdGenerator) -> Result<Order, Error> {
        let Change {
            before,
            events,
            cause,
        } = change;
        let expected = before.as_ref().map(|order| order.version);
        let changed = !events.is_empty();
        let mut order = before;
        for event in &events {
            let after = order::evolve(order, event).ok_or(Error::NotAnOrder)?;
            self.add_event(&after, event, &cause, ids.next());
            order = Some(after);
        }
        let order = order.ok_or(Error::NotAnOrder)?;
        match expected {
            _ if !changed => {}
            Some(version) => self.updated.add_changed(&order, version),
            None => self.inserted.add_whole(&order),
        }
        Ok(order)
    }

    /// The outbox rows. The body stands in `order_event` alone: the outbox only points at it.
    pub(super) fn take_pointers(&mut self) -> Vec<NewEvent> {
        let mut pointers = std::mem::take(&mut self.pointers);
        if brewline_failpoint::planted("outbox-forgotten") {
            pointers.retain(|event| !event.envelope.id.as_u128().is_multiple_of(16));
        }
        pointers
    }

    pub(super) async fn insert_events(&self, tx: &Transaction<'_>) -> Result<(), Error> {
        let rows = &self.events;
        if rows.order_id.is_empty() {
            return Ok(());
        }
        let columns: [&(dyn ToSql + Sync); 6] = [
            &rows.order_id,
            &rows.version,
            &rows.event_id,
            &rows.type_name,
            &rows.payload,
            &rows.occurred_at,
        ];
        match tx.execute(INSERT_EVENTS, &columns).await {
            Ok(_) => Ok(()),
            // Somebody else's successor of the same version is there already.
            Err(error) if error.constraint() == Some("order_event_pkey") => {
                Err(Error::VersionConflict)
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn write_orders(&self, tx: &Transaction<'_>) -> Result<(), Error> {
        futures_util::try_join!(self.inserted.insert(tx), self.updated.update(tx))?;
        Ok(())
    }

    fn add_event(&mut self, after: &Order, event: &OrderEvent, cause: &Cause, id: Uuid) {
        let type_name = event_codec::type_name(event);
        let rows = &mut self.events;
        rows.order_id.push(after.id.as_uuid());
        rows.version.push(after.version);
        rows.event_id.push(id);
        rows.payload.push(event_codec::encode(after, event));
        rows.occurred_at.push(Instant(event.at()));
        rows.type_name.push(type_name.clone());
        self.pointers.push(NewEvent {
            topic: TOPIC,
            aggregate_type: AGGREGATE_TYPE,
            envelope: envelope(after.id, after.version, type_name, event.at(), cause, id),
            payload: None,
        });
    }
}

fn envelope(
    order_id: OrderId,
    version: i64,
    event_type: String,
    time: Timestamp,
    cause: &Cause,
    id: Uuid,
) -> Envelope {
    Envelope {
        id,
        event_type,
        source: SOURCE.to_owned(),
        subject: order_id.to_string(),
        version,
        time,
        correlation_id: cause.correlation_id,
        causation_id: cause.causation_id,
        traceparent: cause.traceparent,
    }
}

// === impl OrderColumns ===

impl OrderColumns {
    fn add_whole(&mut self, order: &Order) {
        self.add_changed(order, 0);
        self.store_id.push(order.store_id.to_string());
        self.customer_id.push(order.customer_id.to_string());
        self.total_minor.push(order.total.minor);
        self.currency.push(order.total.currency.code().to_owned());
        self.placed_at.push(Instant(order.placed_at));
        self.lines.push(event_codec::encode_lines(&order.lines));
    }

    fn add_changed(&mut self, order: &Order, expected: i64) {
        let (rejection, cancellation) = (order.rejection.as_ref(), order.cancellation.as_ref());
        self.order_id.push(order.id.as_uuid());
        self.version.push(order.version);
        self.status.push(order.status.as_str());
        self.updated_at.push(Instant(order.updated_at));
        self.rejection_code.push(rejection.map(|r| r.code.as_str()));
        self.rejection_detail
            .push(rejection.map(|r| r.detail.clone()));
        self.cancellation_status
            .push(cancellation.map(|c| cancellation_status(c.status)));
        self.cancellation_reason
            .push(cancellation.map(|c| c.reason.clone()));
        self.expected.push(expected);
    }

    async fn insert(&self, tx: &Transaction<'_>) -> Result<(), Error> {
        if self.order_id.is_empty() {
            return Ok(());
        }
        tx.execute(
            INSERT_ORDERS,
            &[
                &self.order_id,
                &self.version,
                &self.status,
                &self.updated_at,
                &self.rejection_code,
                &self.rejection_detail,
                &self.cancellation_status,
                &self.cancellation_reason,
                &self.store_id,
                &self.customer_id,
                &self.total_minor,
                &self.currency,
                &self.placed_at,
                &self.lines,
            ],
        )
        .await?;
        Ok(())
    }

    async fn update(&self, tx: &Transaction<'_>) -> Result<(), Error> {
        if self.order_id.is_empty() {
            return Ok(());
        }
        let updated = tx
            .execute(
                UPDATE_ORDERS,
                &[
                    &self.order_id,
                    &self.version,
                    &self.status,
                    &self.updated_at,
                    &self.rejection_code,
                    &self.rejection_detail,
                    &self.cancellation_status,
                    &self.cancellation_reason,
                    &self.expected,
                ],
            )
            .await?;
        // A row that does not stand where it was loaded was changed without its lock being asked for.
        if usize::try_from(updated) == Ok(self.order_id.len()) {
            Ok(())
        } else {
            Err(Error::VersionConflict)
        }
    }
}

/// A cancellation's status as the row has it.
const fn cancellation_status(status: CancellationStatus) -> &'static str {
    match status {
        CancellationStatus::Requested => "requested",
        CancellationStatus::Granted => "granted",
        CancellationStatus::Refused => "refused",
    }
}
