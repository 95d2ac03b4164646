//! The edge over loopback.
