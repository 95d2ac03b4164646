//! brewline-server
