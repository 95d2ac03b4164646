//! Pages of orders, newest first.
//!
//! A page walks along one index, from the order where the last page ended: that of all orders, of one
//! store's or of one customer's. No index holds the status, because it changes: an update that changes no
//! indexed column stays within its page and touches no index. So a page of one status looks at
//! each order on its walk, at most [`Walk::ORDERS_MAX`] of them, and may hold fewer than it could.

use brewline_kernel::{CustomerId, StoreId};
use brewline_order_domain::order::OrderStatus;
use brewline_postgres::{Connection, Error, ToSql};
use brewline_proto::order::v1 as wire;
use uuid::Uuid;

use super::read;

/// Which orders a page holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this customer's.
    pub customer_id: Option<CustomerId>,
    /// Only this store's.
    pub store_id: Option<StoreId>,
    /// Only those that stand here.
    pub status: Option<OrderStatus>,
}

/// How far a page may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// Only orders placed before this one.
    pub before: Uuid,
    /// The most orders looked at.
    pub orders_max: i64,
}

// A limit within and one without: the walk ends with whichever is reached first.

const OF_ALL: &str = select!(
    "(select * from orders where order_id < $1 order by order_id desc limit $2) o \
     where $4::text is null or o.status = $4 order by o.order_id desc limit $3"
);

const OF_STORE: &str = select!(
    "(select * from orders where store_id = $5 and order_id < $1 order by order_id desc limit $2) o \
     where $4::text is null or o.status = $4 order by o.order_id desc limit $3"
);

// One customer's orders at one store are found among that customer's orders: a person's lifetime of
// coffee, not the table.
const OF_CUSTOMER: &str = select!(
    "(select * from orders where customer_id = $5 and order_id < $1 order by order_id desc limit $2) o \
     where ($4::text is null or o.status = $4) and ($6::text is null or o.store_id = $6) \
     order by o.order_id desc limit $3"
);

// The last order that such a walk looks at; nothing when there are fewer.

const END_OF_ALL: &str = "select order_id from orders where order_id < $1 \
    order by order_id desc offset $2::bigint - 1 limit 1";

const END_OF_STORE: &str = "select order_id from orders where store_id = $3 and order_id < $1 \
    order by order_id desc offset $2::bigint - 1 limit 1";

const END_OF_CUSTOMER: &str = "select order_id from orders where customer_id = $3 and order_id < $1 \
    order by order_id desc offset $2::bigint - 1 limit 1";

/// At most `limit` orders, newest first, of those on the walk.
///
/// # Errors
/// When the statement fails.
pub async fn page(
    connection: &Connection,
    filter: &Filter,
    walk: Walk,
    limit: i64,
) -> Result<Vec<wire::Order>, Error> {
    let Walk { before, orders_max } = walk;
    let status = filter.status.map(OrderStatus::as_str);
    let store = filter.store_id.as_ref().map(StoreId::as_str);
    let customer = filter.customer_id.as_ref().map(CustomerId::as_str);
    let mut params: Vec<&(dyn ToSql + Sync)> = vec![&before, &orders_max, &limit, &status];
    let sql = match (&customer, &store) {
        (Some(customer), _) => {
            params.push(customer);
            params.push(&store);
            OF_CUSTOMER
        }
        (None, Some(store)) => {
            params.push(store);
            OF_STORE
        }
        (None, None) => OF_ALL,
    };
    let rows = connection.query(sql, &params).await?;
    Ok(rows.iter().map(read).collect())
}

/// Where a walk that went as far as it may has ended; nothing when it came to the oldest order before.
///
/// # Errors
/// When the statement fails.
pub async fn walked_to(
    connection: &Connection,
    filter: &Filter,
    walk: Walk,
) -> Result<Option<Uuid>, Error> {
    let Walk { before, orders_max } = walk;
    let store = filter.store_id.as_ref().map(StoreId::as_str);
    let customer = filter.customer_id.as_ref().map(CustomerId::as_str);
    let mut params: Vec<&(dyn ToSql + Sync)> = vec![&before, &orders_max];
    let sql = match (&customer, &store) {
        (Some(customer), _) => {
            params.push(customer);
            END_OF_CUSTOMER
        }
        (None, Some(store)) => {
            params.push(store);
            END_OF_STORE
        }
        (None, None) => END_OF_ALL,
    };
    let end = connection.query_opt(sql, &params).await?;
    Ok(end.map(|row| row.get(0)))
}

// === impl Walk ===

impl Walk {
    /// The most orders that one page looks at: a few milliseconds of reading.
    pub const ORDERS_MAX: i64 = 2_000;
}
