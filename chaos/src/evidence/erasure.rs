use std::collections::BTreeMap;

use brewline_kernel::Timestamp;
use brewline_postgres::{Connection, Error, Instant};
use brewline_proto::customer::v1::Customer;
use prost::Message as _;
use uuid::Uuid;

use super::facts;

/// A customer whose personal data was erased, and what was found of it all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erasure {
    /// The version that says so.
    pub version: i64,
    /// When.
    pub at: Timestamp,
    /// Where the order service still has personal data of this customer, such as `idempotent answers`.
    pub left: Vec<String>,
    /// Bodies that were blanked in the outbox.
    pub blanked: Vec<Blanked>,
}

/// What is kept of a body that was blanked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blanked {
    /// The event.
    pub event: Uuid,
    /// The SHA-256 of its body.
    pub sha256: Vec<u8>,
}

/// Every erased customer, by id.
pub type Erasures = BTreeMap<String, Erasure>;

/// All erasures of the order service, and what it still has of these customers.
pub(super) async fn read(db: &Connection) -> Result<Erasures, Error> {
    let sql = "select customer_id, version, updated_at, name <> '' or email <> ''
               from customer where erased";
    let mut erasures = Erasures::new();
    for row in db.query(sql, &[]).await? {
        let (Instant(at), left) = (row.get(2), row.get::<_, bool>(3));
        let erasure = Erasure {
            version: row.get(1),
            at,
            left: left
                .then(|| "its customers".to_owned())
                .into_iter()
                .collect(),
            blanked: Vec::new(),
        };
        erasures.insert(row.get(0), erasure);
    }
    let ids: Vec<String> = erasures.keys().cloned().collect();
    for (customer, place) in left(db, &ids).await? {
        if let Some(erasure) = erasures.get_mut(&customer) {
            erasure.left.push(place.to_owned());
        }
    }
    let kept = "select customer_id, id, sha256 from erased_payload where customer_id = any($1)";
    for row in db.query(kept, &[&ids]).await? {
        if let Some(erasure) = erasures.get_mut(row.get::<_, &str>(0)) {
            let (event, sha256) = (row.get(1), row.get(2));
            erasure.blanked.push(Blanked { event, sha256 });
        }
    }
    Ok(erasures)
}

async fn left(db: &Connection, ids: &[String]) -> Result<Vec<(String, &'static str)>, Error> {
    // A row of the outbox that is not published yet is blanked at its mark.
    let outbox = "select o.aggregate_id, o.payload from outbox o join relay_slot s using (slot)
                  where o.aggregate_type = 'customer' and o.aggregate_id = any($1)
                    and o.payload is not null and o.position <= s.watermark";
    let answers = "select customer_id, answer from idempotency_key
                   where customer_id = any($1) and answer is not null";
    let mut left = Vec::new();
    for row in db.query(outbox, &[&ids]).await? {
        if facts::is_personal(row.get(1)) {
            left.push((row.get(0), "its outbox"));
        }
    }
    for row in db.query(answers, &[&ids]).await? {
        let customer = Customer::decode(row.get::<_, &[u8]>(1));
        if customer.is_ok_and(|customer| !customer.name.is_empty() || !customer.email.is_empty()) {
            left.push((row.get(0), "its idempotent answers"));
        }
    }
    Ok(left)
}
