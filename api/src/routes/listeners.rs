//! The routers of the two listeners: what is in front of every route, and what is answered where there is none. A route of
//! operators must never be in the public one.

use super::{openapi, table};
use crate::extract::client_address;
use crate::head_limits;
use crate::live::Hub;
use crate::metrics::{Metrics, measure};
use crate::problem::Problem;
use crate::state::{ApiParts, ApiState};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router, middleware};
use ipnet::IpNet;
use std::any::Any;
use std::sync::Arc;
use tower::Layer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::normalize_path::NormalizePathLayer;
use tower_http::set_header::SetResponseHeaderLayer;

/// The whole application.
pub struct Routers {
    /// For everybody.
    pub public: Router,
    /// For those who run the installation, and for what reads their metrics.
    pub operator: Router,
    /// What both count.
    pub metrics: Arc<Metrics>,
    /// What has to run for live events.
    pub(crate) hub: Hub,
}

/// The whole application.
pub fn routers(parts: ApiParts) -> Routers {
    let table = table();
    let document = openapi().to_pretty_json().expect("the document is plain data");
    let proxies: Arc<[IpNet]> = parts.trusted_proxies.as_slice().into();
    let (state, hub) = ApiState::new(parts, document);
    let metrics = state.metrics().clone();
    let operator = finished(table.operator.into(), state.of_operator(), proxies.clone());
    Routers { public: finished(table.public.into(), state, proxies), operator, metrics, hub }
}

/// `routes` with what stands in front of each.
fn finished(routes: Router<ApiState>, state: ApiState, proxies: Arc<[IpNet]>) -> Router {
    let metrics = state.metrics().clone();
    let never_sniffed = (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let never_stored = (header::CACHE_CONTROL, HeaderValue::from_static("no-store, private"));
    let with_default = |(name, value): (HeaderName, HeaderValue)| SetResponseHeaderLayer::if_not_present(name, value);
    // Whoever was here over TLS once does not come without it again.
    let is_secure = state.listener_origin().is_secure();
    let tls_only = is_secure.then(|| (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000")));
    let app = routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(state.clone(), in_time))
        .layer(Extension(state.clone()))
        .layer(middleware::from_fn(move |request, next| client_address::insert(proxies.clone(), request, next)))
        .layer(middleware::from_fn(head_limits::check))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(move |request, next| measure(metrics.clone(), request, next)))
        .layer(with_default(never_sniffed))
        .layer(with_default(never_stored))
        .layer(tower::util::option_layer(tls_only.map(with_default)))
        .with_state(state);
    // In front of the router, because it changes which route matches.
    Router::new().fallback_service(NormalizePathLayer::trim_trailing_slash().layer(app))
}

/// Ends a request whose answer does not begin in time; an answer that has begun may take as long as it needs.
async fn in_time(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(state.request_timeout(), next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(StatusCode::GATEWAY_TIMEOUT, "timed_out", "The request took too long.").into_response(),
    }
}

async fn no_route(request: Request) -> Problem {
    let path = request.uri().path().trim_start_matches('/');
    let shown = holdfast_domain::failure::printable(path, 200);
    Problem::new(StatusCode::NOT_FOUND, "no_such_route", format!("The route {shown} could not be found."))
}

async fn no_method(request: Request) -> Problem {
    let path = holdfast_domain::failure::printable(request.uri().path().trim_start_matches('/'), 200);
    let method = holdfast_domain::failure::printable(request.method().as_str(), 20);
    let message = format!("The {method} method is not supported for route {path}.");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_default();
    Problem::internal_text(&format!("panic: {text}")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::Origin;
    use crate::testing::App;
    use axum::body::Body;

    #[tokio::test]
    async fn an_installation_behind_tls_says_that_it_is() {
        let app = App::start().await;
        let ask = async |app: &App| {
            let answer = app.send(Request::get("/up").body(Body::empty()).expect("a request")).await;
            answer.headers.get(header::STRICT_TRANSPORT_SECURITY).cloned()
        };
        assert_eq!(ask(&app).await, None);
        let origin = Origin { public_url: Some("https://b.example".into()), allowed_hosts: Vec::new() };
        let app = app.with_parts(|parts| ApiParts { origin, ..parts });
        assert_eq!(ask(&app).await.expect("the header"), "max-age=31536000");
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_says_nothing_of_it() {
        let app: Router = Router::new()
            .route(
                "/",
                axum::routing::get(|| async {
                    if true {
                        panic!("secret detail in src/x.rs")
                    }
                }),
            )
            .layer(CatchPanicLayer::custom(panicked));
        let request = Request::get("/").body(axum::body::Body::empty()).expect("a request");
        let response = tower::ServiceExt::oneshot(app, request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(text.contains("internal") && !text.contains("secret detail"), "{text}");
    }
}
