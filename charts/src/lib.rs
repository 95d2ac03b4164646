//! Renders the chart `brewline` as an installation would, and checks what comes out against Kubernetes'
//! own types. For tests: nothing of it is in any image.

mod helm;
mod manifest;
mod readme;
mod schema;

pub use helm::{Helm, chart};
pub use manifest::{Container, Manifest};
pub use readme::readme;
pub use schema::faults;
