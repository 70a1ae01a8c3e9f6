//! Backlogs of metrics end to end: the service with the real SDK over HTTP against the emulator, on virtual time, and
//! hostile answers of CloudWatch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_applicationautoscaling::types::ServiceNamespace;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use ciborium::Value as Cbor;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use warmd::aws::MetricValues;
use warmd::domain::backlog::{Metric, Rule, Sample};
use warmd::domain::fleet::{Fleet, Role};
use warmd::domain::function::Region;
use warmd::domain::preflight::Lookup;
use warmd::emulator::{Fault, FaultKind, Operation};
use warmd::engine::metrics::ReadMetrics;
use warmd::engine::ports::Clock;
use warmd::service::Policy;

use crate::guards::{Account, Process, fleet, shown};
use crate::roles;
use crate::server::{Answer, Server, answer};
use crate::support::sdk;
use crate::{Connect, clients_through, emulator_dialer};

const REGION: &str = "eu-west-2";
const DEPTH: (&str, &str) = ("AWS/SQS", "ApproximateNumberOfMessagesVisible");

fn metric(queue: &str) -> Arc<Metric> {
    let (namespace, name) = (DEPTH.0.to_owned(), DEPTH.1.to_owned());
    let dimensions = [("QueueName".to_owned(), queue.to_owned())].into();
    Arc::new(Metric { namespace, name, dimensions, statistic: "Maximum" })
}

/// Adds a rule to the targets: an environment for each 300 messages, at most 40.
fn with_backlogs(mut fleet: Fleet, queues: &[(&str, &str)]) -> Fleet {
    for target in &mut fleet.targets {
        let queues = queues.iter().filter(|(function, _)| *function == target.label);
        target.backlogs = queues
            .map(|(_, queue)| Rule {
                metric: metric(queue),
                per_environment: 300.into(),
                max: 40,
                pipeline: None,
            })
            .collect();
    }
    fleet
}

/// An account whose UTC begins at 2026-11-20T09:00, with a process that reads the backlog of f:live from `orders`.
struct Rig {
    account: Account,
    process: Process,
}

impl Rig {
    async fn new(functions: &str, config: &str) -> Self {
        let account = Account::new(functions);
        // The emulator has the UTC of the first signed request.
        let client = aws_sdk_applicationautoscaling::Client::new(&sdk(&account.emulator, REGION));
        let request = client.describe_scalable_targets().service_namespace(ServiceNamespace::Lambda);
        request.send().await.unwrap();
        account.emulator.reset();
        let process =
            account.process(with_backlogs(fleet(config), &[("f:live", "orders")]), Policy::default());
        Self { account, process }
    }

    /// Publishes the number of messages of the minute before.
    fn publish(&self, messages: f64) {
        let at = self.account.clock.now() - TimeDelta::minutes(1);
        self.account.emulator.set_metric(REGION, DEPTH, &[("QueueName", "orders")], (at, messages));
    }

    /// Serves the tick of the next minute, after these messages were published.
    async fn tick(&self, messages: Option<f64>) -> Value {
        messages.into_iter().for_each(|messages| self.publish(messages));
        self.process.tick().await
    }

    fn reads(&self) -> usize {
        let reads = self.account.emulator.observe().reads;
        reads.iter().filter(|read| read.operation == Operation::GetMetricData).count()
    }

    fn fail(&self, kind: Option<FaultKind>) {
        self.account.emulator.change(|scenario| {
            let faults = kind.clone().map(Fault::always).into_iter().collect();
            scenario.reads.faults.insert(Operation::GetMetricData, faults);
        });
    }
}

