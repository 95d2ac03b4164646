use std::fmt;
use std::sync::Arc;

use brewline_kernel::system::{SystemClock, SystemIds};
use brewline_kernel::{Clock, IdGenerator};
use brewline_messaging::Outbox;
use brewline_postgres::Pool;

use crate::app::catalogue::Catalogue;
use crate::app::checkout::{self, Checkouts};
use crate::app::waiters::Waiters;
use crate::outbound::store::Store;

/// What every use case holds. Cheap to clone; clones share it all.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub pool: Pool,
    /// Writes orders.
    pub store: Store,
    /// The copy of the catalogue.
    pub catalogue: Arc<Catalogue>,
    /// Who waits for orders.
    pub waiters: Arc<Waiters>,
    /// Moves checkouts.
    pub checkouts: Checkouts,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids.
    pub ids: Arc<dyn IdGenerator>,
}

// === impl Parts ===

impl Parts {
    /// The parts of one process, over `pool`.
    #[must_use]
    pub fn new(pool: Pool, outbox: Outbox, checkout: &checkout::Settings) -> Self {
        let ids: Arc<dyn IdGenerator> = Arc::new(SystemIds);
        let waiters = Arc::<Waiters>::default();
        let store = Store::new(outbox, Arc::clone(&ids));
        Self {
            pool,
            checkouts: Checkouts::new(checkout, store.clone(), Arc::clone(&waiters)),
            store,
            catalogue: Arc::default(),
            waiters,
            clock: Arc::new(SystemClock),
            ids,
        }
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
