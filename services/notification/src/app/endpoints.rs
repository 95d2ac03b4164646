//! Webhook endpoints: registered, shown, removed, and called again.

use brewline_kernel::{IdGenerator, Timestamp};
use brewline_postgres::Pool;
use uuid::Uuid;

use crate::error::Error;
use crate::outbound::caller::{self, Unfit};
use crate::outbound::endpoints::{self, NewEndpoint};
use crate::outbound::event_log;

/// The most endpoints: each costs a look at the log.
const ENDPOINTS_MAX: i64 = 1_000;

/// The longest URL, in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// What somebody wants registered.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What is to be called.
    pub url: String,
    /// The types of events.
    pub types: Vec<String>,
    /// Only orders of this store.
    pub store: Option<String>,
}

/// Registers an endpoint; it is told what happens from now on.
///
/// # Errors
/// When the URL is none that we call, there are too many, or the database fails.
pub async fn create(
    pool: &Pool,
    ids: &dyn IdGenerator,
    wanted: Wanted,
    allow_private: bool,
) -> Result<(NewEndpoint, Timestamp), Error> {
    if wanted.url.len() > URL_BYTES_MAX {
        let detail = format!("at most {URL_BYTES_MAX} bytes");
        return Err(Error::Invalid("url", detail));
    }
    let fit = caller::fit(&wanted.url, allow_private).await;
    fit.map_err(|unfit: Unfit| Error::Invalid("url", unfit.to_string()))?;
    let new = NewEndpoint {
        id: ids.next(),
        url: wanted.url,
        types: wanted.types,
        store: wanted.store,
        secret: caller::secret(&random()),
    };
    let mut connection = pool.get().await?;
    let tx = connection.transaction().await?;
    let position = event_log::last(&tx).await?;
    let created_at = endpoints::insert(&tx, &new, position, ENDPOINTS_MAX).await?;
    let created_at = created_at.ok_or(Error::TooMany(ENDPOINTS_MAX))?;
    tx.commit().await?;
    Ok((new, created_at))
}

/// All endpoints, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(pool: &Pool) -> Result<Vec<endpoints::Shown>, Error> {
    Ok(endpoints::list(&pool.get().await?).await?)
}

/// Removes an endpoint.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn delete(pool: &Pool, id: Uuid) -> Result<(), Error> {
    if endpoints::delete(&pool.get().await?, id).await? {
        Ok(())
    } else {
        Err(Error::Unknown("webhook endpoint"))
    }
}

/// Enables an endpoint and has what failed, or one event, called again; says how many calls.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn redeliver(pool: &Pool, id: Uuid, event: Option<Uuid>) -> Result<u64, Error> {
    let mut connection = pool.get().await?;
    let tx = connection.transaction().await?;
    let calls = endpoints::redeliver(&tx, id, event).await?;
    let calls = calls.ok_or(Error::Unknown("webhook endpoint"))?;
    tx.commit().await?;
    Ok(calls)
}

/// From the system's generator, by way of random UUIDs: 244 of the 256 bits are random.
fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    let halves = [Uuid::new_v4(), Uuid::new_v4()];
    for (byte, random) in bytes.iter_mut().zip(halves.iter().flat_map(Uuid::as_bytes)) {
        *byte = *random;
    }
    bytes
}
