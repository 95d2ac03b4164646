//! brewline-config
