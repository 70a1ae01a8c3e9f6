//! `plan`, `explain` and `diff`.

use serde_json::{Value, json};

use crate::support::{run, write};

const OFFICE: &str = "
version: 1
defaults: { region: eu-west-2, timezone: Europe/London, interval: 30m }
functions:
  nlp-inference:live:
    regions: [eu-west-2, us-east-1]
    windows:
      - { days: daily, hours: \"08:00-10:00\", concurrency: 10, lead: 1h }
      - { days: sat, hours: \"22:00-06:00\", concurrency: 2, regions: [us-east-1] }
";

fn office() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "office.yaml", OFFICE);
    (folder, path.to_str().unwrap().to_owned())
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_plan_over_the_autumn_change() {
    let (_folder, path) = office();
    let done =
        run(&["plan", &path, "--from", "2026-10-24", "--until", "2026-10-27", "--zone", "Europe/London"]);
    insta::assert_snapshot!(done.shown(), @"
    exit 0
    --- stdout
    plan from 2026-10-23 23:00 UTC until 2026-10-27 00:00 UTC

    nlp-inference:live (eu-west-2), every 30 minutes, times in Europe/London: 18 rounds, 180 pings
      LOCAL TIME                    UTC                   DESIRED  ROUNDS  PINGS
      Sat 24 Oct 07:00 – 10:00 BST  24 Oct 06:00 – 09:00       10       6     60
    ! clocks go back 1h on Sun 25 Oct: 02:00 BST becomes 01:00 GMT
      Sun 25 Oct 07:00 – 10:00 GMT  25 Oct 07:00 – 10:00       10       6     60
      Mon 26 Oct 07:00 – 10:00 GMT  26 Oct 07:00 – 10:00       10       6     60
                  00    03    06    09    12    15    18    21
      Sat 24 Oct  ··············██████····························
      Sun 25 Oct  ··············██████····························
      Mon 26 Oct  ··············██████····························
      cost $0.00*: 180 cold starts, 0 B from S3
        ITEM                                          QUANTITY  UNIT             PRICE  AMOUNT
        Lambda requests                                    180  request     $0.0000002   $0.00
        Lambda compute x86_64, first 6 billion GB-s      225.1  GB-s     $0.0000166667   $0.00
        CloudWatch Logs of pings                     0.0000671  GiB            $0.5985   $0.00
      * assumed: idle_life 5m, ping_duration 5ms, init_duration 10s, log_bytes_per_ping 400, memory
        128MB, architecture x86_64

    nlp-inference:live (us-east-1), every 30 minutes, times in Europe/London: 36 rounds, 216 pings
      LOCAL TIME                                   UTC                          DESIRED  ROUNDS  PINGS
      Sat 24 Oct 07:00 – 10:00 BST                 24 Oct 06:00 – 09:00              10       6     60
      Sat 24 Oct 22:00 BST – Sun 25 Oct 06:00 GMT  24 Oct 21:00 – 25 Oct 06:00        2      18     36
    ! clocks go back 1h on Sun 25 Oct: 02:00 BST becomes 01:00 GMT
      Sun 25 Oct 07:00 – 10:00 GMT                 25 Oct 07:00 – 10:00              10       6     60
      Mon 26 Oct 07:00 – 10:00 GMT                 26 Oct 07:00 – 10:00              10       6     60
                  00    03    06    09    12    15    18    21
      Sat 24 Oct  ··············██████························▂▂▂▂
      Sun 25 Oct  ▂▂▂▂▂▂▂▂▂▂▂▂··██████····························
      Mon 26 Oct  ··············██████····························
      cost $0.00*: 216 cold starts, 0 B from S3
        ITEM                                          QUANTITY  UNIT             PRICE  AMOUNT
        Lambda requests                                    216  request     $0.0000002   $0.00
        Lambda compute x86_64, first 6 billion GB-s      270.1  GB-s     $0.0000166667   $0.00
        CloudWatch Logs of pings                     0.0000805  GiB               $0.5   $0.00
      * assumed: idle_life 5m, ping_duration 5ms, init_duration 10s, log_bytes_per_ping 400, memory
        128MB, architecture x86_64

    2 targets: 54 rounds, 396 pings
      OWNER                       TARGETS  PINGS  COLD STARTS  FROM S3    COST
      no owner                          2    396          396      0 B  $0.00*
      warmd itself, in eu-west-2                                        $1.08*
      total                                                             $1.08*
      warming $0.01*, observing $1.07* (metrics, dashboard, alarms, reads of metrics, log of warmd)

      ITEM                                                                      QUANTITY  UNIT             AMOUNT
      Lambda requests, eu-west-2                                                     180  request           $0.00
      Lambda compute x86_64, eu-west-2, first 6 billion GB-s                       225.1  GB-s              $0.00
      CloudWatch Logs of pings, eu-west-2                                      0.0000671  GiB               $0.00
      Lambda requests, us-east-1                                                     216  request           $0.00
      Lambda compute x86_64, us-east-1, first 6 billion GB-s                       270.1  GB-s              $0.00
      CloudWatch Logs of pings, us-east-1                                      0.0000805  GiB               $0.00
      warmd itself: Lambda requests, eu-west-2                                     4,380  request           $0.00
      warmd itself: Lambda compute arm64, eu-west-2, first 7.5 billion GB-s      1,088.0  GB-s              $0.01
      warmd itself: CloudWatch metrics, eu-west-2, first 10,000 metric-months      1.300  metric-month      $0.39
      warmd itself: CloudWatch dashboards, eu-west-2                                 0.1  dashboard-month   $0.30
      warmd itself: CloudWatch alarms, eu-west-2                                   2.400  alarm-month       $0.24
      warmd itself: CloudWatch composite alarms, eu-west-2                           0.2  alarm-month       $0.10
      warmd itself: PutMetricData requests, eu-west-2                              4,380  request           $0.04
      warmd itself: CloudWatch Logs, eu-west-2                                   0.00413  GiB               $0.00
      warmd itself: EventBridge events, eu-west-2                                  4,380  event             $0.00
      estimates at list prices, without free tiers; * depends on assumptions
    --- stderr
    ");
}

#[test]
fn the_plan_object_is_exact() {
    let (_folder, path) = office();
    let done =
        run(&["plan", &path, "--json", "--from", "2026-11-20", "--for", "1d", "--regions", "eu-west-2"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let mut object = done.json();
    assert_eq!(keys(&object), ["from", "until", "functions", "pipelines", "cost"]);
    assert_eq!(
        keys(&object["functions"][0]),
        [
            "function",
            "region",
            "tenant",
            "strategy",
            "capped_from",
            "skipped",
            "segments",
            "rounds",
            "pings",
            "findings",
            "cost"
        ]
    );
    // Other tests check costs.
    object["functions"][0]["cost"] = Value::Null;
    object["cost"] = Value::Null;
    assert_eq!(
        object,
        json!({"from":"2026-11-20T00:00:00Z","until":"2026-11-21T00:00:00Z","functions":[{"function":"nlp-inference:live","region":"eu-west-2","tenant":null,"strategy":"pings","capped_from":null,"skipped":null,"segments":[{"from":"2026-11-20T07:00:00Z","until":"2026-11-20T10:00:00Z","target":10}],"rounds":6,"pings":60,"findings":[],"cost":null}],"pipelines":[],"cost":null})
    );
}

#[test]
fn the_first_minute_has_a_round_only_at_a_rise() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.yaml", &OFFICE.replace("08:00", "08:10"));
    let rounds = |from: &str| {
        let args = [
            "plan",
            path.to_str().unwrap(),
            "--json",
            "--from",
            from,
            "--for",
            "20m",
            "--regions",
            "eu-west-2",
        ];
        run(&args).json()["functions"][0]["rounds"].clone()
    };
    // The round at 07:10 is due to the rise, that at 07:30 to the interval.
    assert_eq!(rounds("2026-11-20T07:10:00Z"), 1);
    assert_eq!(rounds("2026-11-20T07:11:00Z"), 1, "includes 07:30");
    assert_eq!(rounds("2026-11-20T07:09:30Z"), 1, "the first whole minute is 07:10");
    assert_eq!(rounds("2026-11-20T07:31:00Z"), 0);
}

#[test]
fn a_date_is_midnight_in_the_zone() {
    let (_folder, path) = office();
    let from = |zone: &[&str]| {
        run(&[&["plan", &path, "--json", "--from", "2026-07-01"], zone].concat()).json()["from"].clone()
    };
    assert_eq!(from(&[]), "2026-07-01T00:00:00Z");
    assert_eq!(from(&["--zone", "Europe/London"]), "2026-06-30T23:00:00Z");
    for (args, part) in [
        (&["--from", "tomorrow"][..], "or a date such as"),
        (
            &["--from", "2026-07-02", "--until", "2026-07-01"],
            "--until (2026-07-01 00:00 UTC) must be after --from (2026-07-02 00:00 UTC)",
        ),
        (&["--for", "99999d"], "10 years"),
        (&["--function", "nlp-inferense:live"], "did you mean `nlp-inference:live`?"),
    ] {
        let done = run(&[&["plan", &path], args].concat());
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{args:?}");
        assert!(done.stderr.contains(part), "{args:?}: {}", done.stderr);
    }
}

#[test]
fn an_explanation_shows_every_window() {
    let (_folder, path) = office();
    let args =
        ["explain", "nlp-inference:live", &path, "--region", "us-east-1", "--at", "2026-11-21T07:30:00Z"];
    insta::assert_snapshot!(run(&args).shown(), @r"
    exit 0
    --- stdout
    nlp-inference:live (us-east-1) at Sat 21 Nov 2026 07:30 GMT (07:30 UTC)
    desired: 10; a round is due in this minute, as it is every 30 minutes

      WINDOW      STATE    OPENS                 CLOSES                DESIRED
    ↗ windows[0]  leading  Sat 21 Nov 08:00 GMT  Sat 21 Nov 10:00 GMT       10
    - windows[1]  closed   Sat 21 Nov 22:00 GMT  Sun 22 Nov 06:00 GMT        0

    next change: to 0 at Sat 21 Nov 10:00 GMT
    --- stderr
    ");
    let object = run(&[&args[..], &["--json"]].concat()).json();
    assert_eq!(
        keys(&object),
        ["function", "region", "tenant", "at", "local", "zone", "target", "due", "windows", "next_change"]
    );
    assert_eq!(keys(&object["windows"][0]), ["window", "state", "opens", "closes", "target"]);
    assert_eq!(
        object["windows"][0],
        json!({"window": "windows[0]", "state": "leading", "opens": "2026-11-21T08:00:00Z", "closes": "2026-11-21T10:00:00Z", "target": 10})
    );
    assert_eq!(object["next_change"], json!({"at": "2026-11-21T10:00:00Z", "target": 0}));
    assert_eq!(object["due"], true);
}

#[test]
fn an_ambiguous_region_is_an_error_with_the_choices() {
    let (_folder, path) = office();
    let done = run(&["explain", "nlp-inference:live", &path]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("eu-west-2, us-east-1"), "{}", done.stderr);
    let done = run(&["explain", "nlp-inference", &path]);
    assert!(done.stderr.contains("did you mean `nlp-inference:live`?"), "{}", done.stderr);
}

#[test]
fn a_difference_has_one_line_per_target() {
    let (folder, old) = office();
    let new = OFFICE
        .replace("concurrency: 10", "concurrency: 12")
        .replace("regions: [eu-west-2, us-east-1]", "regions: [eu-west-2, eu-west-1]")
        .replace("regions: [us-east-1]", "regions: [eu-west-1]")
        .replace("interval: 30m", "interval: 30m, owner: search");
    let new = write(folder.path(), "new.yml", &new);
    let new = new.to_str().unwrap();
    let from = ["--from", "2026-11-20T00:00:00Z"];
    let diff = |more: &[&str]| run(&[&["diff", &old, new], &from[..], more].concat());
    insta::assert_snapshot!(diff(&["--exit-code"]).shown(), @"
    exit 4
    --- stdout
      FUNCTION            REGION     HIGHEST      PINGS    COST  OTHER
    ~ nlp-inference:live  eu-west-2  10 → 12  420 → 504  $0.01*  owner none → search
    + nlp-inference:live  eu-west-1       12        536  $0.01*
    - nlp-inference:live  us-east-1       10        452  $0.01*

    3 targets: 1 added, 1 changed, 1 removed; pings of these in the 7d from 2026-11-20 00:00 UTC: 872 → 1,040

      OWNER     COST BEFORE  COST AFTER
      no owner       $0.02*
      search                     $0.02*
      total          $2.54*      $2.54*

      estimates at list prices, without free tiers; * depends on assumptions, which `warmd plan` lists
    --- stderr
    ");
    insta::assert_snapshot!(diff(&["--format", "markdown"]).shown(), @r"
    exit 0
    --- stdout
    **warmd**: 3 targets: 1 added, 1 changed, 1 removed; pings of these in the 7d from 2026-11-20 00:00 UTC: 872 → 1,040

    | | function | region | highest | pings | cost | other |
    |---|---|---|---:|---:|---:|---|
    | `~` | `nlp-inference:live` | eu-west-2 | 10 → 12 | 420 → 504 | $0.01\* | owner none → search |
    | `+` | `nlp-inference:live` | eu-west-1 | 12 | 536 | $0.01\* |  |
    | `-` | `nlp-inference:live` | us-east-1 | 10 | 452 | $0.01\* |  |

    | owner | cost before | cost after |
    |---|---:|---:|
    | no owner | $0.02\* |  |
    | search |  | $0.02\* |
    | total | $2.54\* | $2.54\* |

    estimates at list prices, without free tiers; \* depends on assumptions, which `warmd plan` lists
    --- stderr
    ");
    let object = diff(&["--format", "json"]).json();
    assert_eq!(
        object["changes"][0],
        json!({"function": "nlp-inference:live", "region": "eu-west-2", "tenant": null, "change": "changed", "before": {"strategy": "pings", "pings": 420, "cold_starts": 420, "s3_egress_bytes": 0, "total": "0.01"}, "after": {"strategy": "pings", "pings": 504, "cold_starts": 504, "s3_egress_bytes": 0, "total": "0.01"}})
    );
    assert_eq!(
        [&object["changes"][1]["before"], &object["changes"][2]["after"]],
        [&Value::Null, &Value::Null]
    );
    let same = run(&["diff", &old, &old, "--exit-code"]);
    assert_eq!(same.code, 0);
    assert!(same.stdout.starts_with("nothing changes"), "{}", same.stdout);
}

#[test]
fn staggering_is_a_change_with_the_same_number_of_pings() {
    let text = "version: 1
defaults: { region: eu-west-2 }
functions: { checkout: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] } }
";
    let folder = tempfile::tempdir().unwrap();
    let old = write(folder.path(), "old.yml", text);
    let new = write(folder.path(), "new.yml", &text.replace("eu-west-2 }", "eu-west-2, stagger: true }"));
    let done = run(&["diff", old.to_str().unwrap(), new.to_str().unwrap(), "--exit-code"]);
    assert_eq!(done.code, 4, "{}", done.stdout);
    assert!(done.stdout.contains("stagger 0m → "), "{}", done.stdout);
}

/// A budget that stops the fleet is a change, although no plan differs.
#[test]
fn settings_of_the_whole_fleet_are_changes() {
    let text = "version: 1
limits: { max_in_flight: 500 }
defaults: { region: eu-west-2, owner: 'a | b' }
functions: { checkout: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] } }
";
    let folder = tempfile::tempdir().unwrap();
    let old = write(folder.path(), "old.yml", text);
    let new = text.replace("500", "50")
        + "budget: { monthly_usd: 0.01, on_exceed: stop }\nowners: { 'a | b': { budget: { monthly_usd: 5 } } }\n";
    let new = write(folder.path(), "new.yml", &new);
    let [old, new] = [&old, &new].map(|path| path.to_str().unwrap());
    let diff = |from: &str, to: &str, format: &str| {
        run(&["diff", from, to, "--exit-code", "--from", "2026-11-20", "--format", format])
    };
    insta::assert_snapshot!(diff(old, new, "table").shown(), @"
    exit 4
    --- stdout
    ~ limits.max_in_flight 500 → 50
    ~ budget none → $0.01 a month, stop
    ~ owners.a | b.budget none → $5 a month, warn

    3 settings of the fleet changed; no target changes in the 7d from 2026-11-20 00:00 UTC

      OWNER         COST BEFORE  COST AFTER
      warmd itself       $2.53*      $2.55*
      total              $2.53*      $2.55*
    --- stderr
    ");
    insta::assert_snapshot!(diff(old, new, "markdown").shown(), @r"
    exit 4
    --- stdout
    **warmd**: 3 settings of the fleet changed; no target changes in the 7d from 2026-11-20 00:00 UTC

    | fleet | before | after |
    |---|---|---|
    | `limits.max_in_flight` | 500 | 50 |
    | `budget` | none | <code>&#36;0&#46;01 a month&#44; stop</code> |
    | <code>owners&#46;a &#124; b&#46;budget</code> | none | <code>&#36;5 a month&#44; warn</code> |

    | owner | cost before | cost after |
    |---|---:|---:|
    | warmd itself | $2.53\* | $2.55\* |
    | total | $2.53\* | $2.55\* |
    --- stderr
    ");
    let removed = diff(new, old, "json");
    assert_eq!(removed.code, 4);
    let object = removed.json();
    assert_eq!(object["changes"], json!([]));
    assert_eq!(
        object["settings"][1],
        json!({"name": "budget", "before": "$0.01 a month, stop", "after": "none"})
    );
}

#[test]
fn text_is_not_shortened_without_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let function = format!("{}:{}", "f".repeat(64), "a".repeat(40));
    let text = OFFICE.replace("nlp-inference:live", &function);
    let path = write(folder.path(), "office.yaml", &text);
    let (path, empty) = (path.to_str().unwrap(), write(folder.path(), "empty.yaml", "version: 1\n"));
    for command in [
        &["check", path][..],
        &["plan", path, "--for", "1d"],
        &["compare", path, "--for", "1d"],
        &["explain", &function, "--region", "us-east-1", path],
        &["diff", empty.to_str().unwrap(), path],
        &["run", "--once", "--dry-run", "--at", "2026-10-24T08:00:00Z", path],
        &["price", "book"],
    ] {
        let shown = run(command);
        assert_eq!(shown.code, 0, "{command:?}: {}", shown.stderr);
        let stdout = shown.stdout.replace("\"round\":\"…\"", "");
        assert!(!stdout.contains('…'), "{command:?}: {stdout}");
        assert!(command[0] == "price" || stdout.contains(&function), "{command:?}: {stdout}");
    }
}

#[test]
fn tenants_are_shown_apart_and_their_costs_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let text = |tenants: &str| {
        format!(
            "version: 1
defaults: {{ region: us-east-1, memory: 1024MB }}
functions:
  isolated: {{ {tenants}windows: [{{ days: daily, hours: all-day, concurrency: 2 }}] }}
"
        )
    };
    let path = write(folder.path(), "a.yaml", &text("tenants: [a, \"b: 1\"], "));
    let one = write(folder.path(), "one.yaml", &text("tenants: [a], "));
    let (path, one) = (path.to_str().unwrap(), one.to_str().unwrap());
    let plan = run(&["plan", path, "--json", "--from", "2026-11-20", "--for", "1d"]).json();
    let functions: Vec<String> = plan["functions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|plan| format!("{} {} {}", plan["function"], plan["tenant"], plan["pings"]))
        .collect();
    assert_eq!(functions, ["\"isolated\" \"a\" 576", "\"isolated\" \"b: 1\" 576"]);
    let plan = run(&["plan", path, "--from", "2026-11-20", "--for", "1d"]).stdout;
    for part in [
        "\nisolated@a (us-east-1), ",
        "\nisolated@b: 1 (us-east-1), ",
        "\n2 targets: 576 rounds, 1,152 pings",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    let diff = run(&["diff", one, path, "--from", "2026-11-20", "--for", "1d"]).stdout;
    assert!(diff.contains("+ isolated@b: 1 ") && !diff.contains("isolated@a"), "{diff}");
    let compare = run(&["compare", path, "--function", "isolated"]).stdout;
    assert!(compare.contains("isolated@a (") && compare.contains("isolated@b: 1 ("), "{compare}");

    let explain = |tenant: &[&str]| {
        run(&[&["explain", "isolated", path, "--at", "2026-11-20T09:00:00Z"], tenant].concat())
    };
    assert!(explain(&["--tenant", "b: 1"]).stdout.starts_with("isolated@b: 1 (us-east-1) at "));
    assert_eq!(
        explain(&[]).stderr,
        "error: `isolated` is configured for several tenants: add --tenant with one of a, b: 1\n"
    );
    assert_eq!(
        explain(&["--tenant", "c"]).stderr,
        "error: `isolated` is not configured for the tenant \"c\", only for a, b: 1\n"
    );
    let refused = run(&["warm", "f", "-n", "1", "--local", "--tenant", "a,b"]);
    assert!(refused.code == 2 && refused.stderr.contains("expected a tenant id"), "{}", refused.stderr);
}
