//! brewline-payment
