//! Origins: the servers that requests go to.

use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http::header::{HOST, HeaderValue};
use http::uri::{PathAndQuery, Scheme, Uri};

/// The endpoint is not a URL that requests can be sent to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::aws) struct InvalidEndpoint(String);

impl InvalidEndpoint {
    fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}

/// Scheme, host and port of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    pub(in crate::aws) tls: bool,
    pub(in crate::aws) host: String,
    pub(in crate::aws) port: u16,
}

impl fmt::Display for Origin {
    /// Writes `host:port`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Origin {
    /// Returns the origin of an absolute URI and the `Host` header that was signed for it, which leaves out the
    /// scheme's default port.
    fn of(uri: &Uri) -> Result<(Self, HeaderValue), InvalidEndpoint> {
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(InvalidEndpoint::new("expected an http:// or https:// endpoint")),
        };
        let host = uri.host().ok_or_else(|| InvalidEndpoint::new("the endpoint has no host"))?;
        let default_port = if tls { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default_port);
        let signed = if port == default_port { host.to_owned() } else { format!("{host}:{port}") };
        let signed = HeaderValue::from_str(&signed).map_err(InvalidEndpoint::new)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok((Self { tls, host, port }, signed))
    }
}

/// Converts a request of the SDK to the form of HTTP/1.1: the path is the target, the server is in the `Host` header.
///
/// # Errors
/// [`InvalidEndpoint`].
pub(in crate::aws) fn http1_request(
    request: HttpRequest,
) -> Result<(Origin, http::Request<SdkBody>), InvalidEndpoint> {
    let mut request = request.try_into_http1x().map_err(InvalidEndpoint::new)?;
    let (origin, host) = Origin::of(request.uri())?;
    if !request.headers().contains_key(HOST) {
        request.headers_mut().insert(HOST, host);
    }
    let target = std::mem::take(request.uri_mut()).into_parts();
    *request.uri_mut() = target.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
    Ok((origin, request))
}
