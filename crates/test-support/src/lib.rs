//! brewline-test-support
