//! The service on a real PostgreSQL, against a card processor that misbehaves on order.

mod authorise;
mod batch;
mod card_processor;
mod crash;
mod reverse;
mod schema;
mod shop;
