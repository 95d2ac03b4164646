//! What this service calls: its database, the mail server, webhooks.

pub mod caller;
pub mod customers;
pub mod deliveries;
pub mod endpoint_codec;
pub mod endpoints;
pub mod event_codec;
pub mod event_json;
pub mod event_log;
pub mod https;
pub mod idempotency_store;
pub mod mailer;
