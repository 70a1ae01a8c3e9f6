//! Requests and responses, as all emulated services use them.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime, Utc};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// A response.
pub(super) type HttpResponse = Response<Full<Bytes>>;

/// The connection is closed (HTTP/2: the stream is reset) instead of answered.
#[derive(Debug, thiserror::Error)]
#[error("a fault of the scenario cuts the connection")]
pub(super) struct ConnectionCut;

/// The region of requests that are not signed.
const UNSIGNED_REGION: &str = "us-east-1";

/// A request without its body.
#[derive(Debug)]
pub(super) struct Call {
    /// Method, URI and headers.
    pub parts: Parts,
    /// The number of its connection, from 1; 0 without a connection.
    pub connection: u64,
    /// Its arrival, from the emulator's origin.
    pub arrived: Duration,
}

impl Call {
    /// Returns a header, if it is present and text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// Returns a parameter of the query, decoded.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let pairs = self.parts.uri.query()?.split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, v)| decoded(v))
    }

    /// Returns the region of the signature.
    pub(super) fn region(&self) -> &str {
        self.scope(2).unwrap_or(UNSIGNED_REGION)
    }

    /// Returns the service of the signature; `None` if the request is not signed.
    pub(super) fn service(&self) -> Option<&str> {
        self.scope(3)
    }

    /// Returns a part of the signature's credential scope.
    fn scope(&self, part: usize) -> Option<&str> {
        // AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …
        let scope = self.header("authorization").and_then(|value| value.split_once("Credential="));
        scope.and_then(|(_, scope)| scope.split('/').nth(part))
    }

    /// Returns the time of the signature. The emulator reads no wall clock.
    pub(super) fn time(&self) -> Option<DateTime<Utc>> {
        let date = self.header("x-amz-date")?;
        NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ").ok().map(|time| time.and_utc())
    }
}

/// Percent-decodes text.
pub(super) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Creates a response with a body. Leaves out `headers` that are not valid.
pub(super) fn response(
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
    headers: &[(&'static str, &str)],
) -> HttpResponse {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let map = response.headers_mut();
    map.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            map.insert(*name, value);
        }
    }
    response
}

/// Creates a JSON response.
pub(super) fn json_response(status: u16, body: &Value, headers: &[(&'static str, &str)]) -> HttpResponse {
    response(status, "application/json", body.to_string().into_bytes(), headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(uri: &str, headers: &[(&'static str, &str)]) -> Call {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Call { parts, connection: 1, arrived: Duration::ZERO }
    }

    #[test]
    fn region_and_time_come_from_the_signature() {
        let signed =
            "AWS4-HMAC-SHA256 Credential=AKID/20261120/eu-west-2/lambda/aws4_request, SignedHeaders=host";
        let call =
            call("/x?Qualifier=%24LATEST", &[("authorization", signed), ("x-amz-date", "20261120T090001Z")]);
        assert_eq!(call.region(), "eu-west-2");
        assert_eq!(call.time().unwrap().to_rfc3339(), "2026-11-20T09:00:01+00:00");
        assert_eq!(call.query("Qualifier").as_deref(), Some("$LATEST"));
    }

    #[test]
    fn unsigned_calls_have_a_region_and_no_time() {
        let call = call("/x", &[("authorization", "Bearer x")]);
        assert_eq!((call.region(), call.time(), call.query("Qualifier")), ("us-east-1", None, None));
    }

    #[test]
    fn percent_signs_without_hexadecimal_digits_stay() {
        assert_eq!(decoded("arn%3Aaws%3Alambda"), "arn:aws:lambda");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz%4"), "%zz%4");
    }
}
