//! brewline-failpoint
