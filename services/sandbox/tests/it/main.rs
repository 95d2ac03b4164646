//! The card processor over loopback.
