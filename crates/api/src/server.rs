//! The service: the routes, and what happens around each of them.

use std::{any::Any, future::Future, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{
        HeaderName, HeaderValue, Method, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
            STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use hyper::ext::ReasonPhrase;
use tokio::net::TcpListener;
use tower::Layer;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    trace::TraceLayer,
};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, action, agent, az, credentials, docs,
    edge::{accept, origin},
    error::ApiError,
    events, health, install, node, nodecluster, nodetype, path, people, provider, region, tag,
    token,
};

/// After so long a request is given up; its transaction is rolled back.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Each resource once, by its canonical path.
fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(docs::front())
        .routes(routes!(
            nodecluster::list::list,
            nodecluster::create::create
        ))
        .routes(routes!(
            nodecluster::get::get,
            nodecluster::update::update,
            nodecluster::delete::delete
        ))
        .routes(routes!(nodecluster::deploy::deploy))
        .routes(routes!(nodecluster::docker_upgrade::docker_upgrade))
        .routes(routes!(nodecluster::certificate::certificate))
        .routes(routes!(node::list::list))
        .routes(routes!(
            node::get::get,
            node::update::update,
            node::delete::delete
        ))
        .routes(routes!(node::deploy::deploy))
        .routes(routes!(node::docker_upgrade::docker_upgrade))
        .routes(routes!(node::health_check::health_check))
        .routes(routes!(node::events::stream))
        .routes(routes!(node::certificate::certificate))
        .routes(routes!(token::create))
        .routes(routes!(tag::list::list))
        .routes(routes!(action::list::list))
        .routes(routes!(action::get::get))
        .routes(routes!(action::cancel::cancel))
        .routes(routes!(action::retry::retry))
        .routes(routes!(action::logs::stream))
        .routes(routes!(events::stream))
        .routes(routes!(provider::list))
        .routes(routes!(provider::get))
        .routes(routes!(provider::options::get))
        .routes(routes!(
            provider::credentials::get::get,
            provider::credentials::put::put,
            provider::credentials::delete::delete
        ))
        .routes(routes!(region::list))
        .routes(routes!(region::get))
        .routes(routes!(az::list))
        .routes(routes!(az::get))
        .routes(routes!(nodetype::list))
        .routes(routes!(nodetype::get))
        .routes(routes!(crate::service::list))
        .routes(routes!(crate::service::get))
        .routes(routes!(people::key::list, people::key::create))
        .routes(routes!(people::key::revoke))
        .routes(routes!(
            people::organization::list,
            people::organization::create
        ))
        .routes(routes!(people::member::list))
        .routes(routes!(people::member::set, people::member::remove))
        .routes(routes!(people::quota::get))
        .routes(routes!(people::quota::set))
        .routes(routes!(people::user::list, people::user::create))
        .routes(routes!(people::user::remove))
        .routes(routes!(agent::register::register))
        .routes(routes!(agent::get::get, agent::announce::announce))
        .routes(routes!(agent::ping::ping))
        .routes(routes!(agent::heartbeat::heartbeat))
        .routes(routes!(install::script::script))
        .routes(routes!(install::program::program))
        .routes(routes!(credentials::check))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
}

/// What every answer bears: it is no page for a browser, and nobody's to keep.
const SECURITY: &[(HeaderName, &str)] = &[
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
];
/// The documentation is one. The page's own styles are written into it.
const OF_DOCUMENTATION: &[(HeaderName, &str)] = &[
    (CACHE_CONTROL, "no-cache"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
    ),
];
/// A year, once it was reached by TLS.
const BY_TLS_ALONE: &str = "max-age=31536000";

/// The specification.
pub fn openapi() -> OpenApi {
    docs::complete(routes().into_openapi())
}

/// The specification as it is committed and served: pretty, with a newline at its end.
pub fn openapi_json() -> String {
    let mut json = openapi()
        .to_pretty_json()
        .expect("a specification is made of texts, numbers and lists");
    json.push('\n');
    json
}

