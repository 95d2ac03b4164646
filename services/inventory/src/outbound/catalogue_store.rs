//! Stores and products in the database.

use brewline_inventory_domain::{Item, ProductDetails, ProductKind, StoreDetails};
use brewline_kernel::{Money, ProductId, StoreId, Timestamp};
use brewline_postgres::{Connection, Error as DatabaseError, Instant, Row, ToSql, Transaction};
use serde_json::Value;

use super::store::{LoadError, get, parsed};
use crate::error::Corrupt;

const LOCK_STORE: &str = "
    select store_id, name, currency, time_zone, retired, version
      from store where store_id = $1 for update";
const LOCK_PRODUCT: &str = "
    select product_id, name, kind, method, origin, prices, retired, version
      from product where product_id = $1 for update";

const FIND_STORE: &str = "
    select store_id, name, currency, time_zone, retired, version from store where store_id = $1";
const FIND_PRODUCT: &str = "
    select product_id, name, kind, method, origin, prices, retired, version
      from product where product_id = $1";

// A catalogue is answered whole, so it has a limit; who has more than this needs pages.
const LIST_STORES: &str = "
    select store_id, name, currency, time_zone, retired, version
      from store where not retired order by store_id limit 10000";
const LIST_PRODUCTS: &str = "
    select product_id, name, kind, method, origin, prices, retired, version
      from product where not retired order by product_id limit 10000";

/// Written only over the version it was decided on: where another caller made the row first, nothing
/// is written and the caller decides again.
const SAVE_STORE: &str = "
    insert into store (store_id, name, currency, time_zone, retired, version, updated_at)
    values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (store_id) do update
       set name = excluded.name, currency = excluded.currency, time_zone = excluded.time_zone,
           retired = excluded.retired, version = excluded.version, updated_at = excluded.updated_at
     where store.version = excluded.version - 1";
