//! brewline-cli
