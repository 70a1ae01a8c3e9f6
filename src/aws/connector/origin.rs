//! Origins: where requests go.

use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http::header::{HOST, HeaderValue};
use http::uri::{PathAndQuery, Scheme, Uri};

use super::Failure;

/// Scheme, host and port of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Origin {
    /// `host:port`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Origin {
    /// The origin of an absolute URI, and the `Host` that was signed for it: without the scheme's own port.
    fn of(uri: &Uri) -> Result<(Self, HeaderValue), Failure> {
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(Failure::Request("the endpoint is neither http nor https".to_owned())),
        };
        let host = uri.host().ok_or_else(|| Failure::Request("the endpoint has no host".to_owned()))?;
        let default_port = if tls { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default_port);
        let signed = if port == default_port { host.to_owned() } else { format!("{host}:{port}") };
        let signed = HeaderValue::from_str(&signed).map_err(|error| Failure::Request(error.to_string()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok((Self { tls, host, port }, signed))
    }
}

/// A request of the SDK's, as HTTP/1.1 wants it: the path as the target, the server in the `Host` header.
pub(in crate::aws) fn http1_request(
    request: HttpRequest,
) -> Result<(Origin, http::Request<SdkBody>), Failure> {
    let mut request = request.try_into_http1x().map_err(|error| Failure::Request(error.to_string()))?;
    let (origin, host) = Origin::of(request.uri())?;
    if !request.headers().contains_key(HOST) {
        request.headers_mut().insert(HOST, host);
    }
    let target = std::mem::take(request.uri_mut()).into_parts();
    *request.uri_mut() = target.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
    Ok((origin, request))
}
