use std::sync::Arc;

use crate::Map;
use crate::bytes::{Malformed, Reader, Writer};

/// Customers as their events tell them: the version, and the name of those who allow it. Nothing else of
/// them is kept, and the name goes with the event that takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People(Map<Arc<str>, Person>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Person {
    version: i64,
    shown: Option<Box<str>>,
}

// === impl People ===

impl People {
    /// The name a customer allows to be shown.
    #[must_use]
    pub fn shown(&self, customer: &str) -> Option<&str> {
        self.0.get(customer)?.shown.as_deref()
    }

    /// The version of a customer.
    #[must_use]
    pub fn version(&self, customer: &str) -> Option<i64> {
        self.0.get(customer).map(|person| person.version)
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a customer as they are. Yields whether that is news, and whether a name is gone by it.
    pub(crate) fn put(
        &mut self,
        customer: Arc<str>,
        version: i64,
        shown: Option<String>,
    ) -> (bool, bool) {
        let old = self.0.get(&customer);
        if old.is_some_and(|person| person.version >= version) {
            return (false, false);
        }
        let shown: Option<Box<str>> = shown.map(Into::into);
        let gone = old.is_some_and(|person| person.shown.is_some() && person.shown != shown);
        self.0.insert(customer, Person { version, shown });
        (true, gone)
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.keys()
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        let mut people: Vec<_> = self.0.iter().collect();
        people.sort_unstable_by_key(|(customer, _)| *customer);
        out.count(people.len());
        for (customer, person) in people {
            out.known(customer);
            out.signed(person.version);
            out.text(person.shown.as_deref().unwrap_or_default());
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = from.count()?;
        let mut people = Map::default();
        people.reserve(count);
        for _ in 0..count {
            let (customer, version, shown) = (from.known()?, from.signed()?, from.text()?);
            let shown = Some(shown).filter(|name| !name.is_empty()).map(Into::into);
            people.insert(customer, Person { version, shown });
        }
        Ok(Self(people))
    }
}
