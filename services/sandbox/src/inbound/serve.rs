use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{delete, get, post, put};

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

/// Serves until shutdown, then lets requests in flight end.
pub(crate) async fn serve(door: Door, world: World) -> anyhow::Result<()> {
    let shutdown = world.shutdown().cancelled_owned();
    let app = router(world).into_make_service_with_connect_info::<Cut>();
    Ok(axum::serve(door, app)
        .with_graceful_shutdown(shutdown)
        .await?)
}
