//! Lambda's answers to Invoke, parsed like the SDK does (model 2015-03-31, rest-json).

use bytes::Bytes;
use http::{HeaderMap, Response};
use serde::Deserialize;

use crate::domain::round::Answer;

/// The longest excerpt of an unreadable body in a message, characters.
const EXCERPT: usize = 200;

/// The longest version accepted, bytes. Lambda's are numbers and `$LATEST`.
const MAX_VERSION_BYTES: usize = 64;

/// Parses an HTTP response to an Invoke. The body may be cut.
pub fn parse(response: Response<Bytes>) -> Answer {
    let (head, body) = response.into_parts();
    let status = head.status.as_u16();
    let headers = &head.headers;
    if status == 200 {
        return parse_success(headers, body).unwrap_or_else(|unusable| Answer::Broken {
            message: format!("the answer is not usable: {unusable}"),
            may_have_run: true,
        });
    }
    if head.status.is_success() {
        // 202 and 204 are answers to other invocation types.
        return Answer::Refused { status, code: None, reason: None, message: None };
    }
    let error = serde_json::from_slice(&body)
        .unwrap_or_else(|_| ErrorBody { message: excerpt(&body), ..ErrorBody::default() });
    let code = first(headers, "x-amzn-errortype").or(error.code).or(error.kind);
    Answer::Refused {
        status,
        code: code.as_deref().map(error_name).filter(|name| !name.is_empty()).map(str::to_owned),
        reason: error.reason.filter(|_| status == 429),
        message: error.message.or(error.upper_message).or(error.error_message),
    }
}

/// The error object. The message has the key `message` or `Message`; `code` and `__type` replace a missing header.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    code: Option<String>,
    #[serde(rename = "__type")]
    kind: Option<String>,
    message: Option<String>,
    #[serde(rename = "Message")]
    upper_message: Option<String>,
    #[serde(rename = "errorMessage")]
    error_message: Option<String>,
    #[serde(rename = "Reason")]
    reason: Option<String>,
}

fn parse_success(headers: &HeaderMap, body: Bytes) -> Result<Answer, String> {
    Ok(Answer::Responded {
        function_error: only(headers, "x-amz-function-error")?,
        log_result: only(headers, "x-amz-log-result")?,
        executed_version: only(headers, "x-amz-executed-version")?
            .filter(|version| version.len() <= MAX_VERSION_BYTES),
        request_id: first(headers, "x-amzn-requestid").or_else(|| first(headers, "x-amz-request-id")),
        payload: body.into(),
    })
}

/// Returns the value of a header that may occur once.
fn only(headers: &HeaderMap, name: &str) -> Result<Option<String>, String> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(format!("expected one header \"{name}\", found several"));
    }
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(_) => Err(format!("expected UTF-8 in the header \"{name}\"")),
    }
}

/// Returns the first value of a header, if it is text.
fn first(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Returns the name in an error type such as `aws.protocoltests#FooException:http://internal.amazon.com/coral/`.
fn error_name(kind: &str) -> &str {
    let kind = kind.split(':').next().unwrap_or(kind);
    kind.rsplit('#').next().unwrap_or(kind).trim()
}

/// Returns the beginning of a body that is not Lambda's, for example a proxy's page.
fn excerpt(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body.get(..body.len().min(EXCERPT * 16)).unwrap_or_default());
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| text.chars().take(EXCERPT).collect())
}
