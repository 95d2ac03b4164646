//! brewline-order-domain
