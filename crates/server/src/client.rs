//! Calling gRPC: one channel per service, balanced over its replicas; each call is measured, and a span
//! of its request's trace.

use std::time::Duration;

use tonic::transport::{self, Endpoint};

pub use crate::calls::Channel;
use crate::resolver::{self, Source};
use crate::{Context, resolver::InvalidUrl};

/// How long a connection may take. Loopback and one data centre need far less.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How often an idle connection is asked whether its peer still lives, and how long it may take: a
/// peer that vanished without a word is noticed after their sum.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3));

/// How many changes of replicas may wait to be taken in.
const CHANGES_MAX: usize = 64;

/// A channel to the service at `url`, balanced over its replicas, which are looked up again and again.
///
/// `http://host:port` is looked up in DNS (a headless Kubernetes service lists its ready pods there);
/// `file:///path/endpoints.json#order` is read from that file, as `brewline up` writes it.
/// No deadline is set: give each request its own.
///
/// # Errors
/// When the URL is neither.
pub fn channel(url: &str, context: &Context) -> Result<Channel, InvalidUrl> {
    let source: Source = url.parse()?;
    let (channel, changes) = transport::Channel::balance_channel(CHANGES_MAX);
    context.spawn(
        "resolver",
        resolver::follow(source, changes, context.shutdown()),
    );
    Ok(channel.into())
}

pub(crate) fn endpoint(address: &str) -> Option<Endpoint> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
    Some(
        endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE.0)
            .keep_alive_timeout(KEEPALIVE.1)
            .keep_alive_while_idle(true),
    )
}
