//! warmd against moto, a stand-in for AWS that others have written: what our emulator takes for S3, EventBridge and
//! CloudWatch, moto must take too. Pings still go to the emulator. What warmd wrote is read by boto3.

#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "the tests of the commands use the rest")]
mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::{Done, Emulate, Running, done, run, warmd, write};
use warmd::aws::{AwsScaling, Clients};
use warmd::domain::capacity::{Bounds, Change, ScalingPolicy, ScheduledAction};
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::preflight::Lookup;
use warmd::engine::capacity::{CapacityControl, Place};

/// moto and the shim.
struct Account {
    moto: String,
    shim: String,
    emulate: Option<Emulate>,
    folder: tempfile::TempDir,
}

impl Account {
    fn new() -> Self {
        let address =
            |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: use tests/moto/run.sh"));
        let folder = tempfile::tempdir().unwrap();
        Self { moto: address("WARMD_MOTO"), shim: address("WARMD_SHIM"), emulate: None, folder }
    }

    /// With functions to ping.
    fn with_functions() -> Self {
        let account = Self::new();
        let emulate = Emulate::start(account.folder.path(), "default: { profile: rust }\n");
        Self { emulate: Some(emulate), ..account }
    }

    /// `warmd`, with an endpoint for each service and none for all.
    fn warmd(&self, args: &[&str]) -> Command {
        let mut command = warmd(args);
        command
            .env("AWS_REGION", "eu-west-2")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_ENDPOINT_URL_S3", &self.moto)
            .env("AWS_ENDPOINT_URL_EVENTBRIDGE", &self.moto)
            .env("AWS_ENDPOINT_URL_CLOUDWATCH", &self.shim)
            .env(
                "AWS_ENDPOINT_URL_LAMBDA",
                self.emulate.as_ref().map_or(&self.moto, |emulate| &emulate.endpoint),
            );
        command
    }

    fn run(&self, args: &[&str]) -> Done {
        done(self.warmd(args))
    }

    /// Runs a command that must succeed, and returns what it printed.
    fn succeed(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{args:?}");
        done.stdout
    }

    /// Runs commands at once, those of them that PUT the object at `path` once at least together.
    fn race(&self, path: &str, all: &[Vec<&str>]) -> Vec<Done> {
        self.ask(&format!("/meet/{}{path}", all.len()), "");
        let racing = |args: &Vec<&str>| {
            let command = self.warmd(args);
            std::thread::spawn(|| done(command))
        };
        let racing: Vec<_> = all.iter().map(racing).collect();
        racing.into_iter().map(|thread| thread.join().unwrap()).collect()
    }

    /// Calls an operation of a service with boto3.
    fn aws(&self, service: &str, operation: &str, parameters: Value) -> Value {
        let answer = self.ask(&format!("/aws/{service}/{operation}"), &parameters.to_string());
        serde_json::from_str(&answer).unwrap()
    }

    fn bucket(&self, name: &str) {
        let place = json!({ "LocationConstraint": "eu-west-2" });
        self.aws("s3", "CreateBucket", json!({ "Bucket": name, "CreateBucketConfiguration": place }));
    }

    fn object(&self, bucket: &str, key: &str) -> String {
        let object = self.aws("s3", "GetObject", json!({ "Bucket": bucket, "Key": key }));
        object["Body"].as_str().unwrap().to_owned()
    }

    /// The requests that the servers have answered.
    fn seen(&self) -> Vec<Value> {
        serde_json::from_str(&self.ask("/seen", "")).unwrap()
    }

    /// The status of each answer to requests of this method and path.
    fn statuses(&self, method: &str, path: &str) -> Vec<u64> {
        let seen = self.seen();
        let those = seen.iter().filter(|request| request["method"] == method && request["path"] == path);
        those.map(|request| request["status"].as_u64().unwrap()).collect()
    }

    /// Asks the shim.
    fn ask(&self, path: &str, body: &str) -> String {
        let (status, text) = post(&self.shim, path, body);
        assert_eq!(status, 200, "{path} {body}: {text}");
        text
    }
}

