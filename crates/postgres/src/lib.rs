//! brewline-postgres
