use sha2::{Digest as _, Sha256};

use brewline_payment_domain::Subject;

/// Cards that everybody uses who tries the shop: rules about cards leave them out.
const SHARED_CARDS: [&str; 3] = ["tok_ok", "tok_declined", "tok_insufficient"];

/// Whose the risk of an authorisation is. Nobody's, unless told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payer {
    card: Option<SubjectKey>,
    customer: Option<SubjectKey>,
}

/// A digest that tells cards, and customers, apart. Unlike the one on a payment it has no order in it:
/// it has to be the same for all orders of a card. It is kept for as long as a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectKey([u8; 16]);

// === impl Payer ===

impl Payer {
    /// Who pays with this card. No customer is nobody; a shared card is nobody's.
    #[must_use]
    pub fn of(token: &str, customer_id: &str) -> Self {
        let owned = !SHARED_CARDS.contains(&token);
        Self {
            card: owned.then(|| SubjectKey::of("card", token)),
            customer: (!customer_id.is_empty()).then(|| SubjectKey::of("customer", customer_id)),
        }
    }

    /// The card and the customer, as far as they are somebody.
    pub fn subjects(&self) -> impl Iterator<Item = (Subject, SubjectKey)> {
        let card = self.card.map(|key| (Subject::Card, key));
        let customer = self.customer.map(|key| (Subject::Customer, key));
        card.into_iter().chain(customer)
    }

    /// Whether it is anybody.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.card.is_some() || self.customer.is_some()
    }
}

// === impl SubjectKey ===

impl SubjectKey {
    /// As it is kept.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// As it is kept.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn of(kind: &str, name: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(kind.as_bytes())
            .chain_update(b"/")
            .chain_update(name.as_bytes())
            .finalize();
        let mut key = [0; 16];
        key.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(key)
    }
}
