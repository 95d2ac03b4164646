//! What `bench` is made of: a shop of its own, open-loop customers, and figures read from outside.

pub mod lag;
pub mod machine;
pub mod outcomes;
pub mod reference;
pub mod shop;
