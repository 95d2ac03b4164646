//! We call the world: all SQL of this service, the bytes of its events, payment.

pub mod audit;
pub mod catalogue_store;
pub mod customer_store;
pub mod erasure_store;
pub mod event_codec;
pub mod idempotency_store;
pub mod order_view;
pub mod payments_client;
pub mod saga_store;
pub mod store;
