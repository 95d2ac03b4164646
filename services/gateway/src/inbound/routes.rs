//! The table of everything that is served. `openapi.json` describes the same table; a test compares.

use axum::Router;
use axum::extract::MatchedPath;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use tower_http::catch_panic::CatchPanicLayer;

use super::edge::{self, Edge};
use super::problem::Problem;
use super::{
    boards, catalogue, customers, notifications, order_events, orders, pull_events,
    recommendations, stock, tickets, wall, wall_socket, webhooks,
};
use crate::{ASYNCAPI, OPENAPI};

/// What requests that match no route are counted under.
const NO_ROUTE: &str = "none";

/// The methods there are routes for.
const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

/// One entry of the table.
struct Route {
    method: &'static str,
    path: &'static str,
    handler: fn() -> MethodRouter<Edge>,
}

const fn route(
    method: &'static str,
    path: &'static str,
    handler: fn() -> MethodRouter<Edge>,
) -> Route {
    Route {
        method,
        path,
        handler,
    }
}

const ROUTES: &[Route] = &[
    route("POST", "/v1/orders", || post(orders::place)),
    route("GET", "/v1/orders", || get(orders::list)),
    route("GET", "/v1/orders/{orderId}", || get(orders::get)),
    route("POST", "/v1/orders/{orderId}/cancel", || {
        post(orders::cancel)
    }),
    route("POST", "/v1/orders/{orderId}/collect", || {
        post(orders::collect)
    }),
    route("GET", "/v1/orders/{orderId}/events", || {
        get(order_events::watch)
    }),
    route("GET", "/v1/stores", || get(catalogue::stores)),
    route("PUT", "/v1/stores/{storeId}", || put(catalogue::put_store)),
    route("DELETE", "/v1/stores/{storeId}", || {
        delete(catalogue::retire_store)
    }),
    route("GET", "/v1/stores/{storeId}/stock", || get(stock::list)),
    route("POST", "/v1/stores/{storeId}/stock", || post(stock::adjust)),
    route("GET", "/v1/stores/{storeId}/wall", || get(wall::get)),
    route("GET", "/v1/stores/{storeId}/wall/socket", || {
        get(wall_socket::open)
    }),
    route("POST", "/v1/tickets/{ticketId}/start", || {
        post(tickets::start)
    }),
    route("POST", "/v1/tickets/{ticketId}/done", || {
        post(tickets::done)
    }),
    route("GET", "/v1/catalogue", || get(catalogue::products)),
    route("PUT", "/v1/catalogue/{productId}", || {
        put(catalogue::put_product)
    }),
    route("DELETE", "/v1/catalogue/{productId}", || {
        delete(catalogue::retire_product)
    }),
    route("POST", "/v1/customers", || post(customers::create)),
    route("GET", "/v1/customers/{customerId}", || get(customers::get)),
    route("PATCH", "/v1/customers/{customerId}", || {
        patch(customers::change)
    }),
    route("DELETE", "/v1/customers/{customerId}", || {
        delete(customers::erase)
    }),
    route("GET", "/v1/customers/{customerId}/notifications", || {
        get(notifications::list)
    }),
    route("PUT", "/v1/customers/{customerId}/preferences", || {
        put(notifications::put_preferences)
    }),
    route("POST", "/v1/webhooks", || post(webhooks::create)),
    route("GET", "/v1/webhooks", || get(webhooks::list)),
    route("DELETE", "/v1/webhooks/{webhookId}", || {
        delete(webhooks::delete)
    }),
    route("POST", "/v1/webhooks/{webhookId}/rotate", || {
        post(webhooks::rotate)
    }),
    route("POST", "/v1/webhooks/{webhookId}/redeliver", || {
        post(webhooks::redeliver)
    }),
    route("GET", "/v1/events", || get(pull_events::pull)),
    route("GET", "/v1/boards", || get(boards::list)),
    route("GET", "/v1/boards/{board}", || get(boards::get)),
    route("GET", "/v1/boards/{board}/members/{memberId}", || {
        get(boards::member)
    }),
    route("GET", "/v1/customers/{customerId}/recommendations", || {
        get(recommendations::get)
    }),
    route("GET", "/openapi.json", || get(openapi)),
    route("GET", "/asyncapi.yaml", || get(asyncapi)),
];

/// Every method and path that is served.
#[must_use]
pub fn served() -> Vec<(&'static str, &'static str)> {
    ROUTES
        .iter()
        .map(|route| (route.method, route.path))
        .collect()
}

/// Those that read what stands behind the `?`. They refuse what they do not know; all others refuse everything.
const WITH_QUERY: &[(&str, &str)] = &[
    ("GET", "/v1/orders"),
    ("GET", "/v1/orders/{orderId}"),
    ("GET", "/v1/events"),
    ("GET", "/v1/boards/{board}"),
    ("GET", "/v1/boards/{board}/members/{memberId}"),
];

/// Whether this route, as it was matched, reads what stands behind the `?`.
pub(super) fn has_query(method: &Method, matched: &MatchedPath) -> bool {
    // HEAD is answered as GET is.
    let method = if *method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    WITH_QUERY.contains(&(method, matched.as_str()))
}

/// The table as a service.
pub(crate) fn router(edge: Edge) -> Router {
    let table = ROUTES.iter().fold(Router::new(), |router, route| {
        router.route(route.path, (route.handler)())
    });
    table
        .fallback(async || {
            let detail = "nothing is served under this path; see /openapi.json";
            Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
        })
        .method_not_allowed_fallback(async || {
            let detail = "this path is not served with this method; see the header Allow";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
        })
        .layer(CatchPanicLayer::custom(edge::panicked))
        .layer(axum::middleware::from_fn_with_state(
            edge.clone(),
            edge::pass,
        ))
        .with_state(edge)
}

/// The name of a route for metrics. Never the path itself: ids and strangers' texts stay out.
pub(super) fn name(matched: Option<&MatchedPath>) -> &'static str {
    let matched = matched.map_or("", MatchedPath::as_str);
    let known = ROUTES.iter().find(|route| route.path == matched);
    known.map_or(NO_ROUTE, |route| route.path)
}

/// The name of a method for metrics.
pub(super) fn method_name(method: &Method) -> &'static str {
    let known = METHODS.iter().find(|name| **name == method.as_str());
    known.copied().unwrap_or("other")
}

/// `GET /openapi.json`
async fn openapi() -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], OPENAPI).into_response()
}

/// `GET /asyncapi.yaml`
async fn asyncapi() -> Response {
    let kind = HeaderValue::from_static("application/yaml");
    ([(header::CONTENT_TYPE, kind)], ASYNCAPI).into_response()
}
