//! brewline-payment-domain
