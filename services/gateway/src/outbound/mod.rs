//! Whom the edge calls: the services behind it, by gRPC.

mod upstreams;

pub(crate) use upstreams::Upstreams;
