//! Environment variables in payloads: where they are needed, and that no output has their values.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use warmd::emulator::{Emulator, Scenario, Tls};

use crate::lambda::support::{LambdaHarness, ProcessOptions, Setting, now, scheduled};
use crate::support::{Done, Fixture, ONE, Running, done, read_request, run, warmd, with_aws, write};

const FLEET: &str = "
version: 1
defaults:
  region: eu-west-2
  interval: 1m
  protocol: custom
  payload: { token: 'x${env:TOKEN}', index: '{{index}}' }
  canary: off
functions:
  errors: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
  refuses: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
  answers: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
";

/// An ordinary token, and a value that every encoding changes.
const VALUES: [&str; 2] = ["S3cr3tT0ken-0123456789", "pw/\"q\\uo'te\"\twörd\nline+2"];

/// Returns a value in the forms in which a log could have it.
fn forms(value: &str) -> Vec<String> {
    let json = json!(value).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let bytes = format!("{:?}", value.as_bytes());
    let base64 = STANDARD.encode(value);
    vec![
        value.to_owned(),
        json!(json).to_string().trim_matches('"').to_owned(),
        json,
        format!("{value:?}").trim_matches('"').to_owned(),
        bytes[1..bytes.len() - 1].to_owned(),
        // Without the padding, and the characters that depend on what follows the value.
        base64[..value.len() * 8 / 6].to_owned(),
        STANDARD.encode(format!("{{\"token\":\"x{value}"))[16..16 + value.len()].to_owned(),
        value.as_bytes().escape_ascii().to_string(),
    ]
}

#[track_caller]
fn assert_hidden(value: &str, what: &str, text: &str) {
    for form in forms(value) {
        let at = text.find(&form).map(|at| text[..at].lines().last().unwrap_or_default().len());
        let line = text.lines().find(|line| line.contains(&form));
        assert!(at.is_none(), "{form} in {what}: {line:?}");
    }
}

/// Starts a Lambda whose functions answer with their payload: in an error, a refusal, and an id with a log tail.
/// Returns its endpoint and the payloads.
fn echo() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let payloads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&payloads);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(request) = read_request(&mut stream) else { continue };
            let (head, payload) = request.split_once("\r\n\r\n").unwrap();
            if payload.is_empty() {
                // A read of the control plane.
                write!(stream, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").unwrap();
                continue;
            }
            seen.lock().unwrap().push(payload.to_owned());
            let token = serde_json::from_str::<Value>(payload).unwrap()["token"].clone();
            let (status, headers, body) = if head.contains("/errors/") {
                let message = format!("{payload} {:?} {token}", payload.as_bytes());
                let body = json!({ "errorType": token, "errorMessage": message });
                ("200 OK", "x-amz-function-error: Unhandled".to_owned(), body.to_string())
            } else if head.contains("/refuses/") {
                ("413 Too Large", "x-amzn-errortype: TooLarge".to_owned(), format!("request: {payload}"))
            } else {
                let report = "REPORT RequestId: r\tDuration: 25.00 ms\tBilled Duration: 25 ms\tMemory Size: 128 MB\t\
                              Max Memory Used: 17 MB\t\n";
                let log = STANDARD.encode(format!("{payload}\n{report}"));
                (
                    "200 OK",
                    format!("x-amz-log-result: {log}"),
                    json!({ "warmd": { "environment": token } }).to_string(),
                )
            };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (endpoint, payloads)
}

/// Returns the text of all files below a folder.
fn files(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => text.push_str(&files(&path)),
            false => text.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap())),
        }
    }
    text
}

