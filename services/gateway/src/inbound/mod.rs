//! REST as `openapi.json` describes it. In reading order: `routes` (the table), `edge` (what every
//! request goes through), one module a resource, `views` (what goes out), and the parts they share.

mod boards;
mod body;
mod call;
mod catalogue;
mod consistency;
mod customers;
mod edge;
mod etag;
mod fields;
mod headers;
mod notifications;
mod objects;
mod order_events;
mod order_view;
mod orders;
mod path;
mod prefer;
mod principal;
mod problem;
mod pull_events;
mod query;
mod recommendations;
mod respond;
mod routes;
mod sse;
mod status;
mod stock;
mod tickets;
mod views;
mod wall;
mod wall_socket;
mod wall_view;
mod webhooks;

pub(crate) use edge::Edge;
pub(crate) use routes::router;
pub use routes::served;
