use std::collections::HashMap;

use brewline_kernel::IdempotencyKey;
use brewline_sandbox_domain::{Kind, Operation, Rejection, Request};

use super::desk::{Done, Reply};

type Waiter = Reply<Result<Done, Rejection>>;

/// Keys of requests that are slow to be done, with the repeats that wait for them.
///
/// A key serialises even while nothing is in the ledger yet: without this a repeat would overtake the
/// slow first request and be done in its place.
#[derive(Debug, Default)]
pub(super) struct HeldKeys(HashMap<(Kind, IdempotencyKey), Held>);

#[derive(Debug)]
struct Held {
    operation: Operation,
    waiters: Vec<Waiter>,
}

// === impl HeldKeys ===

impl HeldKeys {
    /// Holds the key of `request`, unless somebody does; tells whether it is held now by the caller.
    pub(super) fn hold(&mut self, request: Request) -> bool {
        let name = (request.operation.kind(), request.key);
        if self.0.contains_key(&name) {
            return false;
        }
        let held = Held {
            operation: request.operation,
            waiters: Vec::new(),
        };
        self.0.insert(name, held);
        true
    }

    /// Lets `waiter` wait for the holder of its key; gives it back when nobody holds it.
    pub(super) fn queue(&mut self, request: &Request, waiter: Waiter) -> Queued {
        let name = (request.operation.kind(), request.key.clone());
        match self.0.get_mut(&name) {
            None => Queued::Free(waiter),
            Some(held) if held.operation == request.operation => {
                held.waiters.push(waiter);
                Queued::Waits
            }
            Some(_) => Queued::Refused(waiter),
        }
    }

    /// Lets a key go; those who waited for it are to be answered like its holder.
    pub(super) fn release(&mut self, request: &Request) -> Vec<Waiter> {
        let name = (request.operation.kind(), request.key.clone());
        self.0
            .remove(&name)
            .map(|held| held.waiters)
            .unwrap_or_default()
    }
}

/// What became of a request that may have to wait.
#[derive(Debug)]
pub(super) enum Queued {
    /// Nobody holds its key.
    Free(Waiter),
    /// It waits.
    Waits,
    /// Its key is held for another body.
    Refused(Waiter),
}
