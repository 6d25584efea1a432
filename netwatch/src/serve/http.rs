//! The routes.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::map_response,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use futures::future::BoxFuture;
use tokio::{sync::watch, time::timeout};

use super::{
    Form, Limits, ServeError, gzip, page,
    pieces::Pieces,
    slots::{Slot, Slots},
};

/// Makes the text of the metrics, or says in one line why it cannot.
pub type Provider = Arc<dyn Fn(Form) -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// Whether the agent does what it is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// Not yet, or not everywhere: the reason, in one line.
    NotReady(String),
}

/// What is served.
#[derive(Clone)]
pub struct Site {
    /// `--web.telemetry-path`. At `/` there is no landing page.
    pub telemetry_path: String,
    /// Version for the landing page.
    pub version: String,
    /// The metrics.
    pub metrics: Provider,
    /// The agent's readiness.
    pub readiness: watch::Receiver<Readiness>,
}

struct Shared {
    site: Site,
    provider_timeout: Duration,
    /// For requests for metrics, from their coming until the answer has been sent.
    places: Arc<Slots>,
    most: usize,
}

const HEALTHY: &str = "/-/healthy";
const READY: &str = "/-/ready";
const GZIP: (header::HeaderName, &str) = (header::CONTENT_ENCODING, "gzip");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The routes of a site.
pub fn router(site: Site, limits: Limits) -> Result<Router, ServeError> {
    let path = site.telemetry_path.clone();
    if let Some(cause) = unfit(&path) {
        return Err(ServeError::TelemetryPath { path, cause });
    }
    let mut router = Router::new()
        .route(&path, get(metrics))
        .route(HEALTHY, get(healthy))
        .route(READY, get(ready));
    if path != "/" {
        router = router.route("/", get(landing));
    }
    let most = limits.requests;
    let places = Slots::new(if most == 0 { usize::MAX } else { most });
    let shared = Shared { site, provider_timeout: limits.provider_timeout, places, most };
    Ok(router
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(map_response(harden))
        .with_state(Arc::new(shared)))
}

/// Why a path cannot be that of the metrics. axum panics on those that it would take for patterns or that are taken.
fn unfit(path: &str) -> Option<&'static str> {
    let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~');
    if !path.starts_with('/') {
        Some("it does not begin with /")
    } else if !path.chars().all(usual) {
        Some("it has characters other than letters, digits and / - _ . ~")
    } else if path == HEALTHY || path == READY {
        Some("netwatch has another page there")
    } else {
        None
    }
}

async fn metrics(
    State(shared): State<Arc<Shared>>,
    Extension(visitor): Extension<Arc<Slot>>,
    headers: HeaderMap,
) -> Response {
    let Some(place) = shared.places.enter_for(&visitor) else {
        return unavailable(&format!(
            "{} requests for metrics are being answered; more are not (--web.max-requests)",
            shared.most
        ));
    };
    let form = Form::wanted(&headers);
    let text = (shared.site.metrics)(form);
    let in_gzip = gzip::is_accepted(&headers);
    // In a task of its own: a provider that panics costs its answer, not the connection.
    let task = tokio::spawn(async move {
        let text = text.await?;
        let body = match in_gzip.then(|| gzip::compress(&text)) {
            Some(Ok(body)) => (Some(GZIP), body),
            _ => (None, text.into_bytes()),
        };
        Ok::<_, String>(body)
    });
    let _abort = AbortOnDrop(task.abort_handle());
    let reason = match timeout(shared.provider_timeout, task).await {
        Ok(Ok(Ok((coding, body)))) => {
            let fixed = [
                (header::CONTENT_TYPE, form.content_type()),
                (header::VARY, "Accept, Accept-Encoding"),
            ];
            let body = Body::new(Pieces::new(body, place));
            return (fixed, coding.map(|coding| [coding]), body).into_response();
        }
        Ok(Ok(Err(reason))) => reason,
        Ok(Err(_)) => "the metrics could not be made: a defect of netwatch, see its log".to_owned(),
        Err(_) => format!("the agent did not answer within {:?}", shared.provider_timeout),
    };
    unavailable(&reason)
}

/// Ends the provider when the client has gone or time is up.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn healthy() -> &'static str {
    "netwatch is healthy\n"
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match now(&shared) {
        Readiness::Ready => "netwatch is ready\n".into_response(),
        Readiness::NotReady(reason) => unavailable(&reason),
    }
}

async fn landing(State(shared): State<Arc<Shared>>) -> Response {
    Html(page::landing(&shared.site.version, &shared.site.telemetry_path, &now(&shared)))
        .into_response()
}

/// The last word of the agent; if it has gone, that.
fn now(shared: &Shared) -> Readiness {
    if shared.site.readiness.has_changed().is_err() {
        return Readiness::NotReady("the agent has stopped".to_owned());
    }
    shared.site.readiness.borrow().clone()
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "no such page; / lists what there is\n").into_response()
}

async fn not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here\n").into_response()
}

/// 503 with the reason in one line.
fn unavailable(reason: &str) -> Response {
    let line = reason
        .split(char::is_control)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    (StatusCode::SERVICE_UNAVAILABLE, format!("{line}\n")).into_response()
}

/// Headers for all answers: figures are never cached, and no answer is ever a script.
pub(super) async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(path: &str) -> Site {
        let (_, readiness) = watch::channel(Readiness::Ready);
        let metrics: Provider = Arc::new(|_| Box::pin(async { Ok(String::new()) }));
        Site { telemetry_path: path.to_owned(), version: String::new(), metrics, readiness }
    }

    #[test]
    fn paths_that_axum_would_panic_on_are_refused() {
        for path in ["", "metrics", "/{a}", "/*", "/a b", "/a?b", "/ü", HEALTHY, READY] {
            let message = router(site(path), Limits::default()).unwrap_err().to_string();
            assert!(message.contains("--web.telemetry-path"), "{message}");
        }
        for path in ["/", "/metrics", "/a/b-c_d.e~f", "/metrics/", "//", "/-/", "/-/ready/"] {
            assert!(router(site(path), Limits::default()).is_ok(), "{path}");
        }
    }
}
