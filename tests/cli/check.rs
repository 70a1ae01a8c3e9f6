//! `check`, `schema`, `handler` and help.

use serde_json::{Value, json};

use crate::support::{root, run, write};

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
fn the_examples_are_sound() {
    let done = run(&["check"]);
    insta::assert_snapshot!(done.shown(), @r"
    exit 0
    --- stdout
      FUNCTION                                                               REGION        UP TO  EVERY  PROTOCOL  S3 PER COLD START  WINDOWS
      checkout-api:live                                                      eu-west-2         2     5m  warmd                              1
      nlp-by-ping                                                            us-east-1        10    12m  warmd                              1
      nlp-inference:live                                                     eu-west-2        10     5m  warmd                220 MB        1
      nlp-inference:live                                                     us-east-1        10     5m  warmd                220 MB        2
      storefront-ssr:live                                                    eu-west-1        26     5m  opennext                           4
      thumbnails                                                             eu-west-1        10     5m  warmd                              1
      month-end-report                                                       eu-west-1         3     5m  warmd                              1
      arn:aws:lambda:eu-central-1:123456789012:function:partner-quotes:live  eu-central-1      0     5m  custom                             0

    8 targets of 7 functions in 5 files: sound, 1 warning
    --- stderr
    warning: 12 minutes between two rounds are longer than idle environments have been seen to live
      --> warm-configs/nlp-by-ping.yaml:21:15
       |
    21 |     interval: 12m
       |               ^^^
       |
       = hint: 5m or less
    ");
}

#[test]
fn mistakes_are_exit_2_in_every_format() {
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
    assert_eq!(github.stdout.lines().count(), 1, "a hint stays on the line: {}", github.stdout);
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "doubtful.yaml", DOUBTFUL);
    let done = run(&["check", path.to_str().unwrap(), "--format", "json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let object = done.json();
    let said: Vec<String> = object["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            assert_eq!(problem["severity"], "warning");
            format!("{}: {}", problem["line"], problem["message"].as_str().unwrap())
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    3: 9 minutes between two rounds are longer than idle environments have been seen to live
    5: the last date of the calendar `old` has passed
    6: the calendar `spare` is not used
    11: the window does not open in the next year
    ");
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
fn the_schema_is_the_copy_beside_the_examples() {
    let done = run(&["schema"]);
    let copy: Value =
        serde_json::from_str(&std::fs::read_to_string(root().join("warm-configs/schema.json")).unwrap())
            .unwrap();
    assert_eq!(done.json(), copy);
}

#[test]
fn the_tick_object_matches_its_schema() {
    let schema = run(&["schema", "--of", "tick"]).json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for more in ["--local", "--dry-run"] {
        let tick = run(&["run", "--once", "--json", "--at", "2026-11-20T09:00:00Z", more]).json();
        let errors: Vec<String> =
            validator.iter_errors(&tick).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(errors, [""; 0], "{tick}");
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
fn help_tells_the_commands_and_the_exit_codes() {
    let done = run(&["--help"]);
    insta::assert_snapshot!(done.shown(), @r"
    exit 0
    --- stdout
    Keeps AWS Lambda functions warm: N pings at once, so that they reach N distinct environments; proof
    of how many were reached; and what it cost

    Usage: warmd [OPTIONS] <COMMAND>

    Commands:
      run           Keep the fleet warm: as a daemon, or one tick with --once
      warm          Warm one function now: one round, no configuration needed
      check         Validate the configuration: every mistake at once, then one line per target
      plan          Show what will happen: targets over time, in local time and UTC
      explain       Say why a function's target is what it is, window by window, and when it changes
                    next
      diff          Show what a change of configuration will change
      publish       Make a configuration in S3 live, all of it at once, or go back to the one before
      pause         Keep a function, or everything, from being warmed for a while
      resume        End a pause
      status        Show how the last tick went, and what is paused or asked for
      lambda-event  Print a sample of an event that the Lambda takes
      dashboard     Print the CloudWatch dashboard
      iam           Print the IAM policies that a configuration needs
      price         Reckon prices: the price book, and what a month of Lambda, S3 egress or instances
                    costs
      compare       Compare what else would keep the same environments ready, in money
      schema        Print the JSON Schema of the configuration, or of the tick object
      handler       Print the handler snippet that knows warmd's pings
      emulate       Serve the embedded emulator of Lambda, CloudWatch, EventBridge and S3
      help          Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Output:
          --log-format <text|json>     Log format on stderr. Data goes to stdout [default: text]
          --log-level <FILTER>         What to log: error, warn, info, debug, trace, or directives such
                                       as `info,warmd=debug`. [default: info for the daemon, warn
                                       otherwise] [env: RUST_LOG]
          --color <auto|always|never>  Colour: auto is on for a terminal, unless NO_COLOR is set
                                       [default: auto]

    Exit codes:
      0  nothing short
      1  something of warmd's own failed (metrics lost, a round not run), and neither 2 nor 3 applies
      2  usage or configuration: nothing was sent
      3  at least one round is short
      4  `diff --exit-code` found changes
    --- stderr
    ");
    for command in [
        "run", "warm", "check", "plan", "explain", "diff", "price", "compare", "schema", "handler", "emulate",
    ] {
        let done = run(&[command, "--help"]);
        assert_eq!(done.code, 0);
        let wide: Vec<_> = done.stdout.lines().filter(|line| line.chars().count() > 100).collect();
        assert_eq!(wide, Vec::<&str>::new(), "{command}");
    }
}
