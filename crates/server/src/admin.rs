use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, put};
use brewline_telemetry as telemetry;
use serde_json::json;
use tokio::net::TcpListener;

use crate::Context;

#[derive(Clone)]
struct Admin {
    context: Context,
    log: Arc<telemetry::Guard>,
}

/// Serves health, metrics and run-time switches until shutdown is complete.
pub(crate) async fn serve(
    context: &Context,
    listen: SocketAddr,
    log: Arc<telemetry::Guard>,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    tracing::info!(listen = %listener.local_addr()?, "admin port is open");
    let app = router(Admin {
        context: context.clone(),
        log,
    });
    let context = context.clone();
    // It must answer while the process drains: so it only ends with everything else.
    context.clone().spawn("admin", async move {
        tokio::select! {
            served = axum::serve(listener, app) => Ok(served?),
            () = context.shutdown_requested() => Ok(()),
        }
    });
    Ok(())
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/log-level", put(set_log))
        .route("/log", put(set_log))
        .merge(failpoints())
        .with_state(admin)
}

async fn live(State(admin): State<Admin>) -> Response {
    let stalled = admin.context.health().stalled();
    let status = if stalled.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(json!({ "live": stalled.is_empty(), "stalled": stalled })),
    )
        .into_response()
}

async fn ready(State(admin): State<Admin>) -> Response {
    let closed = admin.context.health().not_ready();
    let status = if closed.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({
        "ready": closed.is_empty(),
        "closed": closed,
        "service": admin.context.service,
        "instance": &*admin.context.instance,
        "version": env!("CARGO_PKG_VERSION"),
    });
    (status, Json(body)).into_response()
}

async fn metrics() -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], telemetry::metrics::encode()).into_response()
}

async fn set_log(State(admin): State<Admin>, filter: String) -> Response {
    match admin.log.set_filter(filter.trim()) {
        Ok(()) => {
            tracing::info!(filter = filter.trim(), "the log's filter was changed");
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

#[cfg(feature = "fault-injection")]
fn failpoints() -> Router<Admin> {
    let arm = async |plan: String| match brewline_failpoint::arm(plan.trim()) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let plant = async |bug: String| {
        brewline_failpoint::plant(bug.trim());
        StatusCode::NO_CONTENT
    };
    Router::new()
        .route("/failpoints", put(arm))
        .route("/planted-bug", put(plant))
}

#[cfg(not(feature = "fault-injection"))]
fn failpoints() -> Router<Admin> {
    Router::new()
}
