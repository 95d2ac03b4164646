//! brewline-sandbox-domain
