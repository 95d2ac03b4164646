//! brewline-telemetry
