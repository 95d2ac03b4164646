//! The copy of the catalogue in memory, from which orders are priced.
//!
//! Each replica consumes only its share of the catalogue topic, so what it has consumed is not the
//! whole catalogue: the whole stands in the tables that all replicas write. Every transaction that
//! prices orders reads the tables' revision along with its first statement and, when memory is older,
//! the rows that changed since. So an order is priced from what was committed before its transaction
//! began, on any replica, and one that waited for a consistency token sees what the token names.

use std::sync::{Arc, PoisonError, RwLock};

use std::collections::BTreeMap;

use brewline_kernel::{ProductId, StoreId};
use brewline_order_domain::pricing::{ProductEntry, StoreEntry};
use brewline_postgres::{Error, Transaction};

use crate::outbound::catalogue_store;
use crate::signals;

/// The catalogue as of one revision. Never changed, only replaced.
#[derive(Debug, Default, Clone)]
pub struct Snapshot {
    revision: i64,
    stores: BTreeMap<StoreId, StoreEntry>,
    products: BTreeMap<ProductId, ProductEntry>,
}

/// The newest snapshot this process has read.
#[derive(Debug, Default)]
pub struct Catalogue {
    newest: RwLock<Arc<Snapshot>>,
}

// === impl Snapshot ===

impl Snapshot {
    /// A store, retired or not.
    #[must_use]
    pub fn store(&self, store_id: &StoreId) -> Option<&StoreEntry> {
        self.stores.get(store_id)
    }

    /// A product, retired or not.
    #[must_use]
    pub fn product(&self, product_id: &ProductId) -> Option<&ProductEntry> {
        self.products.get(product_id)
    }
}

// === impl Catalogue ===

impl Catalogue {
    /// The catalogue as `tx` sees it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn current(&self, tx: &Transaction<'_>) -> Result<Arc<Snapshot>, Error> {
        let newest = Arc::clone(&self.newest.read().unwrap_or_else(PoisonError::into_inner));
        let revision = catalogue_store::revision(tx).await?;
        if revision == newest.revision {
            return Ok(newest);
        }
        // A lower revision: the database was restored to an earlier state. Start anew.
        let base = if revision < newest.revision {
            Arc::default()
        } else {
            newest
        };
        // The rows may be newer than `revision`, never older: then they are read once more next time.
        let changed = catalogue_store::changed_since(tx, base.revision).await?;
        let mut snapshot = Arc::unwrap_or_clone(base);
        snapshot.revision = revision;
        snapshot.stores.extend(changed.stores);
        snapshot.products.extend(changed.products);
        let snapshot = Arc::new(snapshot);
        // Two transactions may race to replace it; either outcome is a true snapshot that names its
        // own revision, and the next transaction makes up the difference.
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&snapshot);
        signals::CATALOGUE_REVISION.set(revision);
        Ok(snapshot)
    }
}
