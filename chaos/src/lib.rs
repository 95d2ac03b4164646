//! brewline-chaos
