//! Through a real broker: orders' events in, stock's events out.
