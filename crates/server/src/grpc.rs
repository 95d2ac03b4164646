//! Serving gRPC: health, reflection, limits, measurement and drain, the same in every service.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

use crate::Context;
use crate::calls::ServedLayer;

/// How long one connection lives at most: clients re-resolve and so find new replicas.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(300);

/// How often an idle connection is asked whether its peer still lives, and how long it may take.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(5));

/// How many calls one connection may have open: more wait at the caller.
const STREAMS_PER_CONNECTION_MAX: u32 = 2_000;

/// How often the readiness gates are copied to the gRPC health service.
const HEALTH_INTERVAL: Duration = Duration::from_millis(500);

/// Serves `routes`, and health and reflection beside them, until shutdown.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(context: &Context, listen: SocketAddr, routes: Routes) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listen on {listen}"))?;
    tracing::info!(listen = %listener.local_addr()?, "gRPC port is open");
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(brewline_proto::DESCRIPTORS)
        .build_v1()
        .context("build reflection")?;
    let (reporter, health) = tonic_health::server::health_reporter();
    report_health(context, reporter);
    let server = Server::builder()
        .max_connection_age(CONNECTION_AGE_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .layer(ServedLayer)
        .add_routes(routes)
        .add_service(health)
        .add_service(reflection);
    let shutdown = context.shutdown();
    context.spawn("grpc", async move {
        // Set on each connection here: the server's own setting is for listeners of its own making. With
        // Nagle's algorithm an answer of more than one segment would wait 40 ms for an acknowledgement.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let stopped = shutdown.cancelled_owned();
        server
            .serve_with_incoming_shutdown(incoming, stopped)
            .await
            .context("serve gRPC")
    });
    Ok(())
}

fn report_health(context: &Context, reporter: tonic_health::server::HealthReporter) {
    let context = context.clone();
    context.clone().spawn("grpc-health", async move {
        let shutdown = context.shutdown();
        loop {
            let ready = context.health().not_ready().is_empty();
            let status = if ready {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            };
            reporter.set_service_status("", status).await;
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(HEALTH_INTERVAL) => {}
            }
        }
    });
}
