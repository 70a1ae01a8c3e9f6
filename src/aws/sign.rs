//! Signed requests: the SDK serialises and signs an Invoke, and the finished request is taken instead of being sent.
//!
//! SigV4 signs a request, not a connection, and Lambda accepts a signed request for five minutes. So one signature
//! serves all pings of a round.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_lambda::types::{InvocationType, LogType};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::Blob;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use tokio::time::Instant;

use super::clients::Clients;
use super::connector::{Origin, http1_request};
use super::error::chain;
use crate::engine::ports::PingRound;

/// A request that was signed longer ago is signed anew before it is sent. Lambda accepts it for five minutes; the rest
/// is left to clocks that differ.
const SIGNATURE_LIFE: Duration = Duration::from_secs(60);

/// Names one attempt of the SDK's; not signed, and different for each request, so that HTTP/2 could not compress it.
const INVOCATION_ID: &str = "amz-sdk-invocation-id";
const TRACE_ID: &str = "x-amzn-trace-id";
const SECURITY_TOKEN: &str = "x-amz-security-token";

/// A signed Invoke, ready to be sent any number of times.
#[derive(Debug, Clone)]
pub(super) struct Signed {
    /// Where it goes.
    pub origin: Origin,
    /// As HTTP/1.1 wants it, without its body.
    pub http1: http::Request<()>,
    /// As HTTP/2 wants it, without its body.
    pub http2: http::Request<()>,
    /// The body.
    pub body: Bytes,
    at: Instant,
}

impl Signed {
    /// Returns true when the request is too old to be sent.
    pub(super) fn is_stale(&self) -> bool {
        self.at.elapsed() > SIGNATURE_LIFE
    }
}

/// Signs a request of `round` with this payload.
///
/// # Errors
/// The reason why there is no signature, for people: no credentials, no endpoint.
pub(super) async fn sign(clients: &Clients, round: &PingRound, payload: &[u8]) -> Result<Signed, String> {
    let captured = Capture::default();
    let at = Instant::now();
    let invoke = clients
        .lambda(round.function.region, round.role.as_ref())
        .invoke()
        .function_name(round.function.unqualified())
        .set_qualifier(round.function.qualifier.as_ref().map(|qualifier| qualifier.as_str().to_owned()))
        .set_client_context(round.client_context.clone())
        .payload(Blob::new(payload))
        .invocation_type(InvocationType::RequestResponse)
        .log_type(LogType::Tail);
    let capturing = aws_sdk_lambda::config::Builder::new().http_client(captured.clone());
    // What the SDK makes of the stand-in's answer does not matter when it got as far as that.
    let outcome = invoke.customize().config_override(capturing).send().await;
    match (captured.take(), outcome) {
        (Some(request), _) => finish(request, Bytes::copy_from_slice(payload), round.trace_id.as_deref(), at),
        (None, Err(error)) => Err(chain(&error)),
        (None, Ok(_)) => Err("the SDK sent no request".to_owned()),
    }
}

fn finish(
    mut request: HttpRequest,
    body: Bytes,
    trace_id: Option<&str>,
    at: Instant,
) -> Result<Signed, String> {
    let headers = request.headers_mut();
    headers.remove(INVOCATION_ID);
    if let Some(trace_id) = trace_id {
        headers.try_insert(TRACE_ID, trace_id.to_owned()).map_err(|error| error.to_string())?;
    }
    let uri = request.uri().to_owned();
    let (origin, http1) = http1_request(request).map_err(|failure| failure.to_string())?;
    let http1 = http1.map(|_| ());
    let mut http2 = http1.clone();
    *http2.uri_mut() = uri.parse().map_err(|_| format!("{uri:?} is not a URI"))?;
    *http2.version_mut() = http::Version::HTTP_2;
    http2.headers_mut().remove(HOST);
    // Sensitive values are never compressed by HTTP/2, and a token of 1.2 KB would go out a hundred times.
    if let Some(token) = http2.headers_mut().get_mut(SECURITY_TOKEN) {
        HeaderValue::set_sensitive(token, false);
    }
    Ok(Signed { origin, http1, http2, body, at })
}

/// An HTTP client that keeps the request instead of sending it.
#[derive(Debug, Clone, Default)]
struct Capture(Arc<Mutex<Option<HttpRequest>>>);

impl Capture {
    fn take(&self) -> Option<HttpRequest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl HttpConnector for Capture {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
        let answer = http::Response::new(SdkBody::from("null"));
        HttpConnectorFuture::ready(
            HttpResponse::try_from(answer)
                .map_err(|error| aws_smithy_runtime_api::client::result::ConnectorError::user(error.into())),
        )
    }
}

impl HttpClient for Capture {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::WireSettings;
    use crate::domain::function::{FunctionRef, Region};
    use crate::engine::ports::Payloads;

    fn round(trace_id: Option<&str>) -> PingRound {
        PingRound {
            function: FunctionRef::parse("f:live").unwrap().identity(Region::parse("eu-west-2").unwrap()),
            role: None,
            payloads: Payloads::Same { payload: b"{}".to_vec(), pings: 3 },
            client_context: None,
            trace_id: trace_id.map(str::to_owned),
            wire: WireSettings::default(),
            timeout: Duration::from_secs(30),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_signed_request_is_sent_for_sixty_seconds() {
        let clients = Clients::local("https://lambda.test:8443");
        let signed = sign(&clients, &round(None), b"{}").await.unwrap();
        assert_eq!(signed.origin.to_string(), "lambda.test:8443");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!signed.is_stale());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(signed.is_stale());
    }

    #[tokio::test]
    async fn both_versions_of_http_carry_the_same_request() {
        let clients = Clients::local("https://lambda.test:8443");
        let signed = sign(&clients, &round(Some("Root=1-0-0;Sampled=0")), b"{}").await.unwrap();
        let path = "/2015-03-31/functions/f/invocations?Qualifier=live";
        assert_eq!(signed.http1.uri().to_string(), path);
        assert_eq!(signed.http1.headers()[HOST], "lambda.test:8443");
        assert_eq!(signed.http2.uri().to_string(), format!("https://lambda.test:8443{path}"));
        assert!(!signed.http2.headers().contains_key(HOST));
        for request in [&signed.http1, &signed.http2] {
            let headers = request.headers();
            assert_eq!(headers[TRACE_ID], "Root=1-0-0;Sampled=0");
            assert!(!headers.contains_key(INVOCATION_ID));
            let names = headers["authorization"].to_str().unwrap().to_owned();
            assert!(names.contains("SignedHeaders=") && !names.contains(TRACE_ID), "{names}");
        }
        let inherited = sign(&clients, &round(None), b"{}").await.unwrap();
        assert!(!inherited.http1.headers().contains_key(TRACE_ID));
    }

    #[tokio::test]
    async fn a_request_that_cannot_be_signed_has_a_reason() {
        let clients = Clients::local("not a url");
        assert!(!sign(&clients, &round(None), b"{}").await.unwrap_err().is_empty());
    }
}
