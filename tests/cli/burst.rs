//! `warmd burst`: text, JSON, configuration and errors.

use serde_json::{Value, json};

use crate::support::{Done, run, write};

/// The burst of the article.
const EXAMPLE: &str = "burst --arrivals 5k,15k,25k,45k,30k --rate 300 --launch 4s";

fn burst(command: &str) -> Done {
    run(&command.split_whitespace().collect::<Vec<_>>())
}

fn json(command: &str) -> Value {
    let done = burst(&format!("{command} --json"));
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{command}");
    done.json()
}

/// Returns a column of the rows.
fn column(object: &Value, key: &str, rows: usize) -> Vec<Value> {
    object["rows"].as_array().unwrap().iter().take(rows).map(|row| row[key].clone()).collect()
}

#[test]
fn the_figures_of_the_article_are_in_json() {
    let object = json(&format!("{EXAMPLE} --requests-per-invocation 30"));
    assert_eq!(column(&object, "waiting", 6), [5_000, 20_000, 45_000, 90_000, 30_000, 0]);
    assert_eq!(column(&object, "environments", 6), [0, 0, 0, 300, 100, 0]);
    assert_eq!(column(&object, "arrivals", 6), [5_000, 15_000, 25_000, 45_000, 30_000, 0]);
    assert_eq!(object["warnings"], json!([]));
    assert_eq!(
        object["letting_go"]["steps"],
        json!([{ "second": 65, "kept": 100 }, { "second": 66, "kept": 0 }])
    );
    let keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys.join(" "),
        "requests seconds rate launch_s requests_per_invocation within_s max_wait_s hold_for_s max strategy source \
         region architecture memory_mb assumed policies policy rows letting_go warnings"
    );
    let first = &object["policies"][0];
    let keys: Vec<&str> = first.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys.join(" "),
        "policy started most longest_wait_s p99_wait_s empty_at cost lines unreachable"
    );
    // The help names all of them.
    let help = run(&["burst", "--help"]).stdout;
    for key in object.as_object().unwrap().keys().chain(first.as_object().unwrap().keys()) {
        assert!(help.contains(key.as_str()), "{key}");
    }
    let names: Vec<&Value> =
        object["policies"].as_array().unwrap().iter().map(|plan| &plan["policy"]).collect();
    assert_eq!(names, ["backlog", "drain", "cheapest", "none"]);
}

#[test]
fn provisioned_environments_are_let_go_in_steps() {
    let done = burst(&format!("{EXAMPLE} --strategy provisioned --memory 1024MB --source sqs --max 250"));
    insta::assert_snapshot!(done.shown(), @"
    exit 0
    --- stdout
    120,000 requests in 5s, 300 a second served by an environment, launch 4s, by provisioned concurrency

      POLICY    STARTED  LONGEST WAIT  P99 WAIT  EMPTY AT        COST
    > backlog       250            4s        4s       6 s  $0.350891*
      drain          37           10s       10s      15 s  $0.076356*
      cheapest       37           10s       10s      15 s  $0.076356*
      none          250            5s        5s       9 s  $0.048667*
      * assumed: architecture x86_64, region us-east-1

    backlog
      arrivals                        ██████              45,000
                                ▆▆▆▆▆▆████████████
                    ▃▃▃▃▃▃████████████████████████······
      waiting                         ██████              90,000
                                ▄▄▄▄▄▄██████▄▄▄▄▄▄
                    ▂▂▂▂▂▂▆▆▆▆▆▆██████████████████······
      environments                    ██████              250
                                      ██████▇▇▇▇▇▇
                    ··················████████████······
      second        1                                  6

      SECOND  ARRIVALS  WAITING  IN USE  KEPT
           1     5,000    5,000       0     0
           2    15,000   20,000       0     0
           3    25,000   45,000       0     0
           4    45,000   90,000     250   250
           5    30,000   45,000     150   250
           6         0        0       0   250

    letting go
      environments kept: 150 at second 65, 0 at second 66
      later: keeping environments for 120 s instead of 60 s costs nothing more; billing steps are five
        minutes
      earlier: keeping them for 4 s instead of 60 s saves nothing
      the risk of earlier: a second wave waits 4 s for its launch again, up to 115,000 requests

    limits
      ! provisioned concurrency takes a minute or two to prepare, --launch is 4 s: plan with --launch
        2m, or enable it before the burst
      ! an environment takes 10 invocations a second, further ones go to on-demand environments: --rate
        300 needs --requests-per-invocation 30, not 1
      ! 250 environments at second 4 cannot be reached from SQS: an event source begins with 5
        concurrent invocations and adds 300 a minute, which is 25 at second 4 and 250 at second 49
    --- stderr
    ");
}

#[test]
fn long_bursts_are_thinned_in_text_only() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..3_600).map(|second| format!("{second},{}\n", second % 700)).collect();
    let file = write(folder.path(), "hour.csv", &format!("second,requests\n{lines}"));
    let command =
        format!("burst --arrivals {} --rate 2.5 --launch 12s --policy drain --within 30s", file.display());
    let text = burst(&command).stdout;
    assert!(text.lines().count() < 70, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.contains("--json has all"), "{text}");
    let rows = json(&command)["rows"].as_array().unwrap().len();
    assert!(rows > 3_600, "{rows}");
}

