//! Customers in the database. Whoever changes one writes its whole new state to the outbox.

use std::collections::BTreeSet;

use brewline_kernel::CustomerId;
use brewline_postgres::{Connection, Error, Row, Transaction};

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// The id.
    pub customer_id: CustomerId,
    /// The name.
    pub name: String,
    /// The address for mails.
    pub email: String,
    /// The language, as BCP 47.
    pub locale: String,
    /// Whether boards may show the name.
    pub show_name: bool,
    /// Counts the changes, from 1.
    pub version: i64,
    /// True once the personal data was erased: the other fields are empty then.
    pub erased: bool,
}

const INSERT: &str = "insert into customer (customer_id, name, email, locale, show_name, version) \
    values ($1, $2, $3, $4, $5, $6) on conflict do nothing";

const GET: &str = "select customer_id, name, email, locale, show_name, version, erased from customer \
    where customer_id = $1";

const LOCK: &str = "select customer_id, name, email, locale, show_name, version, erased from customer \
    where customer_id = $1 for update";

const UPDATE: &str = "update customer set name = $2, email = $3, locale = $4, show_name = $5, \
    version = $6, erased = $7, updated_at = now() where customer_id = $1";

const KNOWN: &str = "select customer_id from customer where customer_id = any($1) and not erased";

/// Inserts a new customer; false when the id is taken.
///
/// # Errors
/// When the statement fails.
pub async fn insert(tx: &Transaction<'_>, customer: &Customer) -> Result<bool, Error> {
    let inserted = tx
        .execute(
            INSERT,
            &[
                &customer.customer_id.as_str(),
                &customer.name,
                &customer.email,
                &customer.locale,
                &customer.show_name,
                &customer.version,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// One customer, erased or not.
///
/// # Errors
/// When the statement fails.
pub async fn get(
    connection: &Connection,
    customer_id: &CustomerId,
) -> Result<Option<Customer>, Error> {
    let row = connection.query_opt(GET, &[&customer_id.as_str()]).await?;
    Ok(row.as_ref().and_then(customer))
}

/// The same, locked until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(
    tx: &Transaction<'_>,
    customer_id: &CustomerId,
) -> Result<Option<Customer>, Error> {
    let row = tx.query_opt(LOCK, &[&customer_id.as_str()]).await?;
    Ok(row.as_ref().and_then(customer))
}

/// Writes a customer that is locked.
///
/// # Errors
/// When the statement fails.
pub async fn update(tx: &Transaction<'_>, customer: &Customer) -> Result<(), Error> {
    tx.execute(
        UPDATE,
        &[
            &customer.customer_id.as_str(),
            &customer.name,
            &customer.email,
            &customer.locale,
            &customer.show_name,
            &customer.version,
            &customer.erased,
        ],
    )
    .await?;
    Ok(())
}

/// Those of `customer_ids` that may order.
///
/// # Errors
/// When the statement fails.
pub async fn known(
    tx: &Transaction<'_>,
    customer_ids: &BTreeSet<&str>,
) -> Result<BTreeSet<String>, Error> {
    let ids: Vec<&str> = customer_ids.iter().copied().collect();
    let rows = tx.query(KNOWN, &[&ids]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn customer(row: &Row) -> Option<Customer> {
    Some(Customer {
        customer_id: row.get::<_, &str>(0).parse().ok()?,
        name: row.get(1),
        email: row.get(2),
        locale: row.get(3),
        show_name: row.get(4),
        version: row.get(5),
        erased: row.get(6),
    })
}

// === impl Customer ===

impl Customer {
    /// Nothing but the id; its version is the caller's to say.
    #[must_use]
    pub const fn erased(customer_id: CustomerId) -> Self {
        Self {
            customer_id,
            name: String::new(),
            email: String::new(),
            locale: String::new(),
            show_name: false,
            version: 0,
            erased: true,
        }
    }
}
