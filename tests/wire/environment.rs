//! The SDK's environment variables. Each case runs in a child process with variables of its own.

use std::process::{Command, Output};
use std::sync::Arc;

use warmd::aws::{AwsLambda, Clients};
use warmd::domain::round::Answer;
use warmd::engine::ports::{Fetched, ObjectStore};

use crate::server::{Server, answer, trust};
use crate::{one, ping, pings, round};

/// Runs the ignored test `name` of this file in a process with these variables and no others.
async fn child(name: &str, variables: Vec<(&'static str, String)>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", name]);
    command.env_clear().envs(variables).env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn succeeded(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn keys() -> Vec<(&'static str, String)> {
    vec![("AWS_ACCESS_KEY_ID", "AKID".to_owned()), ("AWS_SECRET_ACCESS_KEY", "secret".to_owned())]
}

#[tokio::test]
#[ignore = "run by other tests in a child process"]
async fn child_sends_one_ping() {
    let lambda = AwsLambda::new(Arc::new(Clients::load().await));
    let answer = one(&lambda, ping("f")).await.answer;
    assert!(matches!(answer, Answer::Responded { .. }), "{answer:?}");
}

#[tokio::test]
async fn the_lambda_endpoint_and_the_certificate_file_of_the_environment_are_used() {
    let trust = trust();
    let server = Server::new(|_| async { answer(200, "null") });
    let address = server.listen(Some(trust.acceptor)).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), trust.pem).unwrap();
    let mut variables = keys();
    variables.push(("AWS_ENDPOINT_URL_LAMBDA", format!("https://localhost:{}", address.port())));
    variables.push(("SSL_CERT_FILE", file.path().display().to_string()));
    succeeded(&child("environment::child_sends_one_ping", variables).await);
    assert_eq!(server.observed.count(), 1);
    let host = format!("localhost:{}", address.port());
    assert_eq!(server.observed.last().uri().authority().unwrap(), host.as_str(), "the authority of HTTP/2");
}

#[tokio::test]
async fn the_common_endpoint_of_the_environment_is_used() {
    let server = Server::new(|_| async { answer(200, "null") });
    let address = server.listen(None).await;
    let mut variables = keys();
    variables.push(("AWS_ENDPOINT_URL", format!("http://{address}")));
    succeeded(&child("environment::child_sends_one_ping", variables).await);
    assert_eq!(server.observed.count(), 1);
}

#[tokio::test]
#[ignore = "run by other tests in a child process"]
async fn child_reads_an_object() {
    let bucket = Clients::load().await.bucket("models", "live").unwrap();
    assert!(matches!(bucket.get("x.yaml", None).await, Ok(Fetched::Object { .. })));
}

#[tokio::test]
async fn an_endpoint_for_s3_is_used_with_buckets_in_the_path() {
    let server = Server::new(|_| async { answer(200, "") });
    let address = server.listen(None).await;
    let mut variables = keys();
    variables.push(("AWS_REGION", "eu-west-2".to_owned()));
    // A name, because the SDK never puts a bucket in front of an address.
    variables.push(("AWS_ENDPOINT_URL_S3", format!("http://localhost:{}", address.port())));
    succeeded(&child("environment::child_reads_an_object", variables).await);
    assert_eq!(server.observed.last().uri().path(), "/models/live/x.yaml");
}

#[tokio::test]
#[ignore = "run by other tests in a child process"]
async fn child_sends_fifty_pings() {
    let lambda = AwsLambda::new(Arc::new(Clients::load().await));
    let (_, raws) = round(&lambda, pings("f", 50)).await;
    for raw in raws {
        assert!(matches!(raw.answer, Answer::Responded { .. }), "{raw:?}");
    }
}

#[tokio::test]
async fn credentials_are_fetched_once_for_all_pings() {
    let server = Server::new(|request| async move {
        match request.uri().path() {
            "/credentials" => answer(
                200,
                r#"{"AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2099-01-01T00:00:00Z"}"#,
            ),
            _ => answer(200, "null"),
        }
    });
    let address = server.listen(None).await;
    let variables = vec![
        ("AWS_ENDPOINT_URL", format!("http://{address}")),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{address}/credentials")),
    ];
    succeeded(&child("environment::child_sends_fifty_pings", variables).await);
    let fetched = |path: &str| {
        let requests = server.observed.requests.lock().unwrap();
        requests.iter().filter(|request| request.uri().path() == path).count()
    };
    assert_eq!(fetched("/credentials"), 1);
    assert_eq!(fetched("/2015-03-31/functions/f/invocations"), 50);
}

#[tokio::test]
#[ignore = "run by other tests in a child process"]
async fn child_has_no_credentials_and_no_region() {
    let clients = Arc::new(Clients::load().await);
    let error = clients.cloudwatch().unwrap_err().to_string();
    assert!(error.contains("set AWS_REGION"), "{error}");
    let (_, raws) = round(&AwsLambda::new(clients), pings("f", 50)).await;
    for raw in raws {
        match raw.answer {
            Answer::Broken { message, .. } => {
                assert!(message.starts_with("no AWS credentials were found: set AWS_PROFILE"), "{message}")
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn missing_credentials_and_a_missing_region_are_reported() {
    succeeded(&child("environment::child_has_no_credentials_and_no_region", vec![]).await);
}
