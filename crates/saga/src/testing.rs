//! Three proofs that every saga must pass.
