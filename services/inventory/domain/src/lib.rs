//! brewline-inventory-domain
