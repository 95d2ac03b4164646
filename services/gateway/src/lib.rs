//! brewline-gateway
