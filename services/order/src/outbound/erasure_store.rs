//! Who was erased, and what was written about them in the outbox.

use brewline_kernel::CustomerId;
use brewline_postgres::{Connection, Error, Transaction};

const RECORD: &str = "insert into erasure (customer_id) values ($1) on conflict do nothing";

const BLANK: &str = "select erase_customer_payloads($1)";

const RISEN: &str = "select e.customer_id from erasure e join customer c using (customer_id) \
    where not c.erased order by e.customer_id";

/// Puts a customer on the list of erasures.
///
/// # Errors
/// When the statement fails.
pub async fn record(tx: &Transaction<'_>, customer_id: &CustomerId) -> Result<(), Error> {
    tx.execute(RECORD, &[&customer_id.as_str()]).await?;
    Ok(())
}

/// Blanks the customer's events in the outbox: those in the log now, the others once they are. Call it
/// before the event that tells of the erasure is appended.
///
/// # Errors
/// When the statement fails.
pub async fn blank_payloads(tx: &Transaction<'_>, customer_id: &CustomerId) -> Result<(), Error> {
    tx.query(BLANK, &[&customer_id.as_str()]).await?;
    Ok(())
}

/// Customers that were erased and, after a restore, are there again.
///
/// # Errors
/// When the statement fails.
pub async fn risen(connection: &Connection) -> Result<Vec<CustomerId>, Error> {
    let rows = connection.query(RISEN, &[]).await?;
    let ids = rows
        .iter()
        .filter_map(|row| row.get::<_, &str>(0).parse().ok());
    Ok(ids.collect())
}
