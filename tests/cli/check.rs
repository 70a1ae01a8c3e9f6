//! `check`, `schema`, `handler` and help.

use serde_json::{Value, json};

use crate::support::{root, run, write};
use crate::validator::Validator;

const WRONG: &str = "version: 1\nfunctions:\n  f:\n    region: eu-west-2\n    windows: [{ days: mon-fry, hours: all-day, concurrency: 1 }]\n";

const DOUBTFUL: &str = "
version: 1
defaults: { region: eu-west-2, interval: 9m }
calendars:
  old: { dates: [2020-12-25] }
  spare: { dates: [2099-12-25] }
functions:
  f:
    windows:
      - { days: mon, hours: all-day, concurrency: 1, except: [old] }
      - { dates: [2020-01-01], hours: all-day, concurrency: 2 }
";

#[test]
fn the_examples_are_valid() {
    let done = run(&["check"]);
    insta::assert_snapshot!(done.shown(), @r"
    exit 0
    --- stdout
      FUNCTION                                                               REGION        UP TO  EVERY  PROTOCOL  S3 PER COLD START  WINDOWS
      checkout-api:live                                                      eu-west-2         2     5m  warmd                              1
      nlp-by-ping                                                            us-east-1        10    12m  warmd                              1
      nlp-inference:live                                                     eu-west-2        10     5m  warmd                220 MB        2
      nlp-inference:live                                                     us-east-1        10     5m  warmd                220 MB        2
      storefront-ssr:live                                                    eu-west-1        26     5m  opennext                           4
      thumbnails                                                             eu-west-1        10     5m  warmd                              1
      month-end-report                                                       eu-west-1         3     5m  warmd                              1
      arn:aws:lambda:eu-central-1:123456789012:function:partner-quotes:live  eu-central-1      0     5m  custom                             0

    8 targets of 7 functions in 6 files: valid, 1 warning
    --- stderr
    warning: an interval of 12 minutes is longer than the observed lifetime of idle environments
      --> warm-configs/nlp-by-ping.yaml:21:15
       |
    21 |     interval: 12m
       |               ^^^
       |
       = hint: set it to `5m` or less
    ");
}

#[test]
fn mistakes_exit_with_2_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "wrong.yaml", WRONG);
    let path = path.to_str().unwrap();
    let check = |format: &str| run(&["check", path, "--format", format]);
    let text = check("text");
    assert_eq!((text.code, text.stdout.as_str()), (2, ""));
    assert!(text.stderr.contains("wrong.yaml:5:27") && text.stderr.contains("^^^"), "{}", text.stderr);
    let object = check("json");
    assert_eq!((object.code, object.stderr.as_str()), (2, ""));
    let problem = &object.json()["problems"][0];
    assert_eq!(
        [&problem["severity"], &problem["line"], &problem["column"]],
        [&json!("error"), &json!(5), &json!(27)]
    );
    let github = check("github");
    assert_eq!((github.code, github.stderr.as_str()), (2, ""));
    assert!(
        github.stdout.starts_with(&format!("::error file={path},line=5,col=27,endColumn=")),
        "{}",
        github.stdout
    );
    assert_eq!(github.stdout.lines().count(), 1, "one line per problem: {}", github.stdout);
}

