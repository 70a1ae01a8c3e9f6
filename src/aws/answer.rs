//! Lambda's answers to Invoke, parsed as the SDK does it (model 2015-03-31, rest-json).

use bytes::Bytes;
use http::{HeaderMap, Response};
use serde::Deserialize;

use crate::domain::round::Answer;

/// The part of an unreadable answer's body that is shown, characters.
const EXCERPT: usize = 200;

/// The longest version that is believed, bytes: Lambda's are numbers and `$LATEST`.
const LONGEST_VERSION: usize = 64;

/// The answer that an HTTP response to an Invoke is. A body that was cut still gives its answer.
pub fn parse(response: Response<Bytes>) -> Answer {
    let (head, body) = response.into_parts();
    let status = head.status.as_u16();
    let headers = &head.headers;
    if status == 200 {
        return responded(headers, body).unwrap_or_else(|unusable| Answer::Broken {
            message: format!("the answer is not usable: {unusable}"),
            may_have_run: true,
        });
    }
    if head.status.is_success() {
        // 202 and 204 answer other kinds of invocation.
        return Answer::Refused { status, code: None, reason: None, message: None };
    }
    let error = serde_json::from_slice(&body)
        .unwrap_or_else(|_| ErrorBody { message: excerpt(&body), ..ErrorBody::default() });
    let code = first(headers, "x-amzn-errortype").or(error.code).or(error.kind);
    Answer::Refused {
        status,
        code: code.as_deref().map(name_of).filter(|name| !name.is_empty()).map(str::to_owned),
        reason: error.reason.filter(|_| status == 429),
        message: error.message.or(error.upper_message).or(error.error_message),
    }
}

/// The error object: `message` with either initial, the throttle's `Reason`, and the code of services that leave the
/// header out.
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

fn responded(headers: &HeaderMap, body: Bytes) -> Result<Answer, String> {
    Ok(Answer::Responded {
        function_error: only(headers, "x-amz-function-error")?,
        log_result: only(headers, "x-amz-log-result")?,
        executed_version: only(headers, "x-amz-executed-version")?
            .filter(|version| version.len() <= LONGEST_VERSION),
        request_id: first(headers, "x-amzn-requestid").or_else(|| first(headers, "x-amz-request-id")),
        payload: body.into(),
    })
}

/// The value of a header that occurs once at most.
fn only(headers: &HeaderMap, name: &str) -> Result<Option<String>, String> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(format!("expected one header `{name}`, found several"));
    }
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(_) => Err(format!("expected UTF-8 in the header `{name}`")),
    }
}

/// The first value of a header, when it is text.
fn first(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// The name in an error type such as `aws.protocoltests#FooException:http://internal.amazon.com/coral/`.
fn name_of(kind: &str) -> &str {
    let kind = kind.split(':').next().unwrap_or(kind);
    kind.rsplit('#').next().unwrap_or(kind).trim()
}

/// The beginning of a body that is not Lambda's: a proxy's page, for example.
fn excerpt(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body.get(..body.len().min(EXCERPT * 16)).unwrap_or_default());
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| text.chars().take(EXCERPT).collect())
}
