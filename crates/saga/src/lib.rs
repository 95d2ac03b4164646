//! brewline-saga
