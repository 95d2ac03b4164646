//! What the chart promises, seen in what helm renders of it.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a field missing from a manifest shall fail the test"
)]

mod edges;
mod pods;
mod topics;
mod values;
mod variants;

use brewline_charts::{Helm, Manifest, chart};

fn helm() -> Helm {
    Helm::find().unwrap_or_else(|error| panic!("{error:#}"))
}

/// All objects with the defaults and `sets`.
fn rendered(sets: &[&str]) -> Vec<Manifest> {
    let made = helm().template(None, sets);
    made.unwrap_or_else(|error| panic!("{error:#}"))
}

/// All objects of one of the variants.
fn variant(name: &str) -> Vec<Manifest> {
    let values = chart().join("ci").join(format!("{name}-values.yaml"));
    let made = helm().template(Some(&values), &[]);
    made.unwrap_or_else(|error| panic!("{error:#}"))
}

/// The one object of this kind and name.
fn find<'a>(all: &'a [Manifest], kind: &str, name: &str) -> &'a Manifest {
    let found = all.iter().find(|m| m.kind() == kind && m.name() == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}
