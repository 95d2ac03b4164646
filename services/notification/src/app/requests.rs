//! Requests under idempotency keys: the first one is answered, a repeat gets that answer.

use std::time::Duration;

use brewline_postgres::Transaction;
use prost::Message;

use crate::error::Error;
use crate::outbound::idempotency_store::{self, Claimed, Keyed};

/// How long a request whose key is in flight elsewhere waits for the other one's answer.
const IN_FLIGHT_WAIT: Duration = Duration::from_secs(1);

/// Takes the request's key, if it has one; yields the first answer when it was given before.
pub(super) async fn first_answer<A: Message + Default>(
    tx: &Transaction<'_>,
    keyed: Option<&Keyed>,
) -> Result<Option<A>, Error> {
    let Some(keyed) = keyed else { return Ok(None) };
    match idempotency_store::claim(tx, keyed, IN_FLIGHT_WAIT).await? {
        Claimed::Ours => Ok(None),
        Claimed::Answered(answer) => Ok(Some(A::decode(answer.as_slice())?)),
        Claimed::Reused => Err(Error::KeyReused),
        Claimed::InFlight => Err(Error::KeyInFlight),
    }
}

/// Keeps the answer under the request's key, if it has one.
pub(super) async fn keep(
    tx: &Transaction<'_>,
    keyed: Option<&Keyed>,
    answer: &impl Message,
) -> Result<(), Error> {
    if let Some(keyed) = keyed {
        idempotency_store::answered(tx, keyed, &answer.encode_to_vec()).await?;
    }
    Ok(())
}
