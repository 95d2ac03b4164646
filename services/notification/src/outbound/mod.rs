//! What this service calls: its database, the mail server, webhooks.

pub mod caller;
pub mod customers;
pub mod deliveries;
pub mod endpoints;
pub mod event_codec;
pub mod event_json;
pub mod event_log;
pub mod mailer;
