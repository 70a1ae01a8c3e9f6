//! Any answers of Lambda, or of another server, cause no panic and report no more environments than pings.
//!
//! An input is one or more answers, separated by lines of `%%`. An answer is a line with the HTTP status (`timeout` and
//! `broken` are answers that never arrived), header lines, an empty line and the body. The header `log` is encoded in
//! base64 like Lambda's log tail, after `\t` and `\n` in it are replaced by tabs and line feeds: base64 is not fuzzed.

#![no_main]

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use libfuzzer_sys::fuzz_target;
use warmd_fuzz::answer::parse;
use warmd_fuzz::domain::protocol::Protocol;
use warmd_fuzz::domain::round::{Answer, Attempt, Known, RawInvocation, RoundReport, classify};

/// The most answers of an input.
const MAX_ANSWERS: usize = 64;

fn answer(text: &str) -> Answer {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default().trim();
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| (*value).to_owned())
    };
    let log = header("log").map(|log| STANDARD.encode(log.replace("\\t", "\t").replace("\\n", "\n")));
    match status {
        "timeout" => Answer::TimedOut,
        "broken" => Answer::Broken { message: body.to_owned(), may_have_run: header("written").is_some() },
        status => {
            let mut response = Response::new(Bytes::copy_from_slice(body.as_bytes()));
            *response.status_mut() = status.parse().unwrap_or(StatusCode::IM_A_TEAPOT);
            let log = log.as_ref().map(|log| ("x-amz-log-result", log.as_str()));
            for (name, value) in headers.iter().copied().chain(log) {
                if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
                    response.headers_mut().append(name, value);
                }
            }
            parse(response)
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let answers: Vec<Answer> = text.split("\n%%\n").take(MAX_ANSWERS).map(answer).collect();
    for protocol in Protocol::NAMES.iter().filter_map(|name| Protocol::parse(name)) {
        let pings = answers.iter().cloned().enumerate().map(|(index, answer)| {
            // Some answers arrive before later pings are sent, so that some runs overlap and others do not.
            let sent = Duration::from_micros(index as u64 * 150);
            let received = sent + Duration::from_millis(1 + (index as u64 % 5) * 40);
            classify(&protocol, RawInvocation { sent, received, answer })
        });
        let hold = Duration::from_millis(100);
        let (hold, handler_hold) = (Some(hold), protocol.handler_hold(hold));
        let attempt = Attempt { hold, handler_hold, pings: pings.collect(), resent: 0 }.with_starts();
        let attempts = [attempt.clone(), attempt];
        let known = Known { provisioned: Some(2), ..Known::default() };
        let report = RoundReport::new(3, &attempts, true, known);
        let parts = report.by_kind.unwrap().parts.map(|part| part.environments.unwrap_or(0));
        assert!(parts.sum() <= report.reached.unwrap_or(0));
        assert_eq!(report.pings as usize, answers.len() * 2);
        assert!(report.reached.is_none_or(|reached| reached <= report.pings));
        assert!(report.requests + report.maybe_requests <= report.pings);
        for message in &report.messages {
            assert!(!message.is_empty());
        }
    }
});
