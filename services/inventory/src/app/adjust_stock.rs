//! Adds or takes stock by hand, once per key.

use std::sync::Arc;

use brewline_inventory_domain::{AdjustRejection, Item, ProductDetails, StockLevel, StoreDetails};
use brewline_kernel::{Clock, IdGenerator, IdempotencyKey, ProductId, StoreId, TraceParent};
use brewline_messaging::Outbox;
use brewline_postgres::{Pool, Transaction};
use futures_util::try_join;

use super::settle_orders::{Posting, StockChange};
use crate::error::{Error, Rejection};
use crate::outbound::adjustments::{self, Claim};
use crate::outbound::catalogue_store::Stored;
use crate::outbound::event_codec::{Adjusted, Origin, stock_adjusted};
use crate::outbound::store::{self, StockRow};
use crate::signals;

/// The use cases of stock.
#[derive(Clone)]
pub struct Stock {
    /// The database.
    pub pool: Pool,
    /// Where events go.
    pub outbox: Outbox,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Names events.
    pub ids: Arc<dyn IdGenerator>,
}

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// Who asks: keys of different principals never meet.
    pub principal: String,
    /// The caller's name for this request.
    pub key: IdempotencyKey,
    /// The store.
    pub store: StoreId,
    /// The product.
    pub product: ProductId,
    /// How many to add, or to take when negative.
    pub delta: i64,
    /// Why.
    pub reason: String,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// What the caller is told: the same for every repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The level right after the adjustment.
    pub level: StockLevel,
    /// The version of the subject `<store>/<product>` that told it.
    pub version: i64,
    /// True when it was given before.
    pub replayed: bool,
}

// === impl Stock ===

impl Stock {
    /// Adjusts stock, or repeats the answer that was given under the same key.
    ///
    /// # Errors
    /// When store or product are unknown or retired, too much would be taken, the key belongs to
    /// another request, or the database fails.
    pub async fn adjust(&self, wanted: &Adjustment) -> Result<Answer, Error> {
        let mut connection = self.pool.get().await?;
        let tx = connection.transaction().await?;
        // The key comes first: a repeat waits here for the one before it, and then finds its answer.
        // A refusal rolls the key back, so that it can be tried again.
        if let Claim::Answered(answer) = adjustments::claim(&tx, wanted).await? {
            return Ok(answer);
        }
        check_in_use(&tx, wanted).await?;
        // Boxed: five statements in flight make a large future, and callers hold it by value.
        let answer = Box::pin(self.apply(&tx, wanted)).await?;
        tx.commit().await?;
        brewline_failpoint::hit("inventory.adjusted-before-reply");
        signals::ADJUSTED.inc();
        Ok(answer)
    }

    /// The stock of a store, by product.
    ///
    /// # Errors
    /// When there is no such store, or the database fails.
    pub async fn list(&self, store: &StoreId) -> Result<Vec<StockRow>, Error> {
        let mut connection = self.pool.get().await?;
        let tx = connection.transaction().await?;
        if StoreDetails::find(&tx, store).await?.is_none() {
            return Err(Rejection::UnknownStore.into());
        }
        Ok(store::list_stock(&tx, store).await?)
    }

    /// Under the row lock: decides, moves, and tells.
    async fn apply(&self, tx: &Transaction<'_>, wanted: &Adjustment) -> Result<Answer, Error> {
        let mut row = store::lock_or_create_stock(tx, &wanted.store, &wanted.product).await?;
        let movement = row
            .account
            .level()
            .adjust(wanted.delta)
            .map_err(Rejection::Stock)?;
        let entry = row.account.post(movement);
        let (now, version) = (self.clock.now(), row.version + 1);
        let origin = Origin::of_request(self.ids.next(), now, wanted.traceparent);
        let event = stock_adjusted(origin, Adjusted::new(wanted, entry.after, version));
        let posting = Posting {
            stock_id: row.stock_id,
            entry,
            order: None,
            cause: origin.id,
        };
        let change = StockChange {
            stock_id: row.stock_id,
            account: row.account,
        };
        let answer = Answer {
            level: entry.after,
            version,
            replayed: false,
        };
        let (changes, postings, events) = ([change], [posting], [event]);
        // Polled together, they go to the server in one go and run in this order.
        try_join!(
            store::save_stock(tx, &changes),
            store::count_adjustment(tx, row.stock_id, version),
            store::append_ledger(tx, &postings, now),
            adjustments::answer(tx, wanted, answer),
            self.outbox.append(tx, &events),
        )?;
        Ok(answer)
    }
}

impl std::fmt::Debug for Stock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stock").finish_non_exhaustive()
    }
}

// === impl Adjusted ===

impl<'a> Adjusted<'a> {
    const fn new(wanted: &'a Adjustment, after: StockLevel, version: i64) -> Self {
        Self {
            store: &wanted.store,
            product: &wanted.product,
            delta: wanted.delta,
            after,
            reason: wanted.reason.as_str(),
            version,
        }
    }
}

async fn check_in_use(tx: &Transaction<'_>, wanted: &Adjustment) -> Result<(), Error> {
    let (store, product) = (
        StoreDetails::find(tx, &wanted.store).await?,
        ProductDetails::find(tx, &wanted.product).await?,
    );
    Item::in_use(store.as_ref())
        .map_err(|no| Rejection::of_item(no, Rejection::UnknownStore, "the store"))?;
    Item::in_use(product.as_ref())
        .map_err(|no| Rejection::of_item(no, Rejection::UnknownProduct, "the product"))?;
    Ok(())
}

impl From<AdjustRejection> for Error {
    fn from(no: AdjustRejection) -> Self {
        Self::Rejected(no.into())
    }
}
