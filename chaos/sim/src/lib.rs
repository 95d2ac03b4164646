//! brewline-sim
