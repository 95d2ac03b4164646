//! brewline-kafka
