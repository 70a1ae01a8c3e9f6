//! Functions of other accounts: each role is assumed once per region.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use warmd::domain::fleet::Role;
use warmd::domain::round::Answer as PingAnswer;
use warmd::engine::ports::{Payloads, PingRound};

use crate::server::{Answer, Server, answer};
use crate::{lambda_through, one, ping, round};

/// Creates a server for STS and Lambda. The access keys of STS include the role's account.
pub fn account() -> Server {
    Server::new(
        |request: Request<Bytes>| async move { assume(&request).unwrap_or_else(|| answer(200, "null")) },
    )
}

/// Answers a request to STS.
pub fn assume(request: &Request<Bytes>) -> Option<Answer> {
    if request.method() != "POST" || request.uri().path() != "/" {
        return None;
    }
    let body = String::from_utf8(request.body().to_vec()).unwrap();
    let account = body.split("iam%3A%3A").nth(1).and_then(|rest| rest.get(..12)).unwrap().to_owned();
    if account == "333333333333" {
        let refusal = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not \
                       authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>";
        return Some(answer(403, refusal));
    }
    Some(answer(
        200,
        format!(
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
             <Credentials><AccessKeyId>ASIA{account}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
             <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
             <AssumedRoleUser><Arn>arn:aws:sts::{account}:assumed-role/warmd/warmd</Arn><AssumedRoleId>i</AssumedRoleId></AssumedRoleUser>\
             </AssumeRoleResult></AssumeRoleResponse>"
        ),
    ))
}

fn through(account: &str, external_id: Option<&str>, function: &str) -> PingRound {
    let role = Role {
        arn: format!("arn:aws:iam::{account}:role/warmd"),
        external_id: external_id.map(str::to_owned),
    };
    PingRound { role: Some(Arc::new(role)), ..ping(function) }
}

/// Returns the bodies of the requests to STS and the access keys of the requests to Lambda.
pub fn observed(server: &Server) -> (Vec<String>, Vec<String>) {
    let requests = server.observed.requests.lock().unwrap();
    let (sts, lambda): (Vec<_>, Vec<_>) = requests.iter().partition(|request| request.uri().path() == "/");
    let key = |request: &&Request<Bytes>| {
        let signature = request.headers()["authorization"].to_str().unwrap().to_owned();
        signature.split("Credential=").nth(1).unwrap().split('/').next().unwrap().to_owned()
    };
    let body = |request: &&Request<Bytes>| String::from_utf8(request.body().to_vec()).unwrap();
    (sts.iter().map(body).collect(), lambda.iter().map(key).collect())
}

#[tokio::test(start_paused = true)]
async fn a_role_is_assumed_once_for_all_pings_of_all_rounds() {
    let server = account();
    let lambda = lambda_through(server.dialer());
    for _ in 0..2 {
        let payloads = Payloads::Same { payload: b"{}".to_vec(), pings: 20 };
        round(&lambda, PingRound { payloads, ..through("111111111111", Some("e-1"), "f") }).await;
    }
    one(&lambda, through("222222222222", None, "f")).await;
    one(&lambda, ping("own")).await;
    let (sts, keys) = observed(&server);
    assert_eq!(sts.len(), 2, "once for each role");
    assert!(sts[0].contains("ExternalId=e-1") && sts[0].contains("RoleSessionName=warmd"), "{}", sts[0]);
    assert!(!sts[1].contains("ExternalId"));
    assert_eq!(keys.iter().filter(|key| *key == "ASIA111111111111").count(), 40);
    assert_eq!(keys[40..], ["ASIA222222222222", "warmd-local"]);
}

#[tokio::test(start_paused = true)]
async fn a_role_that_may_not_be_assumed_fails_its_pings_with_the_reason() {
    let server = account();
    let lambda = lambda_through(server.dialer());
    let payloads = Payloads::Same { payload: b"{}".to_vec(), pings: 5 };
    let (_, raws) = round(&lambda, PingRound { payloads, ..through("333333333333", None, "f") }).await;
    for raw in raws {
        let PingAnswer::Broken { message, .. } = raw.answer else { panic!("{:?}", raw.answer) };
        assert!(message.contains("sts:AssumeRole"), "{message}");
    }
    let (sts, keys) = observed(&server);
    assert_eq!((sts.len(), keys.len()), (1, 0), "STS is called once, Lambda is not");
}
