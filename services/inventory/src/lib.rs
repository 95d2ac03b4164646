//! brewline-inventory
