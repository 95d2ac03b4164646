//! What the service does. In reading order: `live` (the boards, shared), `apply` (the one loop that changes
//! them), `heads` (how far behind they are), `snapshots`, `rebuild`, `await_versions`.

pub mod apply;
pub mod await_versions;
pub mod heads;
pub mod live;
pub mod rebuild;
pub mod snapshots;
mod spans;
