//! Signed requests. The SDK serialises and signs an Invoke; the request is captured instead of being sent.
//!
//! One signature serves all pings of a round, because SigV4 signs a request, not a connection, and Lambda accepts a
//! signed request for five minutes.

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
use super::error::one_line;
use crate::engine::ports::PingRound;

/// The age above which a request is signed again before it is sent. Lambda accepts it for five minutes; the difference
/// leaves room for clock skew.
const SIGNATURE_LIFE: Duration = Duration::from_secs(60);

/// Identifies one attempt of the SDK. It is removed: it is not signed, and HTTP/2 cannot compress a different value for
/// each request.
const INVOCATION_ID: &str = "amz-sdk-invocation-id";
const TRACE_ID: &str = "x-amzn-trace-id";
const SECURITY_TOKEN: &str = "x-amz-security-token";

/// A signed Invoke, ready to be sent any number of times. Not `Debug`: the body may contain secrets.
#[derive(Clone)]
pub(super) struct Signed {
    /// The server.
    pub origin: Origin,
    /// The form of HTTP/1.1, without the body.
    pub http1: http::Request<()>,
    /// The form of HTTP/2, without the body.
    pub http2: http::Request<()>,
    /// The body.
    pub body: Bytes,
    signed_at: Instant,
}

impl Signed {
    /// Returns true when the request is too old to be sent.
    pub(super) fn is_stale(&self) -> bool {
        self.signed_at.elapsed() > SIGNATURE_LIFE
    }
}

/// Signs a request of `round` with this payload.
///
/// # Errors
/// The reason as text: no credentials, or no endpoint.
pub(super) async fn sign(clients: &Clients, round: &PingRound, payload: &[u8]) -> Result<Signed, String> {
    let captured = Capture::default();
    let signed_at = Instant::now();
    let invoke = clients
        .lambda(round.function.region, round.role.as_ref())
        .invoke()
        .function_name(round.function.unqualified())
        .set_qualifier(round.function.qualifier.as_ref().map(|qualifier| qualifier.as_str().to_owned()))
        .set_tenant_id(round.function.tenant.as_ref().map(|tenant| tenant.as_str().to_owned()))
        .set_client_context(round.client_context.clone())
        .payload(Blob::new(payload))
        .invocation_type(InvocationType::RequestResponse)
        .log_type(LogType::Tail);
    let capturing = aws_sdk_lambda::config::Builder::new().http_client(captured.clone());
    // The outcome is that of the captured request's fake answer, unless no request was captured.
    let outcome = invoke.customize().config_override(capturing).send().await;
    match (captured.take(), outcome) {
        (Some(request), _) => {
            finish(request, Bytes::copy_from_slice(payload), round.trace_id.as_deref(), signed_at)
        }
        (None, Err(error)) => Err(one_line(&error)),
        (None, Ok(_)) => Err("the SDK sent no request".to_owned()),
    }
}

fn finish(
    mut request: HttpRequest,
    body: Bytes,
    trace_id: Option<&str>,
    signed_at: Instant,
) -> Result<Signed, String> {
    let headers = request.headers_mut();
    headers.remove(INVOCATION_ID);
    if let Some(trace_id) = trace_id {
        headers.try_insert(TRACE_ID, trace_id.to_owned()).map_err(|error| error.to_string())?;
    }
    let uri = request.uri().to_owned();
    let (origin, http1) = http1_request(request).map_err(|error| error.to_string())?;
    let http1 = http1.map(|_| ());
    let mut http2 = http1.clone();
    *http2.uri_mut() = uri.parse().map_err(|_| format!("expected a URI, found {uri:?}"))?;
    *http2.version_mut() = http::Version::HTTP_2;
    http2.headers_mut().remove(HOST);
    // HTTP/2 does not compress sensitive values: a token of 1.2 KB would be sent a hundred times.
    if let Some(token) = http2.headers_mut().get_mut(SECURITY_TOKEN) {
        HeaderValue::set_sensitive(token, false);
    }
    Ok(Signed { origin, http1, http2, body, signed_at })
}

/// An HTTP client that captures the request instead of sending it.
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
    use crate::domain::function::{FunctionRef, Region, Tenant};
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
    async fn a_signature_is_stale_after_sixty_seconds() {
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
        let mut of_tenant = round(None);
        of_tenant.function.tenant = Tenant::parse("a: b").ok();
        let of_tenant = sign(&clients, &of_tenant, b"{}").await.unwrap();
        for request in [&of_tenant.http1, &of_tenant.http2] {
            assert_eq!(request.headers()["x-amz-tenant-id"], "a: b");
            assert!(request.headers()["authorization"].to_str().unwrap().contains("x-amz-tenant-id"));
        }
        assert!(!signed.http2.headers().contains_key("x-amz-tenant-id"));
        let inherited = sign(&clients, &round(None), b"{}").await.unwrap();
        assert!(!inherited.http1.headers().contains_key(TRACE_ID));
    }

    #[tokio::test]
    async fn a_request_that_cannot_be_signed_has_a_reason() {
        let clients = Clients::local("not a url");
        assert!(!sign(&clients, &round(None), b"{}").await.err().unwrap().is_empty());
    }
}
