//! The copy of the catalogue in the database, shared by all replicas.

use std::collections::BTreeMap;

use brewline_kernel::{Currency, Money, ProductId, StoreId};
use brewline_order_domain::order::ProductKind;
use brewline_order_domain::pricing::{ProductEntry, StoreEntry};
use brewline_postgres::{Connection, Error, Row, ToSql, Transaction};

/// A store as the catalogue topic has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRow {
    /// Its id.
    pub store_id: StoreId,
    /// The name people see.
    pub name: String,
    /// Its time zone.
    pub time_zone: String,
    /// What pricing needs.
    pub entry: StoreEntry,
    /// The version of this state.
    pub version: i64,
}

/// A product as the catalogue topic has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductRow {
    /// What pricing needs.
    pub entry: ProductEntry,
    /// The version of this state.
    pub version: i64,
}

/// The rows that changed after some revision.
#[derive(Debug, Default)]
pub struct Changed {
    /// Stores.
    pub stores: BTreeMap<StoreId, StoreEntry>,
    /// Products.
    pub products: BTreeMap<ProductId, ProductEntry>,
}

/// "The copy holds at least this version of this subject."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Such as `product/cortado`.
    pub subject: String,
    /// The version.
    pub version: i64,
}

/// Whether the copy holds what tokens name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// All of it.
    Yes,
    /// Not yet.
    Behind,
    /// Not before somebody has looked after a dead letter.
    Parked,
}

const REVISION: &str = "select revision from catalogue_revision";

const RAISE_REVISION: &str =
    "update catalogue_revision set revision = revision + 1 returning revision";

const PUT_STORES: &str = "insert into catalogue_store \
    (revision, store_id, name, currency, time_zone, retired, version) \
    select $1, s.* from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::bigint[]) s \
    on conflict (store_id) do update set name = excluded.name, currency = excluded.currency, \
        time_zone = excluded.time_zone, retired = excluded.retired, version = excluded.version, \
        revision = excluded.revision \
    where catalogue_store.version < excluded.version";

// An array of arrays must be rectangular, so prices travel as text and are cast back.
const PUT_PRODUCTS: &str = "insert into catalogue_product \
    (revision, product_id, name, kind, method, origin, price_currencies, price_minors, retired, version) \
    select $1, p.product_id, p.name, p.kind, p.method, p.origin, p.currencies::text[], p.minors::bigint[], \
           p.retired, p.version \
    from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], \
                $9::boolean[], $10::bigint[]) \
      as p(product_id, name, kind, method, origin, currencies, minors, retired, version) \
    on conflict (product_id) do update set name = excluded.name, kind = excluded.kind, \
        method = excluded.method, origin = excluded.origin, \
        price_currencies = excluded.price_currencies, price_minors = excluded.price_minors, \
        retired = excluded.retired, version = excluded.version, revision = excluded.revision \
    where catalogue_product.version < excluded.version";

const STORES_SINCE: &str =
    "select store_id, currency, retired from catalogue_store where revision > $1";

const PRODUCTS_SINCE: &str = "select product_id, name, kind, method, origin, price_currencies, \
    price_minors, retired from catalogue_product where revision > $1";

// What the copy holds is what its rows say; they are never pruned.
const BEHIND: &str = "select exists (select from parked_key p where p.consumer = $1 \
        and p.subject = asked.subject and p.dead_letter_id is not null) \
    from unnest($2::text[], $3::bigint[]) asked(subject, version) \
    where asked.version > coalesce( \
        (select version from catalogue_product where product_id = substr(asked.subject, 9) \
            and asked.subject like 'product/%'), \
        (select version from catalogue_store where store_id = substr(asked.subject, 7) \
            and asked.subject like 'store/%'), 0)";

/// Whether the copy holds what `tokens` name.
///
/// # Errors
/// When the statement fails.
pub async fn holds(
    connection: &Connection,
    consumer: &'static str,
    tokens: &[Token],
) -> Result<Held, Error> {
    let subjects: Vec<&str> = tokens.iter().map(|token| token.subject.as_str()).collect();
    let versions: Vec<i64> = tokens.iter().map(|token| token.version).collect();
    let behind = connection
        .query(BEHIND, &[&consumer, &subjects, &versions])
        .await?;
    Ok(match behind.iter().any(|row| row.get(0)) {
        true => Held::Parked,
        false if behind.is_empty() => Held::Yes,
        false => Held::Behind,
    })
}

/// The copy's revision. Whoever sees it sees the rows it counts.
///
/// # Errors
/// When the statement fails.
pub async fn revision(tx: &Transaction<'_>) -> Result<i64, Error> {
    Ok(tx.query_one(REVISION, &[]).await?.get(0))
}

