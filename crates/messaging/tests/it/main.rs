//! Relay and consumer on a real PostgreSQL and a real Kafka.

mod consumer;
mod dead_letters;
mod relay;
mod schema;
mod world;
