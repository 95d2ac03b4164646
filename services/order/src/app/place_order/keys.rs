use std::collections::{BTreeMap, BTreeSet};

use brewline_kernel::OrderId;
use brewline_order_domain::order::{Order, Placement};
use brewline_postgres::Transaction;

use super::transaction::Fault;
use super::{Answer, Placed, ROUTE, Refusal, Waiting};
use crate::outbound::idempotency_store::{self as idempotency, Claim, Makes, OwnKey, Taken};
use crate::outbound::store;

/// What the idempotency keys of a batch say.
pub(super) struct Keys {
    /// Taken by this transaction.
    claimed: BTreeSet<OwnKey>,
    /// Taken before.
    taken: BTreeMap<OwnKey, Taken>,
    /// The orders made under them, as they were accepted.
    orders: BTreeMap<OrderId, Order>,
}

// === impl Keys ===

impl Keys {
    /// Takes the keys of the requests that can be accepted, and looks up whose the others are.
    pub(super) async fn look(
        tx: &Transaction<'_>,
        waiting: &[Waiting],
        priced: &[Result<Placement, Refusal>],
    ) -> Result<Self, Fault> {
        let acceptable = waiting
            .iter()
            .zip(priced)
            .filter(|(_, priced)| priced.is_ok());
        let claims = acceptable.map(|(waiting, _)| waiting.claim()).collect();
        let claimed = idempotency::claim(tx, ROUTE, claims).await?;
        // A refused request asks too: its key may have brought an order when the product was still sold.
        let asked: Vec<OwnKey> = waiting
            .iter()
            .map(Waiting::own_key)
            .filter(|key| !claimed.contains(key))
            .collect();
        let taken = idempotency::find(tx, ROUTE, &asked).await?;
        let made: Vec<OrderId> = taken.values().filter_map(|taken| taken.order_id).collect();
        let orders = if made.is_empty() {
            BTreeMap::new()
        } else {
            store::load_as_placed(tx, &made).await?
        };
        Ok(Self {
            claimed,
            taken,
            orders,
        })
    }

    /// The answer to one request; `accept` is called when it makes an order.
    pub(super) fn answer(
        &self,
        waiting: &Waiting,
        priced: Result<Placement, Refusal>,
        accept: impl FnOnce(Placement) -> Option<Order>,
    ) -> Answer {
        let key = waiting.own_key();
        if let Some(taken) = self.taken.get(&key) {
            return self.replay(waiting, taken);
        }
        let placement = priced?;
        if !self.claimed.contains(&key) && !ignores_keys() {
            // Neither ours nor anybody's: it went between the two statements. Ask again.
            return Err(Refusal::KeyInFlight);
        }
        let order = accept(placement).ok_or(Refusal::Internal)?;
        Ok(Placed {
            order,
            replayed: false,
        })
    }

    fn replay(&self, waiting: &Waiting, taken: &Taken) -> Answer {
        if taken.fingerprint != waiting.request.fingerprint {
            return Err(Refusal::KeyReused);
        }
        let order = taken.order_id.and_then(|made| self.orders.get(&made));
        let order = order.cloned().ok_or(Refusal::Internal)?;
        // Our own order id under the key: an earlier attempt had been committed after all.
        let replayed = order.id != waiting.order_id;
        Ok(Placed { order, replayed })
    }
}

// === impl Waiting ===

impl Waiting {
    fn claim(&self) -> Claim {
        Claim {
            key: self.own_key(),
            fingerprint: self.request.fingerprint,
            makes: Makes::Order(self.order_id),
        }
    }

    /// The key in its caller's own space.
    pub(super) fn own_key(&self) -> OwnKey {
        let mut key = self.request.key.to_string();
        if ignores_keys() {
            key = format!("{key}/{}", self.order_id);
        }
        OwnKey {
            principal: self.request.principal.clone(),
            key,
        }
    }
}

/// A planted bug: each request is taken for a new one.
fn ignores_keys() -> bool {
    brewline_failpoint::planted("idempotency-ignores-key")
}