/// The whole service.
pub fn service(app: App) -> Router {
    let (router, _) = routes().split_for_parts();
    let has_tls = app.edge.tls.is_some();
    let noting = middleware::from_fn_with_state(app.clone(), origin::note);
    let router = router
        .merge(docs::router(openapi_json()))
        .method_not_allowed_fallback(|method: Method| async { ApiError::MethodNotAllowed(method) })
        .fallback(nothing_here)
        .with_state(app);
    // A layer of a router runs after it has matched the path, so this one wraps the router.
    let router = tower::util::MapRequestLayer::new(path::rewrite).layer(router);
    Router::new()
        .fallback_service(router)
        .layer(middleware::from_fn_with_state(TIMEOUT, give_up))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(has_tls, finish))
        .layer(PropagateRequestIdLayer::x_request_id())
        // A failure is logged where it becomes an answer.
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_request(())
                .on_eos(())
                .on_failure(()),
        )
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(noting)
}

/// Serves on `listener` until `shutdown` is done, the requests under way are answered and the streams are closed.
///
/// # Errors
/// The listener's own.
pub async fn serve(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let streams = Arc::clone(&app.streams);
    // Where this future is dropped nothing may follow the log for nobody.
    let _closing = streams.guard();
    let hub = {
        let (streams, pool) = (Arc::clone(&streams), app.pool.clone());
        tokio::spawn(async move { streams.run(pool).await })
    };
    let stopping = {
        let closing = streams.guard();
        async move {
            shutdown.await;
            drop(closing);
        }
    };
    let edge = Arc::clone(&app.edge);
    let served = accept::serve(listener, edge, service(app), stopping).await;
    streams.close().await;
    if let Err(error) = hub.await {
        tracing::error!(%error, "the streams' hub ended badly");
    }
    served
}

/// Serves only `/healthz` and `/readyz`: for a replica that answers nothing else.
///
/// # Errors
/// The listener's own.
pub async fn serve_health(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (router, _) = OpenApiRouter::new()
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .split_for_parts();
    let edge = Arc::clone(&app.edge);
    accept::serve(listener, edge, router.with_state(app), shutdown).await
}

async fn nothing_here(request: Request) -> ApiError {
    ApiError::NotFound(format!(
        "there is nothing at {}; the API is under /api/infra/v1/ and /api/audit/v1/, and described at /docs/",
        request.uri().path()
    ))
}

async fn give_up(State(timeout): State<Duration>, request: Request, next: Next) -> Response {
    tokio::time::timeout(timeout, next.run(request))
        .await
        .unwrap_or_else(|_| {
            tracing::warn!("a request was given up after {timeout:?}");
            ApiError::TimedOut.into_response()
        })
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature is the layer's"
)]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without words");
    tracing::error!(panic = words, "a handler panicked");
    ApiError::Panicked.into_response()
}

