//! brewline-messaging
