//! brewline-order