/// Gives every answer the form that Docker Cloud's clients know: JSON in every error, and the reason phrase in upper
/// case, since an early Terraform provider looks for the words `404 NOT FOUND`.
async fn finish(State(has_tls): State<bool>, request: Request, next: Next) -> Response {
    let is_documentation = request.uri().path().starts_with("/docs");
    let response = next.run(request).await;
    let status = response.status();
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value == "application/json");
    let is_error = status.is_client_error() || status.is_server_error();
    let mut response = if is_error && !is_json {
        plain_error(status)
    } else {
        response
    };
    let reason = status.canonical_reason().unwrap_or_default().to_uppercase();
    if let Ok(reason) = ReasonPhrase::try_from(reason) {
        response.extensions_mut().insert(reason);
    }
    let own: &[_] = if is_documentation {
        OF_DOCUMENTATION
    } else {
        &[]
    };
    let by_tls = has_tls.then_some((STRICT_TRANSPORT_SECURITY, BY_TLS_ALONE));
    let headers = response.headers_mut();
    for (name, value) in own.iter().chain(SECURITY).cloned().chain(by_tls) {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// An error that a library answered in its own way.
fn plain_error(status: StatusCode) -> Response {
    let error = status
        .canonical_reason()
        .unwrap_or("an error")
        .to_lowercase();
    (status, axum::Json(crate::error::ErrorBody { error })).into_response()
}

fn span(request: &Request) -> tracing::Span {
    let id = request
        .headers()
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    tracing::info_span!(
        "request",
        id,
        method = %request.method(),
        path = request.uri().path(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{
        body::{Body, to_bytes},
        routing::get,
    };
    use tower::ServiceExt;

    /// A service whose database is not there.
    fn without_database() -> Router {
        let url = "postgres://nobody@127.0.0.1:1/none";
        let pool = store::connect(url, 1).unwrap();
        service(App::new(pool, crate::Config::default()))
    }

    async fn ask(method: &str, path: &str) -> (StatusCode, String, Response<()>) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        let response = without_database().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8_lossy(&body).into_owned();
        (parts.status, text, Response::from_parts(parts, ()))
    }

    #[tokio::test]
    async fn what_is_not_there_is_said_in_json() {
        for path in [
            "/",
            "/elsewhere",
            "/api/infra/v1/dev/",
            "/docs/nothing.css",
            "/%ff",
        ] {
            let (status, body, response) = ask("GET", path).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
            assert!(body.starts_with("{\"error\":\""), "{path}: {body}");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
            let reason = response.extensions().get::<ReasonPhrase>().unwrap();
            assert_eq!(reason.as_bytes(), b"NOT FOUND");
        }
    }

    #[tokio::test]
    async fn a_wrong_method_is_answered_with_the_right_ones() {
        let (status, body, response) = ask("PUT", "/nodecluster").await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(body, "{\"error\":\"PUT is not allowed on this resource\"}");
        let allow = response.headers()["allow"].to_str().unwrap();
        assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    }

    #[tokio::test]
    async fn what_hangs_and_what_panics_is_answered_in_json() {
        let short = Duration::from_millis(1);
        let router = Router::new()
            .route("/hangs", get(std::future::pending::<()>))
            .route("/panics", get(panics))
            .layer(middleware::from_fn_with_state(short, give_up))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn_with_state(false, finish));
        for (path, expected) in [
            ("/hangs", StatusCode::GATEWAY_TIMEOUT),
            ("/panics", StatusCode::INTERNAL_SERVER_ERROR),
        ] {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), expected);
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert!(body.starts_with(b"{\"error\":\""), "{path}: {body:?}");
        }
    }

    async fn panics() {
        panic!("on purpose");
    }

    #[tokio::test]
    async fn health_and_documentation_need_no_credentials_and_no_database() {
        for path in [
            "/healthz",
            "/openapi.json",
            "/docs/",
            "/docs/swagger-ui.css",
        ] {
            let (status, _, response) = ask("GET", path).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            assert!(response.headers().contains_key("x-request-id"));
        }
        let (_, specification, _) = ask("GET", "/openapi.json").await;
        assert_eq!(specification, openapi_json());
    }

    /// The operations of the specification that need no credentials: a machine that is to get the agent has none.
    const OPEN: &[&str] = &[
        "/healthz",
        "/readyz",
        "/agent/install.sh",
        "/agent/{program}",
    ];

    #[tokio::test]
    async fn every_operation_needs_credentials_and_says_what_it_may_answer() {
        let id = "00cc59e1-c605-403c-a5fb-3269b6a0d6bf";
        let api = openapi();
        for (path, item) in &api.paths.paths {
            if OPEN.contains(&path.as_str()) {
                continue;
            }
            let operations = [
                ("GET", &item.get),
                ("POST", &item.post),
                ("PATCH", &item.patch),
                ("PUT", &item.put),
                ("DELETE", &item.delete),
            ];
            for (method, operation) in operations {
                let Some(operation) = operation else { continue };
                let asked = path.replace("{uuid}", id).replace(['{', '}'], "x");
                let (status, _, response) = ask(method, &asked).await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
                assert!(response.headers().contains_key("www-authenticate"));
                assert!(operation.security.is_some(), "{method} {path}");
                for answer in ["401", "404", "500", "503", "504"] {
                    let documented = operation.responses.responses.contains_key(answer);
                    assert!(documented, "{method} {path} {answer}");
                }
            }
        }
    }
}