#[test]
fn probable_mistakes_are_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "doubtful.yaml", DOUBTFUL);
    let done = run(&["check", path.to_str().unwrap(), "--format", "json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let object = done.json();
    let messages: Vec<String> = object["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            assert_eq!(problem["severity"], "warning");
            format!("{}: {}", problem["line"], problem["message"].as_str().unwrap())
        })
        .collect();
    insta::assert_snapshot!(messages.join("\n"), @r#"
    3: an interval of 9 minutes is longer than the observed lifetime of idle environments
    5: the last date of the calendar "old" has passed
    6: unused calendar "spare"
    11: the window does not open in the next year
    "#);
    let target = &object["targets"][0];
    assert_eq!(
        [&target["function"], &target["highest"], &target["interval_minutes"]],
        [&json!("f"), &json!(2), &json!(9)]
    );
    let text = run(&["check", path.to_str().unwrap()]);
    assert!(
        text.stdout.ends_with("warnings\n") && text.stderr.contains("doubtful.yaml:3:"),
        "{}{}",
        text.stdout,
        text.stderr
    );
}

#[test]
fn the_strategies_that_change_capacity_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = "version: 1
defaults: { region: eu-west-2, interval: 9m }
functions:
  f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
  g:live: { strategy: provisioned, provisioned: { fallback: none }, windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  h:1: { strategy: managed, enabled: false }
";
    let path = write(folder.path(), "fleet.yaml", fleet);
    let shown = run(&["check", path.to_str().unwrap()]).shown().replace(folder.path().to_str().unwrap(), "");
    insta::assert_snapshot!(shown, @"
    exit 0
    --- stdout
      FUNCTION  REGION     UP TO  EVERY  PROTOCOL  STRATEGY     WINDOWS
      f         eu-west-2      1     9m  warmd                        1
      g:live    eu-west-2      2     9m  warmd     provisioned        1
      h:1       eu-west-2      0     9m  warmd     managed            0

    3 targets of 3 functions in 1 file: valid, 1 warning
    --- stderr
    warning: an interval of 9 minutes is longer than the observed lifetime of idle environments
     --> /fleet.yaml:2:42
      |
    2 | defaults: { region: eu-west-2, interval: 9m }
      |                                          ^^
      |
      = hint: set it to `5m` or less
    ");
    let object = run(&["check", path.to_str().unwrap(), "--format", "json"]).json();
    let strategies: Vec<&Value> =
        object["targets"].as_array().unwrap().iter().map(|it| &it["strategy"]).collect();
    assert_eq!(strategies, ["pings", "provisioned", "managed"]);
}

#[test]
fn the_schema_equals_the_copy_in_warm_configs() {
    let done = run(&["schema"]);
    let copy: Value =
        serde_json::from_str(&std::fs::read_to_string(root().join("warm-configs/schema.json")).unwrap())
            .unwrap();
    assert_eq!(done.json(), copy);
}

#[test]
fn the_tick_object_matches_its_schema() {
    let schema = run(&["schema", "--of", "tick"]).json();
    let validator = Validator::new(schema);
    assert!(!validator.is_valid(&serde_json::json!({})));
    for more in ["--local", "--dry-run"] {
        let tick = run(&["run", "--once", "--json", "--at", "2026-11-20T09:00:00Z", more]).json();
        assert_eq!(validator.errors(&tick), [""; 0], "{tick}");
        assert!(!tick["rounds"].as_array().unwrap().is_empty());
    }
}

#[test]
fn handlers_are_printed() {
    for (language, part) in [("python", "def "), ("node", "export "), ("rust", "fn ")] {
        let done = run(&["handler", language]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        assert!(done.stdout.contains(part), "{language}");
    }
    assert_eq!(run(&["handler", "cobol"]).code, 2);
}

#[test]
fn help_lists_commands_and_exit_codes() {
    let done = run(&["--help"]);
    insta::assert_snapshot!(done.shown(), @r"
    exit 0
    --- stdout
    Keeps AWS Lambda functions warm. Each round sends N pings at once, so that they reach N distinct
    execution environments, proves how many were reached, and reports the cost

    Usage: warmd [OPTIONS] <COMMAND>

    Commands:
      run           Keep the fleet warm, as a daemon or for one tick with --once
      warm          Warm one function now, or a new version like its alias
      check         Validate the configuration and list all mistakes and targets
      plan          Show windows, rounds and costs over time, in local time and UTC
      explain       Explain the desired concurrency of a function, window by window, and its next change
      diff          Compare two configurations: targets, rounds and costs
      publish       Publish a configuration to S3 atomically, or roll back
      pause         Pause the warming of a function or of the fleet
      resume        End a pause
      status        Show the last tick, pauses, requests, and what the guards found
      history       Show the history in the state store: coverage, pings, cold starts and cost by hour
      report        Report coverage, cold starts and cost of a past period, also as a page
      canary        List what first pings showed of handlers, or allow pings to an unsafe one again
      capacity      Show, release or take over provisioned concurrency and managed instances
      lambda-event  Print a sample event for the Lambda
      dashboard     Print, put or delete the CloudWatch dashboard
      alarms        Print, put or delete the CloudWatch alarms of the fleet and of functions
      iam           Print the IAM policies for a configuration
      price         Calculate prices of Lambda, S3 egress and EC2, or list the price book
      compare       Compare the cost of pings with that of the alternatives
      burst         Plan the environments of a burst: how many, when, and how they are let go
      probe         Measure a function: its idle life, its ramp under users, its hold, its memory
      schema        Print the JSON Schema of the configuration, or of the tick object
      handler       Print a handler snippet that answers pings
      emulate       Serve the embedded emulator of Lambda, CloudWatch, EventBridge and S3
      help          Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Output:
          --log-format <text|json>     Format of logs, which go to stderr. Data goes to stdout [default:
                                       text]
          --log-level <FILTER>         Log filter: error, warn, info, debug, trace, or directives such
                                       as `info,warmd=debug`. Logs of dependencies are limited to debug:
                                       at trace, the AWS SDK logs credentials. [default: info for the
                                       daemon, warn otherwise] [env: RUST_LOG]
          --color <auto|always|never>  Use of colour. auto: on a terminal, unless NO_COLOR is set
                                       [default: auto]

    Exit codes:
      0  success; also if the reader of the output closes it, as in `warmd plan | head -1`
      1  internal failure, if neither 2 nor 3 applies: CloudWatch did not acknowledge metrics, a round
         was not run, the state store could not be read or written, a tick of the daemon panicked,
         `check --live` could not compare a target, or `capacity` could not read, delete or take over
         one
      2  invalid usage or configuration, or an error found by `check --live`; nothing was sent
      3  at least one round is short: it reached fewer environments than desired; or unsafe: its handler
         took a ping for work; with `warm --require-reached` also if a round is not proven
      4  `diff --exit-code` found changes
      5  the cost is above `diff --fail-above`; goes before 4

    Environment:
      Credentials, profiles and regions are those of every AWS SDK. All clients use AWS_ENDPOINT_URL
      (also for one service: AWS_ENDPOINT_URL_LAMBDA, _S3, _CLOUDWATCH, _EVENTBRIDGE), SSL_CERT_FILE,
      HTTPS_PROXY and NO_PROXY. With an S3 endpoint, the bucket is part of the path. A function is
      always called in its own region.

    Text from outside (owners, reasons, messages of functions and services, file names, state documents)
    is escaped: control characters, line ends and bidirectional controls appear as \n or \u{202e}.
    Markdown output shows it as code. JSON output contains it unchanged.
    --- stderr
    ");
    let commands = done.stdout.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap().lines();
    for command in commands.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        let done = run(&[command, "--help"]);
        assert_eq!(done.code, 0);
        let wide: Vec<_> = done.stdout.lines().filter(|line| line.chars().count() > 100).collect();
        assert_eq!(wide, Vec::<&str>::new(), "{command}");
    }
}
