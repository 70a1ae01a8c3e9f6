//! The part of S3 that configuration and state need: objects with entity tags, conditional reads and writes, and lists.
//! Every bucket exists. Requests have the bucket in the path.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use sha2::{Digest, Sha256};

use super::Emulator;
use super::wire::{Call, HttpResponse, decoded, response};

/// The maximum number of keys in one page of a list. Source: the S3 API reference.
const MAX_KEYS: usize = 1_000;
const XML: &str = "application/xml";

/// All objects, by bucket and key.
pub(super) type Buckets = BTreeMap<(String, String), Object>;

/// An object.
#[derive(Debug, Clone)]
pub(super) struct Object {
    bytes: Bytes,
    etag: String,
}

/// Handles a request that was signed for S3.
pub(super) fn serve(emulator: &Emulator, call: &Call, body: Bytes) -> HttpResponse {
    let path = call.parts.uri.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let (bucket, key) = (decoded(bucket), decoded(key));
    let mut state = emulator.state();
    let objects = &mut state.buckets;
    match (&call.parts.method, key.as_str()) {
        (&Method::GET, "") => list(objects, call, &bucket),
        (&Method::GET | &Method::HEAD, _) => get(objects, call, &(bucket, key)),
        (&Method::PUT, key) if !key.is_empty() => put(objects, call, (bucket, key.to_owned()), body),
        (&Method::DELETE, key) if !key.is_empty() => delete(objects, call, &(bucket, key.to_owned())),
        _ => refused(405, "MethodNotAllowed", "The specified method is not allowed against this resource."),
    }
}

fn get(objects: &Buckets, call: &Call, location: &(String, String)) -> HttpResponse {
    let Some(object) = objects.get(location) else {
        return refused(404, "NoSuchKey", "The specified key does not exist.");
    };
    let tag: &[_] = &[("etag", object.etag.as_str())];
    if call.header("if-none-match").is_some_and(|known| known == object.etag) {
        return response(304, XML, Vec::new(), tag);
    }
    match call.parts.method {
        Method::HEAD => response(200, "application/octet-stream", Vec::new(), tag),
        _ => response(200, "application/octet-stream", object.bytes.to_vec(), tag),
    }
}

fn put(objects: &mut Buckets, call: &Call, location: (String, String), bytes: Bytes) -> HttpResponse {
    let current = objects.get(&location).map(|object| object.etag.as_str());
    let expected = call.header("if-match");
    if expected.is_some() && current.is_none() {
        return refused(404, "NoSuchKey", "The specified key does not exist.");
    }
    let fails = expected.is_some_and(|expected| Some(expected) != current)
        || call.header("if-none-match") == Some("*") && current.is_some();
    if fails {
        let message = "At least one of the pre-conditions you specified did not hold";
        return refused(412, "PreconditionFailed", message);
    }
    let digest: String = Sha256::digest(&bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let etag = format!("\"{digest}\"");
    let done = response(200, XML, Vec::new(), &[("etag", &etag)]);
    objects.insert(location, Object { bytes, etag });
    done
}

fn delete(objects: &mut Buckets, call: &Call, location: &(String, String)) -> HttpResponse {
    let current = objects.get(location).map(|object| object.etag.as_str());
    match (call.header("if-match"), current) {
        (Some(_), None) => refused(404, "NoSuchKey", "The specified key does not exist."),
        (Some(expected), Some(current)) if expected != current => refused(
            412,
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
        ),
        _ => {
            objects.remove(location);
            response(204, XML, Vec::new(), &[])
        }
    }
}

fn list(objects: &Buckets, call: &Call, bucket: &str) -> HttpResponse {
    let prefix = call.query("prefix").unwrap_or_default();
    let after = call.query("continuation-token").unwrap_or_default();
    let mut found = objects
        .iter()
        .filter(|((own, key), _)| own == bucket && key.starts_with(&prefix) && key.as_str() > after.as_str());
    let mut contents = String::new();
    let mut last = "";
    for ((_, key), object) in found.by_ref().take(MAX_KEYS) {
        let (shown, tag, size) = (escaped(key), escaped(&object.etag), object.bytes.len());
        contents.push_str(&format!(
            "<Contents><Key>{shown}</Key><ETag>{tag}</ETag><Size>{size}</Size></Contents>"
        ));
        last = key;
    }
    let more = found.next().is_some();
    let token = match more {
        true => format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(last)),
        false => String::new(),
    };
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><Name>{bucket}</Name>\
         <IsTruncated>{more}</IsTruncated>{token}{contents}</ListBucketResult>"
    );
    response(200, XML, body.into_bytes(), &[])
}

fn refused(status: u16, code: &str, message: &str) -> HttpResponse {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    response(status, XML, body.into_bytes(), &[])
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
