//! brewline-sandbox