#[test]
fn no_output_at_any_log_level_has_a_value_that_functions_answer() {
    let fixture = Fixture::new(FLEET);
    let (endpoint, payloads) = echo();
    let state = fixture.folder.path().join("state");
    for value in VALUES {
        for format in ["text", "json"] {
            let mut command = fixture.warmd(&[
                "--log-level",
                "trace",
                "--log-format",
                format,
                "run",
                "--once",
                "--json",
                "--state",
                state.to_str().unwrap(),
            ]);
            command.env("AWS_ENDPOINT_URL_LAMBDA", &endpoint).env("TOKEN", value);
            let ran = done(command);
            let mut sent = std::mem::take(&mut *payloads.lock().unwrap());
            sent.dedup();
            assert_eq!(sent, [json!({ "token": format!("x{value}"), "index": 0 }).to_string()]);
            assert!(ran.stderr.contains("DEBUG"), "no debug records: {}", ran.stderr);
            let rounds = &ran.json()["rounds"];
            assert_eq!((&rounds[0]["function_errors"], &rounds[1]["failed"]), (&json!(1), &json!(1)));
            assert!(ran.stderr.matches("x${env:TOKEN}").count() >= 2, "{}", ran.stderr);
            assert_eq!(rounds[2]["verdict"], "reached");
            for (what, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr), ("state", &files(&state))]
            {
                assert_hidden(value, what, text);
            }
            // Otherwise the breaker opens.
            std::fs::remove_dir_all(&state).unwrap();
        }
        // The table, and the configuration's hash.
        let mut command = fixture.warmd(&["run", "--once"]);
        command.env("AWS_ENDPOINT_URL_LAMBDA", &endpoint).env("TOKEN", value);
        let ran = done(command);
        payloads.lock().unwrap().clear();
        assert!(ran.stdout.contains("${env:TOKEN}"), "{}", ran.stdout);
        assert_hidden(value, "output", &(ran.stdout + &ran.stderr));
    }
}

#[test]
fn the_emulator_shows_no_value() {
    for value in VALUES {
        let payload = r#"{"token":"${env:TOKEN}"}"#;
        let args =
            ["--log-level", "trace", "warm", "f", "-n", "3", "--protocol", "custom", "--payload", payload];
        let mut local = warmd(&[&args[..], &["--local"]].concat());
        local.env("TOKEN", value);
        let local = done(local);
        assert_eq!(local.code, 0, "{}", local.stderr);
        assert_hidden(value, "local emulator", &(local.stdout + &local.stderr));

        let emulator = Running::start(warmd(&["--log-level", "trace", "emulate", "--listen", "127.0.0.1:0"]));
        let line = emulator.await_stdout("listening on ");
        let endpoint = line.trim().strip_prefix("listening on ").unwrap();
        let mut remote = with_aws(warmd(&args), endpoint);
        remote.env("TOKEN", value);
        let remote = done(remote);
        assert_eq!(remote.code, 0, "{}", remote.stderr);
        emulator.signal("TERM");
        let (_, stdout, stderr) = emulator.end();
        assert_hidden(value, "emulator", &(stdout + &stderr));
    }
}

