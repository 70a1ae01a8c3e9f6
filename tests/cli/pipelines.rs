//! Pipelines in the commands: selection, chains, pauses and the last results.

use serde_json::{Value, json};

use crate::support::{Done, Fixture, run, write};

/// The pipeline of 600 requests a second through three stages.
const NLP: &str = "version: 1
defaults: { region: us-east-1, timezone: Europe/London }
functions:
  infer:live: { assume: { init_duration: 8s } }
pipelines:
  nlp:
    windows: [{ days: mon-fri, hours: \"08:00-18:00\", load: { requests_per_second: 600 } }]
    stages:
      - { function: preprocess:live, takes: 20, rate: 600, per_backlog: 6000 }
      - { parts: [encode-a:live, encode-b:live], rate: 300 }
      - { function: infer:live, rate: 300, per_backlog: 300, payload: 2MB, via: s3 }
";

fn nlp() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "nlp.yaml", NLP).to_str().unwrap().to_owned();
    (folder, path)
}

/// Returns the part of a text from the line that begins with `start` on, up to the next empty line.
fn part(text: &str, start: &str) -> String {
    let lines = text.lines().skip_while(|line| !line.starts_with(start));
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn failed(done: &Done) -> &str {
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    &done.stderr
}

#[test]
fn check_counts_pipelines() {
    let (_folder, path) = nlp();
    let checked = run(&["check", &path]);
    assert!(
        checked.stdout.ends_with("4 targets of 4 functions and 1 pipeline in 1 file: valid, 0 warnings\n"),
        "{}{}",
        checked.stdout,
        checked.stderr
    );
    let object = run(&["check", &path, "--format", "json"]).json();
    assert_eq!(
        object["pipelines"],
        json!([{
            "name": "nlp",
            "region": "us-east-1",
            "stages": [["preprocess:live"], ["encode-a:live", "encode-b:live"], ["infer:live"]],
        }])
    );
}

#[test]
fn a_plan_of_a_pipeline_has_its_chain_and_its_functions() {
    let (_folder, path) = nlp();
    let period = ["--from", "2026-11-23", "--for", "7d"];
    let planned = run(&[&["plan", &path, "--function", "nlp"][..], &period].concat());
    insta::assert_snapshot!(part(&planned.stdout, "pipeline"), @"
    pipeline nlp (us-east-1)
      STAGE                            ENVIRONMENTS  PER BACKLOG  TAKES   RATE        COLD START
      1 preprocess:live                           1        6,000     20  600/s           10.0 s*
      2 encode-a:live + encode-b:live             2                   1  300/s  10.0 s*, 10.0 s*
      3 infer:live                                2          300      1  300/s             8.0 s
      cold latency  38.0 s* one after the other, 10.0 s* overlapped
      * assumed: init_duration
      load while open 600/s: 108,000,000 requests in this period
      payload of infer:live, 2.00 MB through S3: a PUT and a GET for each request
        ROUTE               PER REQUEST  IN THIS PERIOD
        same-region          $0.0000054         $583.20
        nat-gateway           $0.000173      $18,688.12
        interface-endpoint  $0.00004265       $4,606.52
        internet              $0.000173      $14,532.68
      payloads are a cost of the users' requests, and not part of the totals
    ");
    for function in ["preprocess:live", "encode-a:live", "encode-b:live", "infer:live"] {
        assert!(planned.stdout.contains(&format!("\n{function} (us-east-1)")), "{}", planned.stdout);
    }
    let object = run(&[&["plan", &path, "--json"][..], &period].concat()).json();
    let mut pipelines = object["pipelines"].clone();
    let payload = pipelines[0]["stages"][2]["payload"].take();
    assert_eq!(
        pipelines,
        json!([{
            "name": "nlp",
            "region": "us-east-1",
            "stages": [
                {
                    "functions": ["preprocess:live"],
                    "environments": { "lowest": 1, "highest": 1 },
                    "per_backlog": 6000, "takes": 20, "rate": "600",
                    "init_ms": [10_000], "assumed": true, "never_warmed": [], "payload": null,
                },
                {
                    "functions": ["encode-a:live", "encode-b:live"],
                    "environments": { "lowest": 2, "highest": 2 },
                    "per_backlog": null, "takes": 1, "rate": "300",
                    "init_ms": [10_000, 10_000], "assumed": true, "never_warmed": [], "payload": null,
                },
                {
                    "functions": ["infer:live"],
                    "environments": { "lowest": 2, "highest": 2 },
                    "per_backlog": 300, "takes": 1, "rate": "300",
                    "init_ms": [8_000], "assumed": false, "never_warmed": [], "payload": null,
                },
            ],
            "cold_latency_ms": { "sequential": 38_000, "overlapped": 10_000, "assumed": true },
            "loads": ["600"],
            "requests": "108000000",
        }])
    );
    assert_eq!((&payload["bytes"], &payload["via"]), (&json!(2_000_000), &json!("s3")));
    let routes: Vec<_> = payload["routes"].as_array().unwrap().iter().map(|route| &route["route"]).collect();
    assert_eq!(routes, ["same-region", "nat-gateway", "interface-endpoint", "internet"]);
    let same = &payload["routes"][0];
    assert_eq!((&same["usd_per_request"], &same["cost"]["total"]), (&json!("0.0000054"), &json!("583.20")));
    // The chain of a single function is not shown.
    let one = run(&["plan", &path, "--function", "infer:live", "--json"]).json();
    assert_eq!((&one["pipelines"], one["functions"].as_array().unwrap().len()), (&json!([]), 1));
}

#[test]
fn a_chain_is_explained_at_a_minute() {
    let (_folder, path) = nlp();
    let explained = run(&["explain", "nlp", &path, "--at", "2026-11-23T07:59:30Z"]);
    insta::assert_snapshot!(explained.shown(), @"
    exit 0
    --- stdout
    pipeline nlp (us-east-1) at Mon 23 Nov 2026 07:59 GMT (07:59 UTC)
      STAGE                            ENVIRONMENTS  PER BACKLOG  TAKES   RATE        COLD START
      1 preprocess:live                           1        6,000     20  600/s           10.0 s*
      2 encode-a:live + encode-b:live             2                   1  300/s  10.0 s*, 10.0 s*
      3 infer:live                                2          300      1  300/s             8.0 s
      cold latency  38.0 s* one after the other, 10.0 s* overlapped
      * assumed: init_duration

      WINDOW           STATE    OPENS                 CLOSES                 BY STAGE
    ↗ nlp: windows[0]  leading  Mon 23 Nov 08:00 GMT  Mon 23 Nov 18:00 GMT  1 · 2 · 2

    next change: to 0 · 0 · 0 at Mon 23 Nov 18:00 GMT
    --- stderr
    ");
    let object = run(&["explain", "nlp", &path, "--json", "--at", "2026-11-23T12:00:00Z"]).json();
    let numbers: Vec<_> = object["stages"].as_array().unwrap().iter().map(|stage| &stage["target"]).collect();
    assert_eq!(numbers, [1, 2, 2]);
    assert_eq!((&object["pipeline"], &object["at"]), (&json!("nlp"), &json!("2026-11-23T12:00:00Z")));
    assert_eq!(object["stages"][0]["next_change"], json!({ "at": "2026-11-23T18:00:00Z", "target": 0 }));
    assert_eq!(object["stages"][2]["windows"][0]["window"], "nlp: windows[0]");
    let function = run(&["explain", "infer:live", &path, "--at", "2026-11-23T12:00:00Z"]);
    assert!(function.stdout.contains("nlp: windows[0]  open"), "{}", function.stdout);
}

#[test]
fn mistakes_in_the_name_have_a_hint() {
    let (folder, path) = nlp();
    let wrong = run(&["plan", &path, "--function", "nlpp"]);
    insta::assert_snapshot!(failed(&wrong), @r#"
    error: "nlpp" is not in the configuration
    hint: did you mean `nlp`?
    "#);
    insta::assert_snapshot!(failed(&run(&["explain", "infer", &path])), @r#"
    error: "infer" is not in the configuration
    hint: did you mean `infer:live`?
    "#);
    insta::assert_snapshot!(failed(&run(&["explain", "nlp", &path, "--live"])), @"error: --live needs a function, and `nlp` is a pipeline");
    insta::assert_snapshot!(failed(&run(&["explain", "nlp", &path, "--tenant", "a"])), @"error: --tenant needs a function, and `nlp` is a pipeline");
    insta::assert_snapshot!(failed(&run(&["explain", "nlp", &path, "--region", "eu-west-2"])), @"error: `nlp` is not configured in eu-west-2, only in us-east-1");
    let both = NLP.replace("region: us-east-1", "regions: [us-east-1, eu-west-2]");
    let both = write(folder.path(), "both.yaml", &both);
    let both = both.to_str().unwrap();
    insta::assert_snapshot!(failed(&run(&["explain", "nlp", both])), @"error: `nlp` is configured in several regions: add --region with one of us-east-1, eu-west-2");
    let one = run(&["explain", "nlp", both, "--region", "eu-west-2", "--json"]).json();
    assert_eq!(one["region"], "eu-west-2");
    assert_eq!(
        run(&["plan", both, "--function", "nlp", "--json"]).json()["pipelines"].as_array().unwrap().len(),
        2
    );
}

#[test]
fn a_comparison_adds_up_the_functions() {
    let (_folder, path) = nlp();
    let period = ["--from", "2026-11-23", "--for", "28d"];
    let compared = run(&[&["compare", &path, "--function", "nlp"][..], &period].concat());
    insta::assert_snapshot!(part(&compared.stdout, "pipeline"), @"
    pipeline nlp (us-east-1): the sum of 4 functions
      OPTION                   COLD STARTS       TOTAL  NOTE
    > pings                            840      $0.02*  cheapest
      provisioned, in windows            0      $3.38*
      provisioned, always                0      $8.85*
      managed instances                  0  $1,655.36*
      EC2 instances                      0  $1,439.44*
      no warming                   unknown     unknown
    ");
    let object = run(&[&["compare", &path, "--json"][..], &period].concat()).json();
    let pipeline = &object["pipelines"][0];
    assert_eq!((&pipeline["name"], &pipeline["cheapest"]), (&json!("nlp"), &json!("pings")));
    let total = |option: &Value| option["total"].as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap();
    let functions = object["functions"].as_array().unwrap();
    let sum: rust_decimal::Decimal = functions.iter().map(|function| total(&function["options"][1])).sum();
    assert_eq!(total(&pipeline["options"][1]), sum);
    let one = run(&["compare", &path, "--function", "infer:live"]);
    assert!(!one.stdout.contains("pipeline"), "{}", one.stdout);
}

#[test]
fn a_difference_begins_with_the_pipelines() {
    let (folder, path) = nlp();
    let new = NLP.replace("requests_per_second: 600", "requests_per_second: 900").replace("2MB", "3MB");
    let new = write(folder.path(), "new.yaml", &new);
    let args = ["diff", &path, new.to_str().unwrap(), "--from", "2026-11-23", "--exit-code"];
    let changed = run(&args);
    assert_eq!(changed.code, 4);
    insta::assert_snapshot!(part(&changed.stdout, "~ pipeline"), @"
    ~ pipeline nlp (us-east-1)
        load 600/s → 900/s
        preprocess:live: environments 1 → 2
        encode-a:live + encode-b:live: environments 2 → 3
        infer:live: environments 2 → 3
        infer:live: payload 2.00 MB via s3 → 3.00 MB via s3
    ");
    let object = run(&[&args[..], &["--format", "json"]].concat()).json();
    assert_eq!(
        (&object["pipelines"][0]["change"], &object["pipelines"][0]["settings"][0]),
        (&json!("changed"), &json!({ "name": "load", "before": "600/s", "after": "900/s" }))
    );
    assert_eq!(run(&["diff", &path, &path, "--exit-code"]).code, 0);
}

#[test]
fn a_pipeline_is_paused_shown_and_resumed() {
    let (folder, path) = nlp();
    let state = folder.path().join("state");
    let state = state.to_str().unwrap();
    let pause = |args: &[&str]| {
        run(&[&["pause", "--state", state, "--for", "1h", "--reason", "a new model"], args].concat())
    };
    let paused = pause(&["--pipeline", "nlp"]);
    assert!(paused.stdout.starts_with("pipeline nlp paused until ") && paused.code == 0, "{}", paused.stderr);
    assert!(pause(&["--pipeline", "nlp"]).stdout.contains("this replaces an earlier pause"));
    let shown = run(&["status", "--state", state]);
    assert!(shown.stdout.contains("\npipeline nlp is paused until "), "{}", shown.stdout);
    let object = run(&["status", "nlp", "--state", state, "--json"]).json();
    let listed = &object["pauses"]["pipelines"][0];
    assert_eq!((&listed["pipeline"], &listed["reason"]), (&json!("nlp"), &json!("a new model")));
    let explained = run(&["explain", "nlp", &path, "--state", state]);
    assert!(
        explained.stdout.starts_with("pipeline nlp (us-east-1) is paused until "),
        "{}",
        explained.stdout
    );

    let resume = |args: &[&str]| run(&[&["resume", "--state", state], args].concat());
    assert_eq!(resume(&["--pipeline", "other"]).stdout, "pipeline other was not paused\n");
    assert_eq!(resume(&["--pipeline", "nlp"]).stdout, "pipeline nlp resumed\n");
    assert!(!run(&["status", "--state", state]).stdout.contains("paused"));
    pause(&["--pipeline", "nlp"]);
    assert_eq!(resume(&["--all"]).stdout, "everything resumed\n");

    insta::assert_snapshot!(failed(&pause(&["--pipeline", " "])), @"
    error: invalid value ' ' for '--pipeline <NAME>': expected the name of a pipeline, found a blank text

    For more information, try '--help'.
    ");
    for mistake in [&["f:live", "--pipeline", "nlp"][..], &["--all", "--pipeline", "nlp"], &[]] {
        assert_eq!(pause(mistake).code, 2, "{mistake:?}");
    }
}

/// A record of two pipelines. The name of one has control characters.
const STATUS: &str = r#"{"tick":"2026-11-20T09:15:00Z","config":null,"config_behind_since":null,"duration_ms":80,
    "unfinished":0,"targets":{},"pipelines":[
    {"name":"nlp","region":"us-east-1","tick":"2026-11-20T09:15:00Z","warm":false,"cold_stages":["infer:live"]},
    {"name":"a\u001b[2J b","region":"eu-west-2","tick":"2026-11-20T09:10:00Z","warm":null,"cold_stages":[]}]}"#;

#[test]
fn the_last_results_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "status.1.json", STATUS);
    let state = folder.path().to_str().unwrap();
    let shown = run(&["status", "--state", state]);
    let lines: Vec<&str> = shown.stdout.lines().filter(|line| line.contains("pipeline")).collect();
    let lines: Vec<&str> =
        lines.iter().filter_map(|line| line.rsplit_once(" (")).map(|(line, _)| line).collect();
    assert_eq!(
        lines,
        ["  pipeline nlp us-east-1: cold: infer:live", r"  pipeline a\u{1b}[2J b eu-west-2: unknown"],
        "{}",
        shown.stderr
    );
    let object = run(&["status", "nlp", "--state", state, "--json"]).json();
    assert_eq!(
        object["status"]["pipelines"],
        json!([{
            "name": "nlp", "region": "us-east-1", "tick": "2026-11-20T09:15:00Z",
            "warm": false, "cold_stages": ["infer:live"],
        }])
    );
    insta::assert_snapshot!(failed(&run(&["status", "nlpp", "--state", state])), @r#"
    error: the state store has no record of "nlpp"
    hint: did you mean `nlp`?
    "#);
    // A pause of a name that no tick has served has a hint.
    let paused = run(&["pause", "--pipeline", "nlpp", "--for", "1h", "--reason", "x", "--state", state]);
    assert!(paused.stderr.contains("did you mean `nlp`?"), "{}", paused.stderr);
}

#[test]
fn capacity_and_live_checks_know_pipelines() {
    let slow = NLP
        .replace("assume:", "timeout: 30s, assume:")
        .replace("infer:live:", "preprocess:live: { strategy: provisioned }\n  infer:live:");
    let account = Fixture::with_functions(&slow, "default: { timeout: 3s }\n");
    let state = account.folder.path().join("state");
    let args = |name| ["capacity", "status", name, "--json", "--state", state.to_str().unwrap(), "--configs"];
    let configs = account.configs();
    let known = account.run(&[&args("nlp")[..], &[&configs]].concat());
    let functions: Vec<Value> = serde_json::from_str(&known.stdout).unwrap();
    assert_eq!(functions.iter().map(|report| &report["function"]).collect::<Vec<_>>(), ["preprocess"]);
    let wrong = account.run(&[&args("nlq")[..], &[&configs]].concat());
    insta::assert_snapshot!(failed(&wrong), @r#"
    error: "nlq" is neither in the configuration nor in the state store
    hint: did you mean `nlp`?
    "#);
    let checked = account.run(&["check", "--live", &configs]);
    let found = checked.stderr.lines().filter(|line| line.contains("`infer:live`")).collect::<Vec<_>>();
    insta::assert_snapshot!(found.join("\n"), @r#"warning: `infer:live` in us-east-1 has a timeout of 3s, but 30s is configured, in the pipeline "nlp""#);
}
