//! `dashboard` and `alarms` against the emulator.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::{Done, Fixture, ONE, run};

/// Returns the alarms that the emulator has.
fn names(fixture: &Fixture) -> Vec<String> {
    let alarms = fixture.emulate.observations()["put_alarms"].clone();
    let name = |alarm: &Value| alarm["name"].as_str().unwrap().to_owned();
    alarms.as_array().unwrap().iter().map(name).collect()
}

fn alarms(fixture: &Fixture, args: &[&str]) -> Done {
    let configs = fixture.configs();
    fixture.run(&[&["alarms"], args, &[configs.as_str()]].concat())
}

#[test]
fn alarms_are_put_once_and_deleted() {
    let fixture = Fixture::new(ONE);
    insta::assert_snapshot!(alarms(&fixture, &["--put"]).shown(), @"
    exit 0
    --- stdout
    7 alarms (13 alarm metrics, 2 composite alarms): $2.30 a month at list prices
    created   warmd-warmd-fleet-fast-long
    created   warmd-warmd-fleet-fast-short
    created   warmd-warmd-fleet-slow-long
    created   warmd-warmd-fleet-slow-short
    created   warmd-warmd-no-tick
    created   warmd-warmd-fleet-fast
    created   warmd-warmd-fleet-slow
    --- stderr
    ");
    let again = alarms(&fixture, &["--put"]);
    assert_eq!(again.stdout.matches("\nunchanged ").count(), 7, "{}", again.stdout);
    insta::assert_snapshot!(alarms(&fixture, &["--put", "--of", "functions"]).shown(), @"
    exit 0
    --- stdout
    0 alarms (0 alarm metrics, 0 composite alarms): $0.00 a month at list prices
    no alarms of functions in eu-west-2
    --- stderr
    ");
    insta::assert_snapshot!(alarms(&fixture, &["--delete"]).shown(), @"
    exit 0
    --- stdout
    deleted   warmd-warmd-fleet-fast
    deleted   warmd-warmd-fleet-slow
    deleted   warmd-warmd-fleet-fast-long
    deleted   warmd-warmd-fleet-fast-short
    deleted   warmd-warmd-fleet-slow-long
    deleted   warmd-warmd-fleet-slow-short
    deleted   warmd-warmd-no-tick
    --- stderr
    ");
    insta::assert_snapshot!(alarms(&fixture, &["--delete"]).shown(), @"
    exit 0
    --- stdout
    no alarms in eu-west-2
    --- stderr
    ");
    assert_eq!(names(&fixture), [""; 0]);
}

#[test]
fn alarms_of_functions_and_of_the_fleet_are_put_and_deleted_apart() {
    let text = ONE.replace("f: {", "f: { slo: { coverage: 99.5% },");
    let fixture = Fixture::new(&text);
    let refused = alarms(&fixture, &["--put"]);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    insta::assert_snapshot!(refused.stderr, @"
    error: f has an objective (`slo`), but no metrics of its own for alarms
    hint: set `metrics: { detail: function }` in the configuration, or add --of fleet
    ");
    fixture.write("fleet.yaml", &format!("metrics: {{ detail: function }}\n{text}"));
    insta::assert_snapshot!(alarms(&fixture, &["--put", "--of", "functions"]).shown(), @"
    exit 0
    --- stdout
    6 alarms (12 alarm metrics, 2 composite alarms): $2.20 a month at list prices
    created   warmd-warmd-eu-west-2-f-fast-long
    created   warmd-warmd-eu-west-2-f-fast-short
    created   warmd-warmd-eu-west-2-f-slow-long
    created   warmd-warmd-eu-west-2-f-slow-short
    created   warmd-warmd-eu-west-2-f-fast
    created   warmd-warmd-eu-west-2-f-slow
    --- stderr
    ");
    let printed = alarms(&fixture, &["--print", "--of", "functions"]).json();
    insta::assert_snapshot!(printed["MetricAlarms"][0]["Metrics"][0]["Expression"].as_str().unwrap(), @"IF(FILL(short, 0) + FILL(unsafe, 0) >= 2, 100 * (window - FILL(warm, 0)) / window / (100 - 99.5), 0)");
    let count = || names(&fixture).len();
    // What is put of one kind leaves the other, and so does what is deleted.
    assert_eq!((alarms(&fixture, &["--put", "--of", "fleet"]).code, count()), (0, 13));
    assert_eq!((alarms(&fixture, &["--put", "--of", "functions"]).code, count()), (0, 13));
    assert_eq!((alarms(&fixture, &["--delete", "--of", "fleet"]).code, count()), (0, 6));
    assert_eq!((alarms(&fixture, &["--put", "--of", "fleet"]).code, count()), (0, 13));
    // The objective is removed.
    fixture.write("fleet.yaml", ONE);
    assert_eq!((alarms(&fixture, &["--put", "--of", "functions"]).code, count()), (0, 7));
    assert!(names(&fixture).iter().all(|name| !name.contains("eu-west-2")), "{:?}", names(&fixture));
}

#[test]
fn alarms_of_another_prefix_stay() {
    let fixture = Fixture::new(ONE);
    alarms(&fixture, &["--put", "--name", "a"]);
    alarms(&fixture, &["--put", "--name", "a-fleet"]);
    let before = names(&fixture).len();
    // No configuration is needed.
    let deleted = fixture.run(&["alarms", "--delete", "--name", "a", "/nonexistent"]);
    assert_eq!((deleted.code, deleted.stdout.lines().count()), (0, 7), "{}", deleted.stderr);
    let left = names(&fixture);
    assert_eq!((before, left.len()), (14, 7));
    assert!(left.iter().all(|name| name.starts_with("warmd-a-fleet-")), "{left:?}");
    // The prefix of a is the beginning of the other.
    let put = alarms(&fixture, &["--put", "--name", "a"]);
    assert_eq!(put.code, 0, "{}", put.stderr);
    assert_eq!(names(&fixture).len(), 14);
}

#[test]
fn alarms_are_printed_with_their_cost_on_standard_error() {
    let fixture = Fixture::new(ONE);
    let printed =
        alarms(&fixture, &["--print", "--objective", "99.9", "--topic", "arn:aws:sns:eu-west-2:1:t"]);
    let document = printed.json();
    assert_eq!(document["CompositeAlarms"][0]["AlarmActions"], json!(["arn:aws:sns:eu-west-2:1:t"]));
    insta::assert_snapshot!(printed.stderr, @"7 alarms (13 alarm metrics, 2 composite alarms): $2.30 a month at list prices");
    for bad in [["--objective", "100"], ["--objective", "99.99999"], ["--topic", "ops"], ["--name", "a b"]] {
        let refused = alarms(&fixture, &[&["--print"], &bad[..]].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{bad:?}");
    }
    assert_eq!(alarms(&fixture, &[]).code, 2);
    assert_eq!(alarms(&fixture, &["--print", "--put"]).code, 2);
}

#[test]
fn a_dashboard_is_put_once_and_deleted() {
    let fixture = Fixture::new(ONE);
    let dashboard = |args: &[&str]| fixture.run(&[&["dashboard"], args].concat());
    let steps = [
        &["--put", "warm"][..],
        &["--put", "warm"],
        &["--put", "warm", "--objective", "99.9"],
        &["--delete", "warm"],
        &["--delete", "warm"],
    ];
    let shown: Vec<String> = steps.iter().map(|step| dashboard(step).shown()).collect();
    insta::assert_snapshot!(shown.join("\n"), @"
    exit 0
    --- stdout
    1 dashboard: $3.00 a month at list prices, without the queries of its log
    created dashboard warm in eu-west-2
    --- stderr

    exit 0
    --- stdout
    1 dashboard: $3.00 a month at list prices, without the queries of its log
    unchanged dashboard warm in eu-west-2
    --- stderr

    exit 0
    --- stdout
    1 dashboard: $3.00 a month at list prices, without the queries of its log
    updated dashboard warm in eu-west-2
    --- stderr

    exit 0
    --- stdout
    deleted dashboard warm
    --- stderr

    exit 0
    --- stdout
    there is no dashboard warm
    --- stderr
    ");
    let printed = dashboard(&["--print"]);
    assert!(printed.json()["widgets"].is_array());
    insta::assert_snapshot!(printed.stderr, @"1 dashboard: $3.00 a month at list prices, without the queries of its log");
    let refused = dashboard(&["--put", "a b"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
}

#[test]
fn permissions_to_observe() {
    let fixture = Fixture::new(ONE);
    let configs = fixture.configs();
    let policy = run(&["iam", "--observe", "--account", "123456789012", "--region", "eu-west-2", &configs]);
    assert_eq!((policy.code, policy.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(format!("{:#}", policy.json()), @r#"
    {
      "Version": "2012-10-17",
      "Statement": [
        {
          "Sid": "Dashboards",
          "Effect": "Allow",
          "Action": [
            "cloudwatch:DeleteDashboards",
            "cloudwatch:GetDashboard",
            "cloudwatch:PutDashboard"
          ],
          "Resource": [
            "arn:aws:cloudwatch::123456789012:dashboard/*"
          ]
        },
        {
          "Sid": "Alarms",
          "Effect": "Allow",
          "Action": [
            "cloudwatch:DeleteAlarms",
            "cloudwatch:PutMetricAlarm"
          ],
          "Resource": [
            "arn:aws:cloudwatch:eu-west-2:123456789012:alarm:warmd-warmd-*"
          ]
        },
        {
          "Sid": "CompositeAlarms",
          "Effect": "Allow",
          "Action": [
            "cloudwatch:DescribeAlarms",
            "cloudwatch:PutCompositeAlarm"
          ],
          "Resource": [
            "*"
          ]
        }
      ]
    }
    "#);
    let named = run(&["iam", "--observe", "--name", "on-call", "--region", "eu-west-2", &configs]).json();
    assert_eq!(named["Statement"][1]["Resource"][0], "arn:aws:cloudwatch:eu-west-2:*:alarm:warmd-on-call-*");
    assert_eq!(run(&["iam", "--name", "on-call", &configs]).code, 2, "the alarms are those of --observe");
}

#[test]
fn a_dashboard_of_others_is_neither_replaced_nor_deleted() {
    let fixture = Fixture::new(ONE);
    let theirs = r#"{"widgets":[{"type":"text","properties":{"markdown":"Made by hand."}}]}"#;
    put_dashboard(&fixture, "theirs", theirs);
    for mode in ["--put", "--delete"] {
        let refused = fixture.run(&["dashboard", mode, "theirs"]);
        assert_eq!(refused.code, 2, "{}", refused.stdout);
        insta::allow_duplicates! { insta::assert_snapshot!(refused.stderr, @r#"
        error: the dashboard "theirs" was not made by warmd, and is not changed
        hint: choose another name, or delete that dashboard
        "#); }
    }
    let observed = &fixture.emulate.observations()["dashboards"]["theirs"];
    assert_eq!(*observed, serde_json::from_str::<Value>(theirs).unwrap());
}

/// Puts a dashboard as another client.
fn put_dashboard(fixture: &Fixture, name: &str, body: &str) {
    let mut bytes = Vec::new();
    ciborium::into_writer(&json!({ "DashboardName": name, "DashboardBody": body }), &mut bytes).unwrap();
    let address = fixture.emulate.endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let path = "/service/GraniteServiceVersion20100801/operation/PutDashboard";
    let head = format!("host: e\r\ncontent-length: {}\r\nconnection: close", bytes.len());
    stream.write_all(format!("POST {path} HTTP/1.1\r\n{head}\r\n\r\n").as_bytes()).unwrap();
    stream.write_all(&bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}