/// Writes these states where they are newer than the stored ones; each subject at most once.
///
/// # Errors
/// When a statement fails.
pub async fn put(
    tx: &Transaction<'_>,
    stores: &[StoreRow],
    products: &[ProductRow],
) -> Result<(), Error> {
    // The counter's row lock comes first and is held to the end: whoever reads revision N reads every
    // row of the transactions 1 to N.
    let revision: i64 = tx.query_one(RAISE_REVISION, &[]).await?.get(0);
    futures_util::try_join!(
        put_stores(tx, revision, stores),
        put_products(tx, revision, products)
    )?;
    Ok(())
}

/// What changed after `revision`.
///
/// # Errors
/// When a statement fails.
pub async fn changed_since(tx: &Transaction<'_>, revision: i64) -> Result<Changed, Error> {
    let since: [&(dyn ToSql + Sync); 1] = [&revision];
    let (stores, products) = futures_util::try_join!(
        tx.query(STORES_SINCE, &since),
        tx.query(PRODUCTS_SINCE, &since)
    )?;
    Ok(Changed {
        stores: stores.iter().filter_map(store_entry).collect(),
        products: products.iter().filter_map(product_entry).collect(),
    })
}

async fn put_stores(tx: &Transaction<'_>, revision: i64, rows: &[StoreRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = rows.iter().map(|row| row.store_id.as_str()).collect();
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let currencies: Vec<&str> = rows.iter().map(|row| row.entry.currency.code()).collect();
    let zones: Vec<&str> = rows.iter().map(|row| row.time_zone.as_str()).collect();
    let retired: Vec<bool> = rows.iter().map(|row| row.entry.retired).collect();
    let versions: Vec<i64> = rows.iter().map(|row| row.version).collect();
    tx.execute(
        PUT_STORES,
        &[
            &revision,
            &ids,
            &names,
            &currencies,
            &zones,
            &retired,
            &versions,
        ],
    )
    .await?;
    Ok(())
}

async fn put_products(
    tx: &Transaction<'_>,
    revision: i64,
    rows: &[ProductRow],
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let text = |of: fn(&ProductEntry) -> &str| -> Vec<&str> {
        rows.iter().map(|row| of(&row.entry)).collect()
    };
    let (ids, names) = (text(|p| p.product_id.as_str()), text(|p| &p.name));
    let (kinds, methods) = (text(|p| kind(p.kind)), text(|p| &p.method));
    let origins = text(|p| &p.origin);
    let currencies: Vec<String> = braced(rows, |price| price.currency.code().to_owned());
    let minors: Vec<String> = braced(rows, |price| price.minor.to_string());
    let retired: Vec<bool> = rows.iter().map(|row| row.entry.retired).collect();
    let versions: Vec<i64> = rows.iter().map(|row| row.version).collect();
    tx.execute(
        PUT_PRODUCTS,
        &[
            &revision,
            &ids,
            &names,
            &kinds,
            &methods,
            &origins,
            &currencies,
            &minors,
            &retired,
            &versions,
        ],
    )
    .await?;
    Ok(())
}

/// Each product's prices as an array in PostgreSQL's notation. Codes are three capital letters and
/// amounts are digits, so nothing needs quoting.
fn braced(rows: &[ProductRow], of: impl Fn(&Money) -> String) -> Vec<String> {
    let array = |row: &ProductRow| {
        row.entry
            .prices
            .iter()
            .map(&of)
            .collect::<Vec<_>>()
            .join(",")
    };
    rows.iter()
        .map(|row| format!("{{{}}}", array(row)))
        .collect()
}

const fn kind(kind: ProductKind) -> &'static str {
    match kind {
        ProductKind::Drink => "drink",
        ProductKind::Food => "food",
    }
}

/// A row whose id or currency could not be parsed was never written by [`put`].
fn store_entry(row: &Row) -> Option<(StoreId, StoreEntry)> {
    let store_id = row.get::<_, &str>(0).parse().ok()?;
    let currency = row.get::<_, &str>(1).parse().ok()?;
    let retired = row.get(2);
    Some((store_id, StoreEntry { currency, retired }))
}

fn product_entry(row: &Row) -> Option<(ProductId, ProductEntry)> {
    let product_id: ProductId = row.get::<_, &str>(0).parse().ok()?;
    let kind = match row.get(2) {
        "drink" => ProductKind::Drink,
        "food" => ProductKind::Food,
        _ => return None,
    };
    let (currencies, minors): (Vec<&str>, Vec<i64>) = (row.get(5), row.get(6));
    let price = |(code, minor): (&str, i64)| {
        let currency: Currency = code.parse().ok()?;
        Some(Money::new(minor, currency))
    };
    let entry = ProductEntry {
        product_id: product_id.clone(),
        name: row.get(1),
        kind,
        method: row.get(3),
        origin: row.get(4),
        prices: currencies
            .into_iter()
            .zip(minors)
            .map(price)
            .collect::<Option<_>>()?,
        retired: row.get(7),
    };
    Some((product_id, entry))
}