#[test]
fn a_bad_file_has_all_its_errors() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "bad.csv", "5k\nfive\n1,2\n");
    let done = burst(&format!("burst --arrivals {} --rate 300 --launch 4s", file.display()));
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    for place in ["bad.csv:2:1", "bad.csv:3:1", "hint: write"] {
        assert!(done.stderr.contains(place), "{}", done.stderr);
    }
    let missing = burst("burst --arrivals no-such-file.csv --rate 300 --launch 4s");
    assert_eq!(missing.code, 2, "{}", missing.stderr);
}

#[test]
fn bad_flags_name_what_is_possible() {
    for (flags, message) in [
        ("--policy fastest", "[possible values: backlog, drain, cheapest, none]"),
        ("--strategy managed", "[possible values: pings, provisioned]"),
        ("--source kinesis", "[possible values: sync, async, sqs]"),
        ("--every 500ms", "expected a duration from 1s to 1d, found \"500ms\""),
        ("--hold-for 1500ms", "expected whole seconds, found \"1500ms\"; write `1s` or `2s`"),
        ("--max 0", "0 is not in 1.."),
        ("--json --yaml", "cannot be used with"),
        ("--policy none --yaml", "the policy none has no configuration"),
    ] {
        let done = burst(&format!("{EXAMPLE} {flags}"));
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{flags}");
        assert!(done.stderr.contains(message), "{flags}: {}", done.stderr);
    }
    let none = burst("burst --arrivals 0,0 --rate 300 --launch 4s");
    assert_eq!(
        (none.code, none.stderr.as_str()),
        (2, "error: --arrivals: expected at least one request, found none\n")
    );
}

#[test]
fn the_configuration_is_valid_and_carries_out_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let check = |done: &Done| {
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        let file = write(folder.path(), "burst.yaml", &done.stdout);
        let checked = run(&["check", file.to_str().unwrap()]);
        assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    };
    let request = burst(&format!("{EXAMPLE} --requests-per-invocation 30 --yaml --function nlp:live"));
    check(&request);
    insta::assert_snapshot!(request.stdout, @r#"
    # backlog: 300 environments for 120,000 requests, all let go by second 66
    version: 1
    functions:
      nlp:live:
        region: us-east-1
        on_request: { max_concurrency: 300, max_for: 2m }
    # Warm Request at the start of the burst:
    # {"function":"nlp:live","concurrency":300,"for":"2m"}
    "#);
    let windows = burst(
        "burst --arrivals 60k,600k,60k,0,0,0,600k --every 2m --rate 10 --launch 90s --memory 1024MB \
         --strategy provisioned --at 2026-11-27T23:55:20Z --yaml",
    );
    check(&windows);
    insta::assert_snapshot!(windows.stdout, @r#"
    # backlog: 4,500 environments for 1,320,000 requests, all let go by second 931
    # warning: provisioned concurrency takes a minute or two to prepare, --launch is 90 s: plan with --launch 2m, or enable it before the burst
    # warning: 4,500 environments at once: an account has a concurrency of 1,000 in a region by default
    version: 1
    limits: { max_in_flight: 4500 }
    functions:
      my-function:live:
        region: us-east-1
        memory: 1024MB
        strategy: provisioned
        windows:
          - { dates: [2026-11-27], hours: "23:56-23:59", concurrency: 4500, lead: 4m, ramp_down: 4m }
          - { dates: [2026-11-28], hours: "00:07-00:11", concurrency: 500, lead: 4m }
    "#);
    // More than a configuration allows.
    let large = burst("burst --arrivals 50M --rate 300 --launch 4s --yaml");
    assert_eq!((large.code, large.stdout.as_str()), (2, ""), "{}", large.stderr);
    assert!(large.stderr.contains("from 1 to 100000, found 166667"), "{}", large.stderr);
}
