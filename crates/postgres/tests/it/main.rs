//! Against a real PostgreSQL.
