//! Webhook endpoints: registered, shown, removed, and called again.

use std::time::Duration;

use brewline_kernel::IdGenerator;
use brewline_postgres::Pool;
use brewline_proto::notification::v1 as wire;
use uuid::Uuid;

use super::requests;
use crate::error::Error;
use crate::outbound::caller::{self, Unfit};
use crate::outbound::endpoints::{self, NewEndpoint};
use crate::outbound::idempotency_store::Keyed;
use crate::outbound::{endpoint_codec, event_log};

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
/// When the URL is none that we call, there are too many, the key was used otherwise, or the database fails.
pub async fn create(
    pool: &Pool,
    ids: &dyn IdGenerator,
    wanted: Wanted,
    allow_private: bool,
    keyed: Option<Keyed>,
) -> Result<wire::CreateEndpointResponse, Error> {
    if wanted.url.len() > URL_BYTES_MAX {
        let detail = format!("at most {URL_BYTES_MAX} bytes");
        return Err(Error::Invalid("url", detail));
    }
    // A name is resolved outside the transaction. A repeat gets the first answer, whatever it means now.
    let fit = caller::fit(&wanted.url, allow_private).await;
    let mut connection = pool.get().await?;
    let tx = connection.transaction().await?;
    if let Some(answer) = requests::first_answer(&tx, keyed.as_ref()).await? {
        return Ok(wire::CreateEndpointResponse {
            replayed: true,
            ..answer
        });
    }
    fit.map_err(|unfit: Unfit| Error::Invalid("url", unfit.to_string()))?;
    let new = NewEndpoint {
        id: ids.next(),
        url: wanted.url,
        types: wanted.types,
        store: wanted.store,
        secret: caller::secret(&random()),
    };
    let position = event_log::last(&tx).await?;
    let inserted = endpoints::insert(&tx, &new, position, ENDPOINTS_MAX).await?;
    let (created_at, version) = inserted.ok_or(Error::TooMany(ENDPOINTS_MAX))?;
    let answer = endpoint_codec::created(new, created_at, version);
    requests::keep(&tx, keyed.as_ref(), &answer).await?;
    tx.commit().await?;
    Ok(answer)
}

/// Gives an endpoint a new secret. The former one signs as well for `overlap`, so that whoever checks can
/// change over without losing a call.
///
/// # Errors
/// When there is none, the key was used otherwise, or the database fails.
pub async fn rotate(
    pool: &Pool,
    id: Uuid,
    overlap: Duration,
    keyed: Option<Keyed>,
) -> Result<wire::RotateEndpointSecretResponse, Error> {
    let mut connection = pool.get().await?;
    let tx = connection.transaction().await?;
    if let Some(answer) = requests::first_answer(&tx, keyed.as_ref()).await? {
        return Ok(wire::RotateEndpointSecretResponse {
            replayed: true,
            ..answer
        });
    }
    let secret = caller::secret(&random());
    let rotated = endpoints::rotate(&tx, id, &secret, overlap).await?;
    let (shown, until) = rotated.ok_or(Error::Unknown("webhook endpoint"))?;
    let answer = endpoint_codec::rotated(shown, secret, until);
    requests::keep(&tx, keyed.as_ref(), &answer).await?;
    tx.commit().await?;
    Ok(answer)
}

/// All endpoints, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(pool: &Pool) -> Result<Vec<endpoints::Shown>, Error> {
    Ok(endpoints::list(&pool.get().await?).await?)
}

/// Removes an endpoint, and says which version that is.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn delete(pool: &Pool, id: Uuid) -> Result<i64, Error> {
    let version = endpoints::delete(&pool.get().await?, id).await?;
    version.ok_or(Error::Unknown("webhook endpoint"))
}

/// Enables an endpoint and has what failed, or one event, called again; says how many calls, and
/// which version of the endpoint that is.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn redeliver(pool: &Pool, id: Uuid, event: Option<Uuid>) -> Result<(u64, i64), Error> {
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