#[test]
fn commands_that_send_nothing_need_no_value_and_show_none() {
    let fixture = Fixture::new(FLEET);
    let configs = fixture.configs();
    let commands: [&[&str]; 9] = [
        &["check", &configs],
        &["check", &configs, "--live"],
        &["plan", &configs],
        &["plan", &configs, "--json"],
        &["explain", "errors", &configs],
        &["diff", &configs, &configs],
        &["run", "--once", "--dry-run", &configs],
        &["run", "--once", "--dry-run", "--json", &configs],
        &["iam", &configs],
    ];
    for args in commands {
        let unset = fixture.run(args);
        assert!(unset.code == 0 || args.contains(&"--live"), "{args:?}: {}{}", unset.stdout, unset.stderr);
        let mut command = with_aws(warmd(args), &fixture.emulate.endpoint);
        command.env("TOKEN", VALUES[0]);
        let set = done(command);
        assert_hidden(VALUES[0], args[0], &(set.stdout + &set.stderr));
        assert_eq!(set.code, unset.code, "{args:?}");
    }
    let dry_run = fixture.run(&["run", "--once", "--dry-run", &configs]);
    assert!(
        dry_run.stdout.contains(r#"custom ping: {"token":"x${env:TOKEN}","index":0}"#),
        "{}",
        dry_run.stdout
    );
}

fn shown(mut done: Done, folder: &Path) -> String {
    done.stderr = done.stderr.replace(folder.to_str().unwrap(), "…");
    done.shown()
}

#[test]
fn commands_that_send_pings_refuse_a_missing_value() {
    let fixture = Fixture::new(FLEET);
    let folder = fixture.folder.path();
    for (args, empty) in [(&["run", "--once"][..], false), (&["run", "--once"], true), (&["run"], false)] {
        let mut command = fixture.warmd(args);
        if empty {
            command.env("TOKEN", "");
        }
        insta::allow_duplicates! {
            insta::assert_snapshot!(shown(done(command), folder), @r#"
            exit 2
            --- stdout
            --- stderr
            error: the environment variable "TOKEN" is not set
             --> …/configs/fleet.yaml:7:23
              |
            7 |   payload: { token: 'x${env:TOKEN}', index: '{{index}}' }
              |                       ^^^^^^^^^^^^
              |
              = hint: set it where pings are sent, or remove it from the payload
            "#);
        }
    }
    let args =
        ["warm", "f", "-n", "1", "--local", "--protocol", "custom", "--payload", r#"["${env:A}${env:B}"]"#];
    insta::assert_snapshot!(run(&args).shown(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: --payload: not set in the environment: "A", "B"
    "#);
    assert_eq!(fixture.emulate.observations()["invocations"], json!([]));
}

#[test]
fn a_reload_without_a_value_is_refused() {
    let fixture = Fixture::new(ONE);
    let mut command: Command = fixture.warmd(&["run", "--cron", "0 0 0 1 1 *"]);
    command.env("TOKEN", VALUES[0]);
    let running = Running::start(command);
    running.await_stderr("started");
    fixture.write("fleet.yaml", &FLEET.replace("TOKEN", "MISSING"));
    running.signal("HUP");
    let mistake = running.await_stderr("fleet.yaml:7:");
    assert!(mistake.contains("the environment variable \"MISSING\" is not set"), "{mistake}");
    running.await_stderr("the new configuration is refused; the old one stays in force");
    fixture.write("fleet.yaml", FLEET);
    running.signal("HUP");
    running.await_stderr("a new configuration is in force");
    assert_hidden(VALUES[0], "log", &running.stop());
}

const ALLOWED: (&str, &str) = ("WARMD_ALLOW_CUSTOM_PAYLOAD", "true");

#[tokio::test]
async fn the_lambda_refuses_a_missing_value_only_if_it_sends_custom_payloads() {
    let setting =
        |variables: &'static [_]| Setting { scenario: Scenario::default(), config: FLEET, variables };
    let mut allowed = LambdaHarness::set(setting(&[ALLOWED])).await;
    let error = allowed.init_error().await;
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.contains("the environment variable \"TOKEN\" is not set"), "{message}");
    let mut refused = LambdaHarness::set(setting(&[])).await;
    let tick = refused.tick(scheduled(now())).await;
    assert_eq!(tick["rounds"][0]["skipped"], "custom-payload");
}

#[tokio::test]
async fn no_output_of_the_lambda_has_a_value() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let folder = tempfile::tempdir().unwrap();
    let trusted = write(folder.path(), "trusted.pem", &certificate);
    for value in VALUES {
        let (endpoint, payloads) = echo();
        let variables = [ALLOWED, ("RUST_LOG", "trace"), ("TOKEN", value)];
        for own in
            [("AWS_ENDPOINT_URL_LAMBDA", endpoint.as_str()), ("SSL_CERT_FILE", trusted.to_str().unwrap())]
        {
            let http2 = own.0 == "SSL_CERT_FILE";
            let tls = http2.then(|| Tls::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap());
            let options = ProcessOptions { tls, cgroup: None };
            let variables = [&variables[..], &[own]].concat();
            let emulator = Emulator::new(Scenario::default());
            let mut harness = LambdaHarness::with_options(emulator, FLEET, &variables, options).await;
            let tick = harness.tick(scheduled(now())).await;
            assert_eq!(tick["rounds"][2]["verdict"], "reached", "{tick}");
            assert_eq!(harness.pings().contains_key("answers"), http2);
            assert!(harness.stderr().contains("\"DEBUG\""), "{}", harness.stderr());
            for (what, text) in
                [("response", tick.to_string()), ("stdout", harness.stdout()), ("stderr", harness.stderr())]
            {
                assert_hidden(value, what, &text);
            }
        }
        assert_eq!(payloads.lock().unwrap().len(), 3);
    }
}