/// Describes the rounds with the ages of their metrics.
fn rounds(tick: &Value) -> String {
    let ages: BTreeMap<&str, &Value> = tick["rounds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|round| (round["function"].as_str().unwrap(), &round["metric_age"]))
        .collect();
    format!("{} {}", shown(tick).join(", "), json!(ages))
}

const PINGED: &str = "functions: { f: { aliases: { live: 7 } }, g: {} }";
const WINDOWS: &str = "
functions:
  f:live: { interval: 5m, windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  g: { interval: 5m, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
";

#[tokio::test(start_paused = true)]
async fn a_backlog_is_pinged_in_the_tick_in_which_its_metric_rises() {
    let rig = Rig::new(PINGED, WINDOWS).await;
    let mut lines = Vec::new();
    let numbers = [Some(0.0), Some(900.0), Some(1_000.0), Some(1_000.0), Some(90_000.0), None, Some(300.0)];
    for messages in numbers {
        let tick = rig.tick(messages).await;
        lines.push(format!("{} {}", &tick["tick"].as_str().unwrap()[11..16], rounds(&tick)));
    }
    // 09:00 is a round of the interval, as 09:05 is. 90,000 messages want more than the maximum.
    insta::assert_snapshot!(lines.join("\n"), @r#"
    09:00 f:live: 2 reached 0+2, g: 1 reached 0+1 {"f":60,"g":null}
    09:01 f:live: 3 reached 0+3 {"f":120}
    09:02 f:live: 4 reached 0+4 {"f":120}
    09:03  {}
    09:04 f:live: 40 reached 0+40 {"f":120}
    09:05 f:live: 40 reached 0+40, g: 1 reached 0+1 {"f":180,"g":null}
    09:06  {}
    "#);
    assert_eq!(rig.reads(), 7, "one request a tick");
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_metric_leaves_the_windows_alone_in_effect() {
    let rig = Rig::new(PINGED, WINDOWS).await;
    let mut lines = Vec::new();
    rig.publish(900.0);
    let throttle = FaultKind::Refuse {
        status: 400,
        code: "ThrottlingException".to_owned(),
        message: "Rate exceeded".to_owned(),
    };
    let slow = FaultKind::Slow { by: Duration::from_secs(30) };
    let faults = [
        ("none", None),
        ("throttled", Some(throttle)),
        ("slow", Some(slow)),
        ("cut", Some(FaultKind::Reset)),
    ];
    for (name, fault) in faults {
        rig.fail(fault.clone());
        lines.push(format!("{name}: {}", rounds(&rig.process.tick().await)));
        for _ in 0..4 {
            rig.publish(900.0);
            rig.process.tick().await;
        }
    }
    rig.fail(None);
    rig.account.emulator.change(|scenario| scenario.denied.push(Operation::GetMetricData));
    lines.push(format!("denied: {}", rounds(&rig.process.tick().await)));
    rig.account.emulator.change(|scenario| scenario.denied.clear());
    // Nothing was published for more than five minutes.
    for _ in 0..9 {
        rig.process.tick().await;
    }
    lines.push(format!("stale: {}", rounds(&rig.process.tick().await)));
    insta::assert_snapshot!(lines.join("\n"), @r#"
    none: f:live: 3 reached 0+3, g: 1 reached 0+1 {"f":60,"g":null}
    throttled: f:live: 2 reached 0+2, g: 1 reached 0+1 {"f":null,"g":null}
    slow: f:live: 2 reached 0+2, g: 1 reached 0+1 {"f":null,"g":null}
    cut: f:live: 2 reached 0+2, g: 1 reached 0+1 {"f":null,"g":null}
    denied: f:live: 2 reached 0+2, g: 1 reached 0+1 {"f":null,"g":null}
    stale: f:live: 2 reached 0+2, g: 1 reached 0+1 {"f":780,"g":null}
    "#);
}

#[tokio::test(start_paused = true)]
async fn the_minimum_follows_the_metric_and_ends_without_warmd() {
    let functions = "functions: { f: { aliases: { live: 7 }, prepare: 60s } }";
    let config = "functions: { f:live: { strategy: provisioned, provisioned: { max: 50 }, windows: [{ days: sat, hours: \
                  '22:00-23:00', concurrency: 1 }] } }";
    let rig = Rig::new(functions, config).await;
    let target = || {
        let input = json!({ "ServiceNamespace": "lambda" });
        let operation = Operation::DescribeScalableTargets;
        let answer = rig.account.emulator.autoscaling(REGION, operation, input).unwrap();
        let target = &answer["ScalableTargets"][0];
        format!("{}..{}", target["MinCapacity"], target["MaxCapacity"])
    };
    let mut lines = Vec::new();
    let numbers = [0.0, 3_000.0, 3_000.0, 6_000.0, 600.0, 600.0, 600.0, 600.0, 600.0, 600.0, 600.0];
    for messages in numbers {
        let tick = rig.tick(Some(messages)).await;
        lines.push(format!("{} {messages}: {}", &tick["tick"].as_str().unwrap()[11..16], target()));
    }
    insta::assert_snapshot!(lines.join("\n"), @"
    09:00 0: 0..0
    09:01 3000: 10..50
    09:02 3000: 10..50
    09:03 6000: 20..50
    09:04 600: 20..50
    09:05 600: 20..50
    09:06 600: 20..50
    09:07 600: 20..50
    09:08 600: 20..50
    09:09 600: 2..50
    09:10 600: 2..50
    ");
    // Without warmd, a scheduled action ends it.
    tokio::time::sleep(Duration::from_secs(11 * 60)).await;
    assert_eq!(target(), "0..0");
    assert_eq!(rig.account.emulator.requested(REGION, "f", "live"), 0);
}

#[tokio::test(start_paused = true)]
async fn five_hundred_metrics_are_one_request() {
    let rig = Rig::new(PINGED, WINDOWS).await;
    let clients = Arc::new(clients_through(emulator_dialer(&rig.account.emulator, |_| Connect::Serve)));
    let metrics: Vec<Arc<Metric>> = (0..501).map(|index| metric(&format!("q{index}"))).collect();
    let now = rig.account.clock.now();
    let minute = now - TimeDelta::minutes(1);
    for index in [0, 499, 500] {
        let queue = format!("q{index}");
        rig.account.emulator.set_metric(REGION, DEPTH, &[("QueueName", &queue)], (minute, f64::from(index)));
    }
    let region = Region::parse(REGION).unwrap();
    let since = now - TimeDelta::minutes(15);
    let read = MetricValues::new(clients).latest(region, None, &metrics, since, now).await;
    let known: Vec<_> = read.iter().enumerate().filter(|(_, read)| **read != Lookup::Known(None)).collect();
    let sample = |index: u32| Lookup::Known(Some(Sample { at: minute, value: index.into() }));
    assert_eq!(known, [(0, &sample(0)), (499, &sample(499)), (500, &sample(500))]);
    assert_eq!(rig.reads(), 2);
}

fn map(entries: Vec<(&str, Cbor)>) -> Cbor {
    Cbor::Map(entries.into_iter().map(|(key, value)| (Cbor::Text(key.to_owned()), value)).collect())
}

/// Returns a result with points at these seconds after 09:00.
fn result(id: &str, status: &str, points: &[(i64, f64)]) -> Cbor {
    let time = |(at, _): &(i64, f64)| Cbor::Tag(1, Box::new(Cbor::Integer((1_795_165_200 + at).into())));
    map(vec![
        ("Id", Cbor::Text(id.to_owned())),
        ("StatusCode", Cbor::Text(status.to_owned())),
        ("Timestamps", Cbor::Array(points.iter().map(time).collect())),
        ("Values", Cbor::Array(points.iter().map(|(_, value)| Cbor::Float(*value)).collect())),
    ])
}

fn page(results: Vec<Cbor>, next: Option<String>) -> Answer {
    let mut entries = vec![("MetricDataResults", Cbor::Array(results))];
    entries.extend(next.map(|next| ("NextToken", Cbor::Text(next))));
    cbor(&map(entries))
}

fn cbor(value: &Cbor) -> Answer {
    let mut body = Vec::new();
    ciborium::into_writer(value, &mut body).unwrap();
    Response::builder()
        .header("smithy-protocol", "rpc-v2-cbor")
        .header("content-type", "application/cbor")
        .body(Full::new(Bytes::from(body)))
        .unwrap()
}

/// Reads two metrics from 09:00 to 09:15. Returns what was read and the number of requests.
async fn read_from<F, Fut>(script: F) -> (Vec<String>, usize)
where
    F: Fn(Request<Bytes>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    let server = Server::new(script);
    let metrics = [metric("a"), metric("b")];
    let values = MetricValues::new(Arc::new(clients_through(server.dialer())));
    let since: DateTime<Utc> = "2026-11-20T09:00:00Z".parse().unwrap();
    let region = Region::parse(REGION).unwrap();
    let read = values.latest(region, None, &metrics, since, since + TimeDelta::minutes(15)).await;
    let shown = |read: &Lookup<Option<Sample>>| match read {
        Lookup::Known(Some(Sample { at, value })) => format!("{value} of {}", at.format("%H:%M")),
        other => format!("{other:?}"),
    };
    (read.iter().map(shown).collect(), server.observed.count())
}

#[tokio::test(start_paused = true)]
async fn answers_are_distrusted() {
    let script = |results: fn() -> Vec<Cbor>| move |_| async move { page(results(), None) };
    type Results = fn() -> Vec<Cbor>;
    let cases: [(&str, Results); 6] = [
        ("NaN and infinity", || {
            vec![
                result("m0", "Complete", &[(60, f64::NAN)]),
                result("m1", "Complete", &[(60, f64::INFINITY)]),
            ]
        }),
        ("negative and huge", || {
            vec![result("m0", "Complete", &[(60, -3.0)]), result("m1", "Complete", &[(60, 1e300)])]
        }),
        ("forbidden and failed", || {
            vec![result("m0", "Forbidden", &[(60, 7.0)]), result("m1", "InternalError", &[(60, 7.0)])]
        }),
        ("future and past", || {
            vec![
                result("m0", "Complete", &[(86_400, 9.0), (60, 7.0)]),
                result("m1", "Complete", &[(-60, 7.0)]),
            ]
        }),
        ("unknown ids", || {
            vec![result("m2", "Complete", &[(60, 7.0)]), result("", "Complete", &[(60, 7.0)])]
        }),
        ("two results", || {
            vec![
                result("m1", "PartialData", &[(120, 8.0)]),
                result("m0", "Complete", &[]),
                result("m1", "Complete", &[(60, 7.0)]),
            ]
        }),
    ];
    let mut lines = Vec::new();
    for (name, results) in cases {
        let (read, requests) = read_from(script(results)).await;
        assert_eq!(requests, 1);
        lines.push(format!("{name}: {}", read.join(" | ")));
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    NaN and infinity: Failed("expected a number of waiting requests, found NaN") | Failed("expected a number of waiting requests, found inf")
    negative and huge: Failed("expected a number of waiting requests, found -3.0") | Failed("expected a number of waiting requests, found 1e300")
    forbidden and failed: Denied("cloudwatch:GetMetricData") | Failed("InternalError")
    future and past: 7 of 09:01 | Known(None)
    unknown ids: Failed("the answer has no result for the metric") | Failed("the answer has no result for the metric")
    two results: Known(None) | 8 of 09:02
    "#);
}

#[tokio::test(start_paused = true)]
async fn pages_are_read_to_their_end_and_no_further() {
    // The newest value of the second metric is on the second page.
    let pages = Arc::new(AtomicU32::new(0));
    let two = move |_| {
        let page_number = pages.fetch_add(1, Ordering::Relaxed);
        async move {
            match page_number {
                0 => page(vec![result("m0", "Complete", &[(60, 7.0)])], Some("2".to_owned())),
                _ => page(vec![result("m1", "Complete", &[(120, 8.0)])], None),
            }
        }
    };
    let (read, requests) = read_from(two).await;
    assert_eq!((read.join(" | "), requests), ("7 of 09:01 | 8 of 09:02".to_owned(), 2));
    // The same page for ever, and new pages for ever.
    let one = |_| async { page(vec![result("m0", "Complete", &[(60, 7.0)])], Some("same".to_owned())) };
    let (read, requests) = read_from(one).await;
    assert_eq!((read[0].as_str(), requests), ("Failed(\"the list has a page twice\")", 2));
    let count = Arc::new(AtomicU32::new(0));
    let endless = move |_| {
        let token = count.fetch_add(1, Ordering::Relaxed).to_string();
        async move { page(Vec::new(), Some(token)) }
    };
    let (read, requests) = read_from(endless).await;
    assert_eq!((read[1].starts_with("Failed"), requests), (true, 50), "{read:?}");
}

#[tokio::test(start_paused = true)]
async fn failures_are_not_repeated_and_are_named() {
    let mut lines = Vec::new();
    let refusal = |status: u16, code: &'static str| {
        move |_| async move {
            let text = |text: String| Cbor::Text(text);
            let message = text(format!("{code} of a\nsecond line"));
            let body =
                map(vec![("__type", text(format!("com.amazonaws.cloudwatch#{code}"))), ("message", message)]);
            let mut refusal = cbor(&body);
            *refusal.status_mut() = StatusCode::from_u16(status).unwrap();
            refusal
        }
    };
    for (status, code) in [(403, "AccessDenied"), (400, "ThrottlingException"), (500, "InternalServiceFault")]
    {
        let (read, requests) = read_from(refusal(status, code)).await;
        assert_eq!((read[0] == read[1], requests), (true, 1), "{read:?}");
        lines.push(read[0].clone());
    }
    let (read, _) = read_from(|_| async { answer(200, "<html>") }).await;
    lines.push(read[0].split(['(', ':']).next().unwrap().to_owned());
    insta::assert_snapshot!(lines.join("\n"), @r#"
    Denied("AccessDenied of a")
    Throttled("ThrottlingException: ThrottlingException of a")
    Failed("InternalServiceFault: InternalServiceFault of a")
    Failed
    "#);
}

#[tokio::test(start_paused = true)]
async fn metrics_of_other_accounts_are_read_with_their_role() {
    let server = Server::new(|request: Request<Bytes>| async move {
        let metrics = || page(vec![result("m0", "Complete", &[(60, 7.0)])], None);
        roles::assume(&request).unwrap_or_else(metrics)
    });
    let values = MetricValues::new(Arc::new(clients_through(server.dialer())));
    let role = Arc::new(Role { arn: "arn:aws:iam::222222222222:role/warmd".to_owned(), external_id: None });
    let since: DateTime<Utc> = "2026-11-20T09:00:00Z".parse().unwrap();
    let region = Region::parse(REGION).unwrap();
    for _ in 0..2 {
        let until = since + TimeDelta::minutes(15);
        let read = values.latest(region, Some(&role), &[metric("a")], since, until).await;
        assert!(matches!(read[..], [Lookup::Known(Some(_))]), "{read:?}");
    }
    let (sts, keys) = roles::observed(&server);
    assert_eq!((sts.len(), keys), (1, vec!["ASIA222222222222".to_owned(); 2]));
}