/// Posts JSON. One request, one connection.
fn post(server: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(server.strip_prefix("http://").unwrap()).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A configuration of one function.
fn fleet(folder: &Path, concurrency: u32) -> String {
    let window = format!("{{ days: daily, hours: all-day, concurrency: {concurrency}, except: [holidays] }}");
    let text = format!(
        "version: 1\ndefaults: {{ region: eu-west-2 }}\ncalendars: {{ holidays: {{ file: days/off.yaml }} }}\n\
         functions: {{ checkout: {{ windows: [{window}] }} }}\n"
    );
    let configs = folder.join(format!("configs-{concurrency}"));
    std::fs::create_dir_all(configs.join("days")).unwrap();
    write(&configs, "fleet.yaml", &text);
    write(&configs, "days/off.yaml", "dates: [2027-12-25]\n");
    configs.to_str().unwrap().to_owned()
}

/// The first word of the last line: the hash of what is live.
fn hash(stdout: &str) -> String {
    stdout.lines().last().unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
#[ignore = "needs moto: tests/moto/run.sh"]
fn a_configuration_is_published_read_and_rolled_back() {
    let account = Account::new();
    account.bucket("published");
    let place = "s3://published/live";
    let [three, four] = [3, 4].map(|concurrency| fleet(account.folder.path(), concurrency));
    let first = account.run(&["publish", &three, place]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    account.succeed(&["check", place]);
    let plan = account.succeed(&["plan", "--for", "1d", place]);
    assert!(plan.contains("checkout"), "{plan}");
    assert_eq!(
        account.succeed(&["diff", "--exit-code", &three, place]),
        account.succeed(&["diff", place, &three])
    );

    let second = account.succeed(&["publish", &four, place]);
    let manifest =
        || serde_json::from_str::<Value>(&account.object("published", "live/manifest.json")).unwrap();
    let live = manifest();
    assert_eq!(live["config"].as_str(), Some(hash(&second).as_str()));
    for file in live["files"].as_array().unwrap() {
        let key = format!("live/{}", file["key"].as_str().unwrap());
        let source = Path::new(&four).join(file["path"].as_str().unwrap());
        assert_eq!(account.object("published", &key), std::fs::read_to_string(source).unwrap());
    }
    let target = || {
        let explained = account.succeed(&["explain", "checkout", "--json", place]);
        serde_json::from_str::<Value>(&explained).unwrap()["target"].clone()
    };
    assert_eq!(target(), 4);
    account.succeed(&["publish", "--rollback", place]);
    assert_eq!((target(), manifest()["config"].as_str()), (json!(3), Some(hash(&first.stdout).as_str())));
    // The calendar is the same in both, so its object was there.
    let conflicts = account.seen().into_iter().filter(|request| request["status"] == 412);
    let paths: Vec<_> = conflicts.map(|request| request["path"].as_str().unwrap().to_owned()).collect();
    assert!(
        paths.iter().any(|path| path.starts_with("/published/live/objects/") && path.ends_with("/off.yaml"))
    );
}

#[test]
#[ignore = "needs moto: tests/moto/run.sh"]
fn one_of_two_concurrent_publishers_is_refused() {
    let account = Account::new();
    account.bucket("contested");
    let place = "s3://contested/live";
    let [one, two, three] = [1, 2, 3].map(|concurrency| fleet(account.folder.path(), concurrency));
    account.run(&["publish", &one, place]);
    let publish = |configs| vec!["publish", configs, place];
    let mut both = account.race("/contested/live/manifest.json", &[publish(&two), publish(&three)]);
    both.sort_by_key(|done| done.code);
    assert_eq!((both[0].code, both[1].code), (0, 2), "{} {}", both[0].stderr, both[1].stderr);
    assert!(both[1].stderr.contains("another version was published in the meantime"), "{}", both[1].stderr);
    let manifest: Value = serde_json::from_str(&account.object("contested", "live/manifest.json")).unwrap();
    assert_eq!(manifest["config"].as_str(), Some(hash(&both[0].stdout).as_str()));
    assert_eq!(manifest["before"].as_array().unwrap().len(), 1);
}

#[test]
#[ignore = "needs moto: tests/moto/run.sh"]
fn concurrent_pauses_are_all_kept() {
    let account = Account::new();
    account.bucket("pauses");
    let state = "s3://pauses/live";
    let names = ["a", "b", "c", "d"];
    let pause = |name| vec!["pause", name, "--for", "1h", "--reason", "race", "--state", state];
    for done in account.race("/pauses/live/pauses.json", &names.map(pause)) {
        let known = "warning: no tick is recorded at s3://pauses/live; check that it is the state store of the schedule\n";
        assert_eq!((done.code, done.stderr.as_str()), (0, known));
    }
    let statuses = account.statuses("PUT", "/pauses/live/pauses.json");
    let count = |status| statuses.iter().filter(|known| **known == status).count();
    assert!(count(200) == 4 && count(412) >= 3, "one of four was first: {statuses:?}");
    let paused = || {
        let kept: Value = serde_json::from_str(&account.object("pauses", "live/pauses.json")).unwrap();
        kept["functions"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(paused(), names);
    assert_eq!(account.succeed(&["resume", "b", "--state", state]), "b resumed\n");
    assert_eq!(paused(), ["a", "c", "d"]);
    let status = account.succeed(&["status", "--state", state]);
    assert!(status.contains("a is paused until ") && !status.contains("b is"), "{status}");
}

#[test]
#[ignore = "needs moto: tests/moto/run.sh"]
fn the_daemon_lives_on_s3_and_reads_what_is_unchanged_once() {
    let account = Account::with_functions();
    account.bucket("daemon");
    let place = "s3://daemon/live";
    let published = account.run(&["publish", &fleet(account.folder.path(), 3), place]);
    let before = account.statuses("GET", "/daemon/live/manifest.json").len();
    let objects = || {
        let seen = account.seen();
        let read = seen.iter().filter(|request| request["method"] == "GET");
        read.filter(|request| request["path"].as_str().unwrap().starts_with("/daemon/live/objects/")).count()
    };
    // Publishing reads what it has written.
    let published_read = objects();
    let daemon = Running::start(account.warmd(&["run", "--state", "s3://daemon/state", place]));
    daemon.await_stdout("1 target: ✓ 1 reached");
    daemon.signal("HUP");
    daemon.await_stderr("the configuration has not changed");
    daemon.signal("TERM");
    assert!(daemon.end().0.success());

    let manifest = account.statuses("GET", "/daemon/live/manifest.json").split_off(before);
    assert!(manifest.len() >= 3 && manifest[0] == 200, "{manifest:?}");
    assert!(manifest[1..].iter().all(|status| *status == 304), "{manifest:?}");
    assert_eq!(objects() - published_read, 2, "each of the two files once");

    let kept: Value = serde_json::from_str(&account.object("daemon", "state/status.json")).unwrap();
    assert_eq!(kept["config"].as_str(), Some(hash(&published.stdout).as_str()));
    let status: Value =
        serde_json::from_str(&account.succeed(&["status", "--json", "--state", "s3://daemon/state"]))
            .unwrap();
    assert_eq!(
        (&status["status"]["config"], &status["status"]["targets"][0]["reached"]),
        (&kept["config"], &json!(3))
    );
}

#[test]
#[ignore = "needs moto: tests/moto/run.sh"]
fn cloudwatch_has_the_metrics_that_the_tick_tells() {
    let account = Account::with_functions();
    // So many that the request is compressed.
    let functions: String = (10..40)
        .map(|n| format!("  f{n}: {{ windows: [{{ days: daily, hours: all-day, concurrency: 2 }}] }}\n"))
        .collect();
    let text = format!(
        "version: 1\ndefaults: {{ region: eu-west-2, interval: 1m }}\nmetrics: {{ namespace: moto, detail: function }}\nfunctions:\n{functions}"
    );
    let configs = write(account.folder.path(), "fleet.yaml", &text);
    let tick = account.succeed(&["run", "--once", "--due-only", "--json", configs.to_str().unwrap()]);
    let tick: Value = serde_json::from_str(&tick).unwrap();
    let rounds = tick["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 30);
    assert!(
        account
            .seen()
            .iter()
            .any(|request| request["method"] == "PutMetricData" && request["encoding"] == "gzip")
    );

    let at: chrono::DateTime<chrono::Utc> = tick["tick"].as_str().unwrap().parse().unwrap();
    let around = |minutes| (at + chrono::TimeDelta::minutes(minutes)).to_rfc3339();
    // The sum of what was put, which must be one value of this unit.
    let sum = |name: &str, unit: &str, function: Option<&str>| {
        let dimensions = match function {
            None => json!([]),
            Some(name) => {
                json!([{ "Name": "Function", "Value": name }, { "Name": "Region", "Value": "eu-west-2" }])
            }
        };
        let asked = json!({
            "Namespace": "moto", "MetricName": name, "Unit": unit, "Dimensions": dimensions, "Period": 3600,
            "StartTime": around(-1), "EndTime": around(1), "Statistics": ["Sum", "SampleCount"],
        });
        let points = account.aws("cloudwatch", "GetMetricStatistics", asked)["Datapoints"].clone();
        assert_eq!(
            (points.as_array().unwrap().len(), &points[0]["SampleCount"]),
            (1, &json!(1.0)),
            "{name}: {points}"
        );
        points[0]["Sum"].as_f64().unwrap()
    };
    // Without dimensions, moto adds those of functions to the fleet's.
    assert_eq!(sum("Functions", "Count", None), 30.0);
    assert_eq!(sum("TickDuration", "Milliseconds", None), tick["duration_ms"].as_f64().unwrap());
    for round in [&rounds[0], &rounds[29]] {
        let function = round["function"].as_str();
        assert_eq!(sum("Pings", "Count", function), round["pings"].as_f64().unwrap());
        assert_eq!(sum("Target", "Count", function), round["target"].as_f64().unwrap());
        assert_eq!(sum("Reached", "Count", function), round["reached"].as_f64().unwrap());
        assert_eq!(sum("ColdStarts", "Count", function), round["cold"].as_f64().unwrap());
        let cost: f64 = round["cost_usd"]["total"].as_str().unwrap().parse().unwrap();
        assert!(cost > 0.0 && sum("WarmingCost", "None", function) == cost);
    }
    let listed = account.aws("cloudwatch", "ListMetrics", json!({ "Namespace": "moto" }));
    let listed = listed["Metrics"].as_array().unwrap();
    let of = |dimensions: usize| {
        let those =
            listed.iter().filter(|metric| metric["Dimensions"].as_array().unwrap().len() == dimensions);
        those.map(|metric| metric["MetricName"].as_str().unwrap()).collect::<BTreeSet<_>>()
    };
    assert_eq!(
        of(2),
        BTreeSet::from(["ColdStarts", "Pings", "Reached", "S3EgressCost", "Target", "WarmingCost"])
    );
    assert_eq!((of(0).len(), listed.len()), (10, 10 + 6 * 30), "the fleet's, and those of each target");
}

#[test]
#[ignore = "needs moto: tests/moto/run.sh"]
fn the_dashboard_is_taken_as_it_is_printed() {
    let account = Account::new();
    let printed = run(&["dashboard", "--print", "--region", "eu-west-2"]).stdout;
    let put = json!({ "DashboardName": "warmd", "DashboardBody": printed });
    let complaints = account.aws("cloudwatch", "PutDashboard", put);
    assert_eq!(complaints["DashboardValidationMessages"], json!([]));
    let got = account.aws("cloudwatch", "GetDashboard", json!({ "DashboardName": "warmd" }));
    assert_eq!(got["DashboardBody"], printed);
}

#[test]
#[ignore = "needs moto: tests/moto/run.sh"]
fn the_rules_of_the_template_pick_a_warm_request_from_its_bus() {
    let account = Account::new();
    let template: Value = serde_yaml::from_str(include_str!("../../template.yaml")).unwrap();
    account.aws("events", "CreateEventBus", json!({ "Name": "warm-bus" }));
    let queue = |rule: &str| {
        let url = account.aws("sqs", "CreateQueue", json!({ "QueueName": rule }))["QueueUrl"].clone();
        let pattern = template["Resources"][rule]["Properties"]["EventPattern"].to_string();
        // As CloudFormation does it.
        let pattern = pattern.replace("AWS::AccountId", "123456789012");
        account.aws(
            "events",
            "PutRule",
            json!({ "Name": rule, "EventBusName": "warm-bus", "EventPattern": pattern }),
        );
        let target = json!({ "Id": "queue", "Arn": format!("arn:aws:sqs:eu-west-2:123456789012:{rule}") });
        account.aws(
            "events",
            "PutTargets",
            json!({ "Rule": rule, "EventBusName": "warm-bus", "Targets": [target] }),
        );
        url
    };
    let (requests, shards) = (queue("RequestRule"), queue("ShardRule"));
    let warm = |bus| {
        let ask = [
            "warm",
            "nlp:live",
            "-n",
            "5",
            "--for",
            "10m",
            "--reason",
            "token issued",
            "--via-bus",
            "--bus",
            bus,
        ];
        account.run(&ask)
    };
    let asked = warm("warm-bus");
    assert_eq!((asked.code, asked.stderr.as_str()), (0, ""));
    let received = |queue: &Value| {
        let asked = json!({ "QueueUrl": queue, "MaxNumberOfMessages": 10 });
        let messages = account.aws("sqs", "ReceiveMessage", asked)["Messages"].clone();
        let messages = messages.as_array().cloned().unwrap_or_default();
        messages
            .iter()
            .map(|one| serde_json::from_str(one["Body"].as_str().unwrap()).unwrap())
            .collect::<Vec<Value>>()
    };
    let events = received(&requests);
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["source"], &events[0]["detail-type"]), (&json!("warmd"), &json!("Warm Request")));
    let detail =
        json!({ "function": "nlp:live", "concurrency": 5, "for": "600000ms", "reason": "token issued" });
    assert_eq!(events[0]["detail"], detail);
    assert_eq!(received(&shards), Vec::<Value>::new());

    let nowhere = warm("no-bus");
    assert_eq!(nowhere.code, 1, "{}", nowhere.stdout);
    assert!(nowhere.stderr.contains("ResourceNotFoundException"), "{}", nowhere.stderr);
}

#[test]
#[ignore = "needs moto: tests/moto/run.sh"]
fn of_a_lambda_without_a_log_nothing_is_claimed() {
    let account = Account::new();
    // It then answers every invocation with its payload, and with nothing else.
    post(&account.moto, "/moto-api/config", r#"{"lambda": {"use_docker": false}}"#);
    let done = account.run(&["warm", "echo", "-n", "3", "--json"]);
    let round = &done.json()["rounds"][0];
    assert_eq!(
        (done.code, &round["verdict"], &round["evidence"]),
        (0, &json!("unproven"), &json!("unknown"))
    );
    assert_eq!(
        (&round["pings"], &round["unclassified"], &round["reached"]),
        (&json!(3), &json!(3), &Value::Null)
    );
    assert_eq!((&round["billed_ms"], &round["cost_usd"]["total"]), (&Value::Null, &Value::Null));
}

/// moto has neither scaling activities nor tags of scalable targets, and no provisioned concurrency.
#[tokio::test]
#[ignore = "needs moto: tests/moto/run.sh"]
async fn capacity_is_scaled_by_targets_policies_and_actions() {
    let account = Account::new();
    // moto loads a service with its first request, which takes longer than the time limit of a change.
    account.aws(
        "application-autoscaling",
        "DescribeScalableTargets",
        json!({ "ServiceNamespace": "lambda" }),
    );
    let control = AwsScaling::new(std::sync::Arc::new(Clients::local(&account.moto)));
    let region = Region::parse("eu-west-2").unwrap();
    let id = FunctionRef::parse("checkout:live").unwrap().identity(region);
    let of = Place { id: &id, role: None };
    let register = |min, max, suspend, owner: Option<&str>| Change::Register {
        bounds: Some(Bounds { min, max }),
        suspend,
        owner: owner.map(str::to_owned),
    };
    let name = "warmd-a-utilization".to_owned();
    let action = ScheduledAction {
        name: "warmd-a-1".to_owned(),
        schedule: "at(2030-11-23T07:56:00)".to_owned(),
        bounds: Some(Bounds { min: 10, max: 50 }),
    };
    for change in [
        register(0, 0, None, Some("a")),
        register(10, 50, Some(true), None),
        Change::PutPolicy { name: name.clone(), utilization: 70 },
        Change::PutAction(action.clone()),
    ] {
        assert_eq!(control.change(of, &change).await, Ok(()), "{change}");
    }
    for ids in [None, Some(std::slice::from_ref(&id))] {
        let Lookup::Known(listed) = control.scalable_targets(region, None, ids).await else { panic!() };
        let [target] = listed.as_slice() else { panic!("{listed:?}") };
        assert_eq!((&target.id, target.scalable.bounds), (&id, Bounds { min: 10, max: 50 }));
        assert!(
            target.scalable.is_suspended && target.scalable.arn.contains(":scalable-target/"),
            "{target:?}"
        );
    }
    let policy = ScalingPolicy { name: name.clone(), utilization: Some(70) };
    assert_eq!(control.policies(of).await, Lookup::Known(vec![policy]));
    assert_eq!(control.actions(of).await, Lookup::Known(vec![action]));
    let seen = account.aws(
        "application-autoscaling",
        "DescribeScalingPolicies",
        json!({ "ServiceNamespace": "lambda", "ResourceId": "function:checkout:live" }),
    );
    let tracking = &seen["ScalingPolicies"][0]["TargetTrackingScalingPolicyConfiguration"];
    assert_eq!(tracking["TargetValue"], 0.7);

    // The second time there is nothing to delete.
    for _ in 0..2 {
        let delete = [Change::DeleteAction("warmd-a-1".to_owned()), Change::DeletePolicy(name.clone())];
        for change in delete.into_iter().chain([Change::Deregister]) {
            assert_eq!(control.change(of, &change).await, Ok(()), "{change}");
        }
    }
    assert_eq!(control.scalable_targets(region, None, None).await, Lookup::Known(Vec::new()));
    assert_eq!(control.policies(of).await, Lookup::Known(Vec::new()));
}

#[test]
#[ignore = "needs moto: tests/moto/run.sh"]
fn a_dashboard_and_alarms_are_put_read_and_deleted() {
    let account = Account::new();
    let configs = fleet(account.folder.path(), 2);
    // moto has no composite alarms, so the command ends at the first one, and a repetition does not write the others.
    for word in ["created", "unchanged"] {
        let put = account.run(&["alarms", "--put", "--name", "moto", &configs]);
        assert_eq!((put.code, put.stdout.matches(&format!("\n{word} ")).count()), (1, 5), "{}", put.stdout);
        assert!(put.stderr.starts_with("error: warmd-moto-fleet-fast: "), "{}", put.stderr);
    }
    let types = json!({ "AlarmNamePrefix": "warmd-moto-" });
    let found = account.aws("cloudwatch", "DescribeAlarms", types.clone());
    assert_eq!(found["MetricAlarms"].as_array().map(Vec::len), Some(5), "{found}");
    let deleted = account.succeed(&["alarms", "--delete", "--name", "moto"]);
    assert_eq!(deleted.matches("deleted ").count(), 5, "{deleted}");
    let left = account.aws("cloudwatch", "DescribeAlarms", types);
    assert_eq!(left["MetricAlarms"], json!([]));

    assert!(account.succeed(&["dashboard", "--put", "moto"]).contains("\ncreated dashboard moto"));
    assert!(account.succeed(&["dashboard", "--put", "moto"]).contains("\nunchanged dashboard moto"));
    let printed = account.run(&["dashboard", "--print"]).json();
    let put = account.aws("cloudwatch", "GetDashboard", json!({ "DashboardName": "moto" }));
    assert_eq!(serde_json::from_str::<Value>(put["DashboardBody"].as_str().unwrap()).unwrap(), printed);
    account.succeed(&["dashboard", "--delete", "moto"]);
    let theirs = json!({ "DashboardName": "theirs", "DashboardBody": "{\"widgets\":[]}" });
    account.aws("cloudwatch", "PutDashboard", theirs);
    for mode in ["--put", "--delete"] {
        assert_eq!(account.run(&["dashboard", mode, "theirs"]).code, 2);
    }
}