const SAVE_PRODUCT: &str = "
    insert into product (product_id, name, kind, method, origin, prices, retired, version, updated_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (product_id) do update
       set name = excluded.name, kind = excluded.kind, method = excluded.method,
           origin = excluded.origin, prices = excluded.prices, retired = excluded.retired,
           version = excluded.version, updated_at = excluded.updated_at
     where product.version = excluded.version - 1";

/// A store as it is stored.
pub type Store = Item<StoreDetails>;
/// A product as it is stored.
pub type Product = Item<ProductDetails>;

/// Items with what names them, by id.
pub type Listed<D> = Vec<(<D as Stored>::Id, Item<D>)>;

/// How stores and products are stored: what an [`Item`] is made of says in which table it lives.
pub trait Stored: Sized + Send + Sync + 'static {
    /// What names it.
    type Id: Send + Sync;

    /// Locks and loads it.
    fn lock(
        tx: &Transaction<'_>,
        id: &Self::Id,
    ) -> impl Future<Output = Result<Option<Item<Self>>, LoadError>> + Send;

    /// Loads it, and lets others change it meanwhile.
    fn find(
        tx: &Transaction<'_>,
        id: &Self::Id,
    ) -> impl Future<Output = Result<Option<Item<Self>>, LoadError>> + Send;

    /// Stores it over the version before; false when that is not the stored one any more.
    fn save(
        item: &Item<Self>,
        tx: &Transaction<'_>,
        id: &Self::Id,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, DatabaseError>> + Send;

    /// All that are in use, by id.
    fn list(
        connection: &Connection,
    ) -> impl Future<Output = Result<Listed<Self>, LoadError>> + Send;
}

impl Stored for StoreDetails {
    type Id = StoreId;

    async fn lock(tx: &Transaction<'_>, id: &StoreId) -> Result<Option<Store>, LoadError> {
        let row = tx.query_opt(LOCK_STORE, &[&id.as_str()]).await?;
        row.map(|row| Ok(store(&row)?.1)).transpose()
    }

    async fn find(tx: &Transaction<'_>, id: &StoreId) -> Result<Option<Store>, LoadError> {
        let row = tx.query_opt(FIND_STORE, &[&id.as_str()]).await?;
        row.map(|row| Ok(store(&row)?.1)).transpose()
    }

    async fn save(
        item: &Store,
        tx: &Transaction<'_>,
        id: &StoreId,
        now: Timestamp,
    ) -> Result<bool, DatabaseError> {
        let params: [&(dyn ToSql + Sync); 7] = [
            &id.as_str(),
            &item.details.name(),
            &item.details.currency().code().to_owned(),
            &item.details.time_zone(),
            &item.retired,
            &item.version,
            &Instant(now),
        ];
        Ok(tx.execute(SAVE_STORE, &params).await? == 1)
    }

    async fn list(connection: &Connection) -> Result<Vec<(StoreId, Store)>, LoadError> {
        let rows = connection.query(LIST_STORES, &[]).await?;
        rows.iter().map(store).collect()
    }
}

impl Stored for ProductDetails {
    type Id = ProductId;

    async fn lock(tx: &Transaction<'_>, id: &ProductId) -> Result<Option<Product>, LoadError> {
        let row = tx.query_opt(LOCK_PRODUCT, &[&id.as_str()]).await?;
        row.map(|row| Ok(product(&row)?.1)).transpose()
    }

    async fn find(tx: &Transaction<'_>, id: &ProductId) -> Result<Option<Product>, LoadError> {
        let row = tx.query_opt(FIND_PRODUCT, &[&id.as_str()]).await?;
        row.map(|row| Ok(product(&row)?.1)).transpose()
    }

    async fn save(
        item: &Product,
        tx: &Transaction<'_>,
        id: &ProductId,
        now: Timestamp,
    ) -> Result<bool, DatabaseError> {
        let params: [&(dyn ToSql + Sync); 9] = [
            &id.as_str(),
            &item.details.name(),
            &kind_name(item.details.kind()),
            &item.details.method(),
            &item.details.origin(),
            &prices_to_json(item.details.prices()),
            &item.retired,
            &item.version,
            &Instant(now),
        ];
        Ok(tx.execute(SAVE_PRODUCT, &params).await? == 1)
    }

    async fn list(connection: &Connection) -> Result<Vec<(ProductId, Product)>, LoadError> {
        let rows = connection.query(LIST_PRODUCTS, &[]).await?;
        rows.iter().map(product).collect()
    }
}

fn store(row: &Row) -> Result<(StoreId, Store), LoadError> {
    let (name, currency) = (get::<&str>(row, "name")?, get::<&str>(row, "currency")?);
    let details = StoreDetails::new(name, currency, get(row, "time_zone")?);
    Ok((parsed(row, "store_id")?, item(row, details)?))
}

fn product(row: &Row) -> Result<(ProductId, Product), LoadError> {
    let details = ProductDetails::new(
        get(row, "name")?,
        kind_named(get(row, "kind")?)?,
        get(row, "method")?,
        get(row, "origin")?,
        prices_from_json(&get(row, "prices")?)?,
    );
    Ok((parsed(row, "product_id")?, item(row, details)?))
}

fn item<D, F>(row: &Row, details: Result<D, F>) -> Result<Item<D>, LoadError> {
    Ok(Item {
        details: details.map_err(|_| Corrupt::Column("name"))?,
        version: get(row, "version")?,
        retired: get(row, "retired")?,
    })
}

fn prices_to_json(prices: &[Money]) -> Value {
    let entry = |price: &Money| (price.currency.code().to_owned(), price.minor.into());
    Value::Object(prices.iter().map(entry).collect())
}

fn prices_from_json(json: &Value) -> Result<Vec<Money>, Corrupt> {
    let corrupt = || Corrupt::Column("prices");
    let price = |(currency, minor): (&String, &Value)| {
        Some(Money::new(minor.as_i64()?, currency.parse().ok()?))
    };
    let object = json.as_object().ok_or_else(corrupt)?;
    object
        .iter()
        .map(price)
        .collect::<Option<_>>()
        .ok_or_else(corrupt)
}

const fn kind_name(kind: ProductKind) -> &'static str {
    match kind {
        ProductKind::Drink => "drink",
        ProductKind::Food => "food",
    }
}

fn kind_named(name: &str) -> Result<ProductKind, Corrupt> {
    match name {
        "drink" => Ok(ProductKind::Drink),
        "food" => Ok(ProductKind::Food),
        _ => Err(Corrupt::Column("kind")),
    }
}
