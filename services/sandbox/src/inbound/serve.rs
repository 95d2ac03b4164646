use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{delete, get, post, put};

use brewline_telemetry::trace::names::attribute;
use brewline_telemetry::trace::{Span, names};

use super::body::BODY_BYTES_MAX;
use super::door::{Cut, Door};
use super::problem::Problem;
use super::{behaviour, find, hook, kept, money};
use crate::app::World;

/// Everything this service serves. It must be served through a [`Door`], which gives each request the
/// means to cut its connection.
pub fn router(world: World) -> Router {
    Router::new()
        .route(
            "/v1/authorisations",
            post(money::authorise).get(find::authorisations),
        )
        .route("/v1/authorisations/{id}", get(find::authorisation))
        .route("/v1/authorisations/{id}/captures", post(money::capture))
        .route("/v1/authorisations/{id}/voids", post(money::void))
        .route("/v1/authorisations/{id}/refunds", post(money::refund))
        .route_layer(axum::middleware::from_fn(traced))
        .route("/ledger", get(find::ledger))
        .route("/mailbox", get(kept::mailbox).delete(kept::empty_mailbox))
        .route("/hook/{name}", post(hook::receive).get(hook::calls))
        .route("/behaviour", delete(behaviour::behave))
        .route("/behaviour/keys", put(behaviour::keys))
        .route("/behaviour/{kind}", put(behaviour::tell))
        .fallback(async || Problem::not_found("nothing is served here"))
        .method_not_allowed_fallback(async || {
            let detail = "this method is not served here";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(world)
}

/// Records the card processor's side of a request whose trace is recorded.
async fn traced(request: Request, next: Next) -> Response {
    let parent = request.headers().get("traceparent");
    let parent = parent.and_then(|value| value.to_str().ok()?.parse().ok());
    let mut span = Span::of_sampled(&names::CARD_PROCESSOR_SERVER, parent);
    // The path's last word is the operation's, but for the first of them.
    let call = match request.uri().path().rsplit('/').next() {
        Some("captures") => "capture",
        Some("voids") => "void",
        Some("refunds") => "refund",
        Some("authorisations") if request.method() == Method::POST => "authorise",
        Some(_) | None => "find",
    };
    let response = next.run(request).await;
    span.named(|| call.to_owned());
    span.set(attribute::CALL, || call);
    span.set(attribute::HTTP_RESPONSE_STATUS_CODE, || {
        i64::from(response.status().as_u16())
    });
    response
}

/// Serves until shutdown, then lets requests in flight end.
pub(crate) async fn serve(door: Door, world: World) -> anyhow::Result<()> {
    let shutdown = world.shutdown().cancelled_owned();
    let app = router(world).into_make_service_with_connect_info::<Cut>();
    Ok(axum::serve(door, app)
        .with_graceful_shutdown(shutdown)
        .await?)
}
