//! What the services have in common on the wire: who calls from where, and how errors look.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime, Utc};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::Value;

/// An answer.
pub(super) type Answer = Response<Full<Bytes>>;

/// The connection is closed (HTTP/2: the stream is reset) instead of answered.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
pub(super) struct Cut;

/// The region of requests that are not signed.
const UNSIGNED_REGION: &str = "us-east-1";

/// A request, its body apart.
#[derive(Debug)]
pub(super) struct Call {
    /// Method, URI and headers.
    pub parts: Parts,
    /// Which connection it came on, counted from 1.
    pub connection: u64,
    /// When it arrived, from the emulator's origin.
    pub arrived: Duration,
}

impl Call {
    /// A header, when it is there and text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// A parameter of the query, decoded.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let pairs = self.parts.uri.query()?.split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, v)| decoded(v))
    }

    /// The region the caller signed for.
    pub(super) fn region(&self) -> &str {
        self.scope(2).unwrap_or(UNSIGNED_REGION)
    }

    /// The service the caller signed for; none when it did not sign.
    pub(super) fn service(&self) -> Option<&str> {
        self.scope(3)
    }

    /// A part of the signature's scope.
    fn scope(&self, part: usize) -> Option<&str> {
        // AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …
        let scope = self.header("authorization").and_then(|value| value.split_once("Credential="));
        scope.and_then(|(_, scope)| scope.split('/').nth(part))
    }

    /// The time the caller signed for: the emulator reads no wall clock of its own.
    pub(super) fn time(&self) -> Option<DateTime<Utc>> {
        let date = self.header("x-amz-date")?;
        NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ").ok().map(|time| time.and_utc())
    }
}

/// Percent-decoded text.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            Some(_) | None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer with a body. `headers` that are not valid are left out.
pub(super) fn answer(
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
    headers: &[(&'static str, &str)],
) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let map = answer.headers_mut();
    map.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            map.insert(*name, value);
        }
    }
    answer
}

/// A JSON answer.
pub(super) fn json(status: u16, body: &Value, headers: &[(&'static str, &str)]) -> Answer {
    answer(status, "application/json", body.to_string().into_bytes(), headers)
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
    fn region_and_time_are_those_of_the_signature() {
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
    fn percent_signs_that_are_no_escapes_stay() {
        assert_eq!(decoded("arn%3Aaws%3Alambda"), "arn:aws:lambda");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz%4"), "%zz%4");
    }
}
