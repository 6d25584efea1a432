//! The door: whoever asks for a page passes here first. A rate, a user and a password if the settings want them, and no
//! request brings a body.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, HeaderValue, Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::body::{Frame, SizeHint};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::{
    Counts, Live,
    http::harden,
    passwords::{Credentials, Passwords, Verdict},
    rate::Buckets,
    settings::Settings,
    slots::Busy,
    source::Source,
};

/// For who does not say who they are.
const WHO: &str = "netwatch wants a user and a password\n";
/// For who speaks HTTP where TLS is spoken.
pub(super) const TLS: &str = "netwatch speaks TLS here: ask with https://\n";

/// What all connections have in common.
#[derive(Clone)]
pub struct Door {
    pub(super) live: Live,
    pub(super) counts: Arc<Counts>,
    passwords: Arc<Passwords>,
    buckets: Arc<Mutex<Buckets>>,
}

impl Door {
    /// With the settings in force.
    pub fn new(live: Live, counts: Arc<Counts>) -> Self {
        Self { live, counts, passwords: Passwords::new(), buckets: Arc::default() }
    }

    /// The answer, or why there is none.
    pub(super) async fn answer(
        &self,
        request: Request<Body>,
        source: Source,
        settings: &Settings,
        router: Router,
        busy: Busy,
    ) -> Response {
        let (head, body) = request.into_parts();
        let mut response =
            match self.admit(&head.headers, !body.is_end_stream(), source, settings).await {
                Ok(()) => {
                    let request = Request::from_parts(head, Body::empty());
                    TowerToHyperService::new(router).call(request).await.into_response()
                }
                Err(refusal) => harden(refusal).await,
            };
        for (name, value) in &settings.headers {
            response.headers_mut().insert(name, value.clone());
        }
        self.counts.answered(response.status().as_u16());
        response.map(|body| Body::new(Held { body, _busy: busy }))
    }

    async fn admit(
        &self,
        headers: &HeaderMap,
        has_body: bool,
        source: Source,
        settings: &Settings,
    ) -> Result<(), Response> {
        if has_body {
            let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
            let what = "a request has no body here\n";
            return Err((StatusCode::PAYLOAD_TOO_LARGE, close, what).into_response());
        }
        if let Some(rate) = settings.rate {
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            buckets
                .take(source, rate, Instant::now())
                .map_err(|wait| later("more requests than rate_limit allows", wait))?;
        }
        if settings.users.is_empty() {
            return Ok(());
        }
        let Some(given) = credentials(headers) else { return Err(unknown()) };
        match self.passwords.check(&settings.users, source, given).await {
            Verdict::Right => Ok(()),
            Verdict::Wrong => Err(unknown()),
            Verdict::Later(wait) => Err(later("too many wrong passwords", wait)),
        }
    }
}

/// Whether an answer says that an agent is there, and that one has to ask in another way.
pub fn is_locked(status: u16, body: &str) -> bool {
    matches!((status, body), (401, WHO) | (400, TLS))
}

fn unknown() -> Response {
    let how = HeaderValue::from_static("Basic realm=\"netwatch\", charset=\"UTF-8\"");
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, how)], WHO).into_response()
}

fn later(what: &str, wait: Duration) -> Response {
    let after = HeaderValue::from(wait.as_secs() + 1);
    let what = format!("{what}; come again later\n");
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, after)], what).into_response()
}

/// RFC 7617.
fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let user = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some(Credentials { user, password: decoded[colon + 1..].to_vec() })
}

/// A body during which the connection is busy.
struct Held {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_as_they_may_be_written() {
        let given = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            credentials(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
        };
        let me =
            |password: &str| Some(Credentials { user: "me".into(), password: password.into() });
        assert_eq!(given("Basic bWU6cGFzcw=="), me("pass"));
        assert_eq!(given("basic  bWU6cDphOnNz"), me("p:a:ss"));
        assert_eq!(given("BASIC bWU6"), me(""));
        for text in [
            "",
            "Basic",
            "Basic ",
            "Basic bWU",
            "Basic bWU=",
            "Basic ?",
            "Bearer bWU6cGFzcw==",
            "Basic /zpw",
        ] {
            assert_eq!(given(text), None, "{text:?}");
        }
    }
}
