//! Creates, changes and retires stores and products. Each change is the row and the event that tells
//! its whole state, in one transaction.

use std::sync::Arc;

use brewline_inventory_domain::{CatalogueRejection, Details, Item, ProductDetails, StoreDetails};
use brewline_kernel::{Clock, IdGenerator, ProductId, StoreId, TraceParent};
use brewline_messaging::{NewEvent, Outbox};
use brewline_postgres::Pool;

use crate::error::{Error, Rejection};
use crate::outbound::catalogue_store::{Listed, Stored};
use crate::outbound::event_codec::{Origin, product_changed, store_changed};

/// How often a change is decided anew because another caller made the row first. Each time one of
/// them got through, so this is how many callers may race.
const ATTEMPTS_MAX: usize = 5;

/// The use cases of the catalogue.
#[derive(Clone)]
pub struct Catalogue {
    /// The database.
    pub pool: Pool,
    /// Where events go.
    pub outbox: Outbox,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Names events.
    pub ids: Arc<dyn IdGenerator>,
}

/// The item after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed<D> {
    /// As it now is.
    pub item: Item<D>,
    /// True when it is new.
    pub created: bool,
}

/// A change of an item: from what is stored to what shall be, nothing when that is the same.
type Decision<D> = Result<Option<Item<D>>, CatalogueRejection>;

/// What the one path for both has to know about stores and products.
trait Told: Stored + Details {
    const NOUN: &'static str;
    const UNKNOWN: Rejection;
    fn event(origin: Origin, id: &Self::Id, item: &Item<Self>) -> NewEvent;
}

// === impl Catalogue ===

impl Catalogue {
    /// Creates or changes a store.
    ///
    /// # Errors
    /// When it is retired, its currency would change, or the database fails.
    pub async fn put_store(
        &self,
        id: &StoreId,
        details: StoreDetails,
        trace: Option<TraceParent>,
    ) -> Result<Changed<StoreDetails>, Error> {
        self.change::<StoreDetails>(id, trace, |current| Item::put(current, details.clone()))
            .await
    }

    /// Creates or changes a product.
    ///
    /// # Errors
    /// When it is retired, or the database fails.
    pub async fn put_product(
        &self,
        id: &ProductId,
        details: ProductDetails,
        trace: Option<TraceParent>,
    ) -> Result<Changed<ProductDetails>, Error> {
        self.change::<ProductDetails>(id, trace, |current| Item::put(current, details.clone()))
            .await
    }

    /// Retires a store.
    ///
    /// # Errors
    /// When there is none, or the database fails.
    pub async fn retire_store(
        &self,
        id: &StoreId,
        trace: Option<TraceParent>,
    ) -> Result<Changed<StoreDetails>, Error> {
        self.change::<StoreDetails>(id, trace, Item::retire).await
    }

    /// Retires a product.
    ///
    /// # Errors
    /// When there is none, or the database fails.
    pub async fn retire_product(
        &self,
        id: &ProductId,
        trace: Option<TraceParent>,
    ) -> Result<Changed<ProductDetails>, Error> {
        self.change::<ProductDetails>(id, trace, Item::retire).await
    }

    /// All that are in use, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list<D: Stored>(&self) -> Result<Listed<D>, Error> {
        Ok(D::list(&self.pool.get().await?).await?)
    }

    async fn change<D: Told>(
        &self,
        id: &D::Id,
        trace: Option<TraceParent>,
        decide: impl Fn(Option<&Item<D>>) -> Decision<D> + Send + Sync,
    ) -> Result<Changed<D>, Error> {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(changed) = self.try_change(id, trace, &decide).await? {
                return Ok(changed);
            }
        }
        Err(Error::Contended)
    }

    /// Nothing when another caller made the row between our look and our write.
    async fn try_change<D: Told>(
        &self,
        id: &D::Id,
        trace: Option<TraceParent>,
        decide: &(impl Fn(Option<&Item<D>>) -> Decision<D> + Send + Sync),
    ) -> Result<Option<Changed<D>>, Error> {
        let mut connection = self.pool.get().await?;
        let tx = connection.transaction().await?;
        let current = D::lock(&tx, id).await?;
        let decided =
            decide(current.as_ref()).map_err(|no| Rejection::of_item(no, D::UNKNOWN, D::NOUN))?;
        let created = current.is_none();
        let Some(next) = decided else {
            let item = current.ok_or(D::UNKNOWN)?;
            return Ok(Some(Changed { item, created }));
        };
        let now = self.clock.now();
        if !D::save(&next, &tx, id, now).await? {
            return Ok(None);
        }
        let origin = Origin::of_request(self.ids.next(), now, trace);
        self.outbox
            .append(&tx, &[D::event(origin, id, &next)])
            .await?;
        tx.commit().await?;
        Ok(Some(Changed {
            item: next,
            created,
        }))
    }
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalogue").finish_non_exhaustive()
    }
}

impl Told for StoreDetails {
    const NOUN: &'static str = "the store";
    const UNKNOWN: Rejection = Rejection::UnknownStore;

    fn event(origin: Origin, id: &StoreId, item: &Item<Self>) -> NewEvent {
        store_changed(origin, id, item)
    }
}

impl Told for ProductDetails {
    const NOUN: &'static str = "the product";
    const UNKNOWN: Rejection = Rejection::UnknownProduct;

    fn event(origin: Origin, id: &ProductId, item: &Item<Self>) -> NewEvent {
        product_changed(origin, id, item)
    }
}
