//! Pipelines: their functions, windows, requests and backlogs.

use std::fmt::Write as _;

use insta::assert_snapshot;

use super::*;
use crate::domain::calendar::Window;
use crate::domain::fleet::Target;

/// The pipeline of the README.
const NLP: &str = r#"version: 1
defaults: { region: eu-west-2, timezone: Europe/London }
pipelines:
  nlp:
    windows: [{ days: mon-fri, hours: "08:00-18:00", load: { requests_per_second: 600 } }]
    stages:
      - { function: preprocess:live, takes: 20, rate: 600, per_backlog: 6000 }
      - { parts: [encode-a:live, encode-b:live], rate: 300 }
      - { function: infer:live, rate: 300, per_backlog: 300, payload: 2MB, via: s3 }
"#;

fn window(window: &Window) -> String {
    let Window { label, zone, concurrency, lead, pipeline, .. } = window;
    let pipeline = pipeline.as_deref().unwrap_or("-");
    format!("{label} ×{concurrency} {zone} lead {}m of {pipeline}", lead.num_minutes())
}

fn target(target: &Target) -> String {
    let mut line = format!(
        "{} {} every {}m+{}",
        target.id.shown(),
        target.region(),
        target.interval_minutes,
        target.phase_minutes
    );
    line.extend(target.windows.iter().map(|one| format!("; {}", window(one))));
    for rule in &target.backlogs {
        let (each, pipeline) = (rule.per_environment.normalize(), rule.pipeline.as_deref().unwrap_or("-"));
        write!(line, "; {} ÷ {each} up to {} of {pipeline}", rule.metric.name, rule.max).unwrap();
    }
    if let Some(rule) = target.on_request {
        let [max_for, coalesce, hold_for] =
            [rule.max_for, rule.coalesce, rule.hold_for].map(|time| time.as_secs());
        write!(line, "; on request {} for {max_for}s, {coalesce}s, {hold_for}s", rule.max_concurrency)
            .unwrap();
    }
    line + "\n"
}

fn targets(loaded: &Loaded) -> String {
    loaded.fleet.targets.iter().map(target).collect()
}

fn pipelines(loaded: &Loaded) -> String {
    let mut text = String::new();
    for pipeline in &loaded.fleet.pipelines {
        writeln!(text, "{} {}", pipeline.name, pipeline.region).unwrap();
        for stage in &pipeline.stages {
            let windows: Vec<String> = stage.windows.iter().map(window).collect();
            let (takes, rate) = (stage.takes, stage.rate);
            let line = format!("{} takes {takes} at {rate}, {:?}", stage.label(), stage.per_backlog);
            writeln!(text, "  {line}, {:?}: {}", stage.payload, windows.join(", ")).unwrap();
        }
    }
    text
}

#[test]
fn a_pipeline_makes_windows_of_its_functions() {
    let loaded = valid(NLP);
    assert_snapshot!(targets(&loaded), @"
    preprocess:live eu-west-2 every 5m+0; nlp: windows[0] ×1 Europe/London lead 1m of nlp
    encode-a:live eu-west-2 every 5m+0; nlp: windows[0] ×2 Europe/London lead 1m of nlp
    encode-b:live eu-west-2 every 5m+0; nlp: windows[0] ×2 Europe/London lead 1m of nlp
    infer:live eu-west-2 every 5m+0; nlp: windows[0] ×2 Europe/London lead 1m of nlp
    ");
    assert_snapshot!(pipelines(&loaded), @"
    nlp eu-west-2
      preprocess:live takes 20 at 600, Some(6000), None: nlp: windows[0] ×1 Europe/London lead 1m of nlp
      encode-a:live + encode-b:live takes 1 at 300, None, None: nlp: windows[0] ×2 Europe/London lead 1m of nlp
      infer:live takes 1 at 300, Some(300), Some(Payload { bytes: 2000000, is_via_s3: true, route: None }): nlp: windows[0] ×2 Europe/London lead 1m of nlp
    ");
    let windows = loaded.locations.iter().map(|locations| locations.windows.len());
    assert!(windows.eq(loaded.fleet.targets.iter().map(|target| target.windows.len())));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn the_numbers_of_a_backlog_are_those_of_the_stages() {
    let backlog = "    backlog: { metric: { namespace: AWS/SQS, name: Waiting }, max: 400, drain: 10s }\n";
    let limits = "limits: { max_in_flight: 800 }\npipelines:";
    let text = NLP.replace("pipelines:", limits).replace("    stages:", &format!("{backlog}    stages:"));
    let loaded = valid(&text);
    let targets = &loaded.fleet.targets;
    let of_windows: Vec<u32> = targets.iter().map(|target| target.windows[0].concurrency).collect();
    assert_eq!(of_windows, [1, 2, 2, 2]);
    let of_backlog = targets.iter().map(|target| target.backlogs[0].number(90_000.into()));
    assert_eq!(of_backlog.collect::<Vec<_>>(), [15, 30, 30, 300]);
}

#[test]
fn the_parts_of_a_stage_open_together() {
    let pings = "  encode-b:live: { spare: 1 }\n";
    let functions = format!("functions:\n  encode-a:live: {{ strategy: provisioned }}\n{pings}pipelines:");
    let loaded = valid(&NLP.replace("pipelines:", &functions));
    let lead = |window: &Window| window.lead.num_minutes();
    let leads: Vec<_> = loaded.fleet.targets.iter().map(|target| lead(&target.windows[0])).collect();
    let of_stages: Vec<_> =
        loaded.fleet.pipelines[0].stages.iter().map(|stage| lead(&stage.windows[0])).collect();
    // Provisioned concurrency takes minutes. The other stages open later.
    assert_eq!((leads, of_stages), (vec![4, 4, 1, 1], vec![1, 4, 1]));
}

#[test]
fn settings_under_functions_apply_to_stages() {
    let loaded = valid(
        "version: 1
defaults: { regions: [eu-west-2, us-east-1], interval: 4m, stagger: true, owner: team }
functions:
  a:$LATEST: { spare: 2, tenants: [x, y], interval: 10m, assume: { init_duration: 90s } }
  b:live:
    strategy: provisioned
    on_request: { max_concurrency: 9, max_for: 10m, coalesce: 5s }
    windows: [{ days: daily, hours: all-day, concurrency: 3 }]
  off:live: { enabled: false, windows: [{ days: daily, hours: all-day, concurrency: 3 }] }
  alone: { interval: 3m, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
windows:
  office: { days: mon-fri, hours: \"08:00-18:00\", concurrency: 99, timezone: Asia/Kolkata }
pipelines:
  one:
    owner: elsewhere
    windows: [{ use: office, regions: [us-east-1], load: { requests_per_second: 0.5 } }]
    on_request: { max_concurrency: 5, max_for: 2m }
    backlog: { metric: { namespace: AWS/SQS, name: Waiting, dimensions: { Queue: q } }, max: 7, drain: 90s }
    stages: [{ function: a, rate: 300 }, { parts: [b:live, off:live], rate: 0.1 }, { function: c, rate: 2, per_backlog: 8 }]
  two: { lead: 0s, windows: [{ days: daily, hours: all-day, load: { requests_per_second: 1 } }], stages: [{ function: d, rate: 2 }] }
  off: { enabled: false, stages: [{ function: never, rate: 1 }] }
",
    );
    assert_snapshot!(targets(&loaded), @"
    a:$LATEST@x eu-west-2 every 4m+1; Waiting ÷ 27000 up to 7 of one; on request 5 for 120s, 60s, 120s
    a:$LATEST@y eu-west-2 every 4m+1; Waiting ÷ 27000 up to 7 of one; on request 5 for 120s, 60s, 120s
    a:$LATEST@x us-east-1 every 4m+2; one: office ×1 Asia/Kolkata lead 2m of one; Waiting ÷ 27000 up to 7 of one; on request 5 for 120s, 60s, 120s
    a:$LATEST@y us-east-1 every 4m+2; one: office ×1 Asia/Kolkata lead 2m of one; Waiting ÷ 27000 up to 7 of one; on request 5 for 120s, 60s, 120s
    b:live eu-west-2 every 4m+1; windows[0] ×3 UTC lead 4m of -; Waiting ÷ 9 up to 7 of one; on request 9 for 600s, 60s, 300s
    b:live us-east-1 every 4m+2; windows[0] ×3 UTC lead 4m of -; one: office ×5 Asia/Kolkata lead 4m of one; Waiting ÷ 9 up to 7 of one; on request 9 for 600s, 60s, 300s
    off:live eu-west-2 every 4m+2
    off:live us-east-1 every 4m+1
    alone eu-west-2 every 3m+2; windows[0] ×1 UTC lead 0m of -
    alone us-east-1 every 3m+1; windows[0] ×1 UTC lead 0m of -
    c eu-west-2 every 4m+1; Waiting ÷ 8 up to 7 of one; on request 5 for 120s, 60s, 120s
    c us-east-1 every 4m+2; one: office ×1 Asia/Kolkata lead 2m of one; Waiting ÷ 8 up to 7 of one; on request 5 for 120s, 60s, 120s
    d eu-west-2 every 4m+3; two: windows[0] ×1 UTC lead 0m of two
    d us-east-1 every 4m+0; two: windows[0] ×1 UTC lead 0m of two
    ");
    assert_snapshot!(pipelines(&loaded), @"
    one eu-west-2
      a takes 1 at 300, None, None: 
      b:live + off:live takes 1 at 0.1, None, None: 
      c takes 1 at 2, Some(8), None: 
    one us-east-1
      a takes 1 at 300, None, None: one: office ×1 Asia/Kolkata lead 2m of one
      b:live + off:live takes 1 at 0.1, None, None: one: office ×5 Asia/Kolkata lead 4m of one
      c takes 1 at 2, Some(8), None: one: office ×1 Asia/Kolkata lead 2m of one
    two eu-west-2
      d takes 1 at 2, None, None: two: windows[0] ×1 UTC lead 0m of two
    two us-east-1
      d takes 1 at 2, None, None: two: windows[0] ×1 UTC lead 0m of two
    ");
    let owner = |function: &str| {
        let mut targets = loaded.fleet.targets.iter();
        targets.find(|target| target.label == function).and_then(|target| target.owner.clone()).unwrap()
    };
    assert_eq!((owner("c"), owner("d"), owner("b:live")), ("elsewhere".into(), "team".into(), "team".into()));
    let rule = &loaded.fleet.targets[0].backlogs[0];
    assert_eq!((rule.metric.statistic, &rule.metric.dimensions["Queue"][..]), ("Maximum", "q"));
    let warnings: Vec<String> = loaded.warnings.iter().map(|warning| warning.render_text(false)).collect();
    assert_snapshot!(warnings.join("\n"), @r#"
    warning: the stage "off:live" is never warmed: the function is disabled
      --> fleet.yaml:19:60
       |
    19 |     stages: [{ function: a, rate: 300 }, { parts: [b:live, off:live], rate: 0.1 }, { function: c, rate: 2, per_backlog: 8 }]
       |                                                            ^^^^^^^^
       |
       = hint: enable the function, or remove the stage
       = note: see also fleet.yaml:9:3
    "#);
    let us = Region::parse("us-east-1").unwrap();
    let text = &loaded.files()[0];
    let part = resolve(vec![text.clone()], &mut |_| Err(String::new()), Some(&[us])).unwrap().fleet;
    assert!(
        part.pipelines
            .iter()
            .map(|pipeline| (&*pipeline.name, pipeline.region))
            .eq([("one", us), ("two", us)])
    );
}

#[test]
fn functions_of_pipelines_are_due_in_the_same_minutes() {
    let pipeline = |stages: &str| {
        format!(
            "{{ windows: [{{ days: daily, hours: all-day, load: {{ requests_per_second: 1 }} }}], stages: [{stages}] }}"
        )
    };
    let stage = |name: &str| format!("{{ function: {name}, rate: 1 }}");
    let pairs = [("p", "a", "b"), ("q", "c", "d"), ("r", "b", "c"), ("s", "e", "f")];
    let named: String = pairs
        .iter()
        .map(|(name, one, other)| {
            format!("  {name}: {}\n", pipeline(&format!("{}, {}", stage(one), stage(other))))
        })
        .collect();
    let intervals: String = "abcde"
        .chars()
        .zip(6..)
        .map(|(name, minutes)| format!("  {name}: {{ interval: {minutes}m }}\n"))
        .collect();
    let text = |stagger: bool| {
        format!(
            "version: 1\ndefaults: {{ region: eu-west-2, stagger: {stagger}, interval: 9m }}\nfunctions:\n{intervals}pipelines:\n{named}"
        )
    };
    let minutes = |loaded: &Loaded| -> Vec<(u32, u32)> {
        let targets = loaded.fleet.targets.iter();
        targets.map(|target| (target.interval_minutes, target.phase_minutes)).collect()
    };
    assert_eq!(minutes(&valid(&text(false))), [(6, 0), (6, 0), (6, 0), (6, 0), (9, 0), (9, 0)]);
    let staggered = minutes(&valid(&text(true)));
    let [first, .., last] = staggered[..] else { panic!("six targets") };
    assert_eq!(staggered, [[first; 4].as_slice(), &[last; 2]].concat());
    assert_eq!((first.0, last.0), (6, 9));
    assert_ne!((first.1, last.1), (0, 0));
}

#[test]
fn capacity_is_ready_before_the_opening() {
    let loaded = valid(
        "version: 1
defaults: { region: eu-west-2, strategy: provisioned, provisioned: { by: autoscaling } }
functions:
  pinged: { strategy: pings, assume: { init_duration: 61s } }
pipelines:
  p:
    windows: [{ days: daily, hours: all-day, load: { requests_per_second: 400 } }]
    stages: [{ function: pinged, rate: 1 }, { function: f:live, rate: 10, takes: 2, source: sync }, { function: g:live, rate: 21, takes: 2 }]
",
    );
    assert_snapshot!(pipelines(&loaded), @"
    p eu-west-2
      pinged takes 1 at 1, None, None: p: windows[0] ×400 UTC lead 2m of p
      f:live takes 2 at 10, None, None: p: windows[0] ×40 UTC lead 4m of p
      g:live takes 2 at 21, None, None: p: windows[0] ×20 UTC lead 4m of p
    ");
    let strategies: Vec<String> =
        loaded.fleet.targets.iter().map(|target| target.strategy.to_string()).collect();
    assert_eq!(
        strategies,
        [
            "pings",
            "provisioned by autoscaling up to 40 at 70%, otherwise pings",
            "provisioned by autoscaling up to 20 at 70%, otherwise pings"
        ]
    );
    let warnings: Vec<String> = loaded.warnings.iter().map(|warning| warning.render_text(false)).collect();
    assert_snapshot!(warnings.join("\n"), @r#"
    warning: an environment of "g:live" serves 20 of 21 requests a second: at most 10 invocations a second with 2 each
     --> fleet.yaml:8:127
      |
    8 |     stages: [{ function: pinged, rate: 1 }, { function: f:live, rate: 10, takes: 2, source: sync }, { function: g:live, rate: 21, tak...
      |                                                                                                                               ^^
      |
      = hint: set `takes: 3`, or lower `rate`
    "#);
}

#[test]
fn a_load_is_never_rounded_to_zero_environments() {
    let text = "version: 1\ndefaults: { region: eu-west-2 }\npipelines: { p: { windows: [{ days: daily, hours: all-day, load: { requests_per_second: 0.0000000000000000000000000001 } }], stages: [{ function: f, rate: 1000000000 }] } }\n";
    assert_eq!(valid(text).fleet.targets[0].windows[0].concurrency, 1);
}

/// The text before the stages of an otherwise valid pipeline.
const IN_STAGES: &str = "version: 1\ndefaults: { region: eu-west-2 }\nfunctions: { known: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] } }\npipelines:\n  p:\n    windows: [{ days: daily, hours: all-day, load: { requests_per_second: 100 } }]\n    stages: ";
/// The text before the keys of a pipeline, which has stages.
const IN_PIPELINE: &str = "version: 1\ndefaults: { region: eu-west-2 }\nfunctions: { known: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] } }\npipelines:\n  p:\n    stages: [{ function: known, rate: 1, per_backlog: 5 }, { parts: [a, b], rate: 100 }]\n    ";
/// The text before an otherwise valid pipeline.
const IN_PIPELINES: &str = "version: 1\ndefaults: { region: eu-west-2 }\nfunctions: { known: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] } }\npipelines:\n  ";

#[test]
fn errors_in_stages() {
    let cases = r#"
    [{ rate: 1 }]
     ^ missing key "function"
     = hint: add the function of the stage, or `parts` for a split model
    [{ function: a, parts: [b, c], rate: 1 }]
                           ^ "parts" cannot be used with "function"
                           = hint: remove one of the two: `parts` are the functions of a split model
                           = note: see also fleet.yaml:7:26
    [{ parts: [b], rate: 1 }]
              ^ expected at least two parts, found one
              = hint: add the other parts, or write `function: b`
    [{ parts: [b, c, b], rate: 1 }]
                     ^ duplicate function "b" in the pipeline
                     = hint: remove one of the two
                     = note: see also fleet.yaml:7:24
    [{ function: a, rate: 1 }, { function: a:$LATEST, rate: 1 }]
                                           ^^^^^^^^^ duplicate function "a:$LATEST" in the pipeline
                                           = hint: remove one of the two
                                           = note: see also fleet.yaml:7:26
    [{ function: a b, rate: 0 }]
                 ^^^ expected a function name (1 to 64 of A-Z a-z 0-9 _ -), found "a b"
                            ^ expected a number above 0, found 0
                            = hint: write plain digits, such as 50 or 0.045, up to 1000000000
    [{ function: "arn:aws:lambda:eu-wst-2:123456789012:function:f", rate: 1 }]
                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ unknown region "eu-wst-2"
                  = hint: did you mean `eu-west-2`?
    [{ function: "arn:aws:lambda:us-east-1:123456789012:function:f", rate: 1 }]
                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ the function is in us-east-1, the pipeline in eu-west-2
                 = hint: set `region: us-east-1` for the pipeline
    [{ function: a, rate: 1, takes: 0, per_backlog: 0 }]
                                    ^ expected a whole number from 1 to 1000000000, found 0
                                                    ^ expected a whole number from 1 to 1000000000, found 0
    [{ function: a }]
     ^ missing key "rate"
    [{ function: a, rate: 1, payload: 1048577B }]
                                      ^^^^^^^^ the payload of 1,048,577 bytes exceeds the limit of asynchronous invocations, 1,048,576 bytes since 2025-10
                                      = hint: add `via: s3`, or `source: sync` if the function is invoked synchronously
    [{ function: a, rate: 1, payload: 2MB, source: sync, route: internet }]
                                                                ^^^^^^^^ "route" requires "via"
                                                                = hint: add `via: s3`, or remove it
    [{ function: a, rate: 1, payload: 6291457B, source: sync }]
                                      ^^^^^^^^ the payload of 6,291,457 bytes exceeds the limit of synchronous invocations, 6,291,456 bytes as of 2026-11
                                      = hint: add `via: s3`
    [{ function: a, rate: 1, via: s3 }]
                                  ^^ "via" requires "payload"
                                  = hint: add its size, such as `payload: 2MB`, or remove the key
    [{ function: a, rate: 1, via: efs, source: sqs }]
                                  ^^^ expected "s3", found "efs"
                                               ^^^ expected "sync" or "async", found "sqs"
    [{ function: a, rate: 1, payload: 2MB, via: s3, route: inter-region }]
                                                           ^^^^^^^^^^^^ the route "inter-region" requires "bucket_region"
                                                           = hint: add it, such as `bucket_region: eu-west-1`: it decides the price
    [{ function: a, rate: 1, payload: 2MB, via: s3, route: internet, bucket_region: eu-west-1 }]
                                                                                    ^^^^^^^^^ "bucket_region" requires the route "inter-region"
                                                                                    = hint: remove it, or change the route
    [{ function: a, rate: 1, payload: 2MB, via: s3, bucket_region: eu-west-1 }]
                                                                   ^^^^^^^^^ "bucket_region" requires the route "inter-region"
                                                                   = hint: remove it, or add `route: inter-region`
    []
    ^ expected at least one item, found an empty list
    = hint: add an item, or remove the key
    "#;
    check_cases(IN_STAGES, cases);
}

#[test]
fn errors_in_pipelines() {
    let cases = r#"
    windows: [{ days: daily, hours: all-day, concurrency: 5 }]
                                                          ^ "concurrency" cannot be used in a pipeline
                                                          = hint: write `load: { requests_per_second: 50 }`: each stage has a number of its own
    windows: [{ days: daily, hours: all-day }]
              ^ missing key "load"
              = hint: add the load of the pipeline, such as `load: { requests_per_second: 50 }`
    windows: [{ days: daily, load: { duration: 1s } }]
                                   ^ missing key "requests_per_second"
                                               ^^ "duration" cannot be used in a pipeline
                                               = hint: remove it: the number of a stage is `requests_per_second` ÷ its `rate`
    windows: [{ days: daily, hours: all-day, load: { requests_per_second: 1, duration: 1s, per_environment: 4 } }]
                                                                                       ^^ "duration" cannot be used in a pipeline
                                                                                       = hint: remove it: the number of a stage is `requests_per_second` ÷ its `rate`
                                                                                                            ^ "per_environment" cannot be used in a pipeline
                                                                                                            = hint: remove it: the number of a stage is `requests_per_second` ÷ its `rate`
    windows: [{ days: daily, hours: all-day, load: { requests_per_second: 1 }, regions: [us-east-1] }]
                                                                                         ^^^^^^^^^ the pipeline is not in us-east-1
                                                                                         = hint: use some of the pipeline's regions: eu-west-2
    windows: [{ use: nothing, load: { requests_per_second: 1 } }]
                     ^^^^^^^ unknown window "nothing"
                     = hint: define it under `windows`
    on_request: { max_concurrency: 5, max_for: 5m, hold_for: 6m }
                                                             ^^ "hold_for" (6m) must not be above "max_for" (5m)
                                                             = hint: lower it, or raise `max_for`
    on_request: { max_concurrency: 251, max_for: 5m }
                                   ^^^ 502 environments of "a + b" exceed "limits.max_in_flight" (500)
                                   = hint: lower the number, or raise `max_in_flight` to 502
    backlog: { metric: { namespace: AWS/SQS, name: Waiting }, max: 5 }
             ^ missing key "drain"
             = hint: add the time in which the backlog is worked off, or `per_backlog` to each stage
             = note: see also fleet.yaml:6:60
    backlog: { metric: { namespace: ":a", name: "é" }, max: 0, drain: 0s }
                                    ^^^^ expected a CloudWatch namespace, found ":a"
                                    = hint: use 1 to 255 of A-Z a-z 0-9 . - _ / # : and space, not beginning with `:`
                                                ^^^ expected the name of a metric, found "é"
                                                = hint: use 1 to 255 ASCII characters
                                                            ^ expected a whole number from 1 to 100000, found 0
                                                                      ^^ expected a duration from 1s to 1d, found "0s"
    backlog: { rate: 5, max: 5 }
             ^ missing key "metric"
               ^^^^ unknown key "rate"
               = hint: use one of metric, max, drain
    lead: 90s
          ^^^ expected whole minutes, found "90s"
          = hint: write `1m` or `2m`
    strategy: pings
    ^^^^^^^^ unknown key "strategy"
    = hint: use one of region, regions, timezone, enabled, windows, stages, on_request, backlog, owner, lead
    "#;
    check_cases(IN_PIPELINE, cases);
}

#[test]
fn errors_in_pipelines_and_stages() {
    let cases = r#"
    p: { stages: [{ function: a, rate: 1 }] }
    ^ missing key "windows"
    = hint: add windows, `on_request` or `backlog`, or disable the pipeline with `enabled: false`
    p: { on_request: { max_concurrency: 5, max_for: 5m } }
       ^ missing key "stages"
    p: { windows: [{ days: daily, hours: all-day, load: { requests_per_second: 600 } }], stages: [{ function: a, rate: 0.005 }] }
                                                        ^ the load needs more than 100000 environments of "a"
                                                        = hint: check the units of `requests_per_second` and of the `rate` of the stage
                                                        = note: see also fleet.yaml:5:118
    p: { windows: [{ days: daily, hours: all-day, load: { requests_per_second: 600 } }], stages: [{ function: a, rate: 1 }, { parts: [b, c], rate: 2 }] }
                                                        ^ 600 environments of "a" exceed "limits.max_in_flight" (500)
                                                        = hint: lower the number, or raise `max_in_flight` to 600
                                                        ^ 600 environments of "b + c" exceed "limits.max_in_flight" (500)
                                                        = hint: lower the number, or raise `max_in_flight` to 600
    p: { on_request: { max_concurrency: 5, max_for: 5m }, region: us-east-1, stages: [{ function: a, rate: 1 }, { function: known, rate: 1 }] }
                                                                                                                            ^^^^^ the function is in eu-west-2, the pipeline in us-east-1
                                                                                                                            = hint: add us-east-1 to the regions of the function, or remove it from those of the pipeline
                                                                                                                            = note: see also fleet.yaml:3:14
    p: { on_request: { max_concurrency: 5, max_for: 5m }, regions: [us-east-1, us-east-1], stages: [{ function: "arn:aws:lambda:us-west-1:123456789012:function:f", rate: 1 }] }
                                                                               ^^^^^^^^^ duplicate region "us-east-1"
                                                                               = hint: remove one of the two
                                                                                                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ the function is in us-west-1, the pipeline in us-east-1
                                                                                                                = hint: set `region: us-west-1` for the pipeline
    nlp batch: { on_request: { max_concurrency: 5, max_for: 5m }, stages: [{ function: a, rate: 1 }] }
    ^^^^^^^^^ expected the name of a pipeline, found "nlp batch"
    = hint: use 1 to 64 of A-Z a-z 0-9 - _
    nlp.v2: { on_request: { max_concurrency: 5, max_for: 5m }, stages: [{ function: a, rate: 1 }] }
    ^^^^^^ expected the name of a pipeline, found "nlp.v2"
    = hint: use 1 to 64 of A-Z a-z 0-9 - _
    known: { on_request: { max_concurrency: 5, max_for: 5m }, stages: [{ function: a, rate: 1 }] }
    ^^^^^ the pipeline "known" has the name of a function
    = hint: rename it: commands take names of functions and of pipelines
    = note: see also fleet.yaml:3:14
    a: { on_request: { max_concurrency: 5, max_for: 5m }, stages: [{ function: a, rate: 1 }, { function: b, rate: 1 }] }
    ^ the pipeline "a" has the name of a function
    = hint: rename it: commands take names of functions and of pipelines
    = note: see also fleet.yaml:5:78
    "#;
    check_cases(IN_PIPELINES, cases);
    let text = "version: 1\ndefaults: { spare: 3, strategy: managed, managed: { max: 5 } }\npipelines:\n  ";
    let cases = r#"
    p: { region: eu-west-2, on_request: { max_concurrency: 3, max_for: 5m }, stages: [{ function: a, rate: 1 }] }
                                                                                                  ^ the strategy "managed" requires an alias or a version
                                                                                                  = hint: add it to the name, such as `a:live`
                                                                                                  = note: see also fleet.yaml:2:33
    p: { region: eu-west-2, on_request: { max_concurrency: 3, max_for: 5m }, backlog: { metric: { namespace: a, name: b }, max: 6, drain: 1m }, stages: [{ function: a:live, rate: 1 }] }
                                                           ^ "max_concurrency" must be above "spare" (3)
                                                           = hint: raise it: the environments of a request include the spare ones
                                                                                                                                ^ 6 environments of "a:live" exceed "managed.max" (5)
                                                                                                                                = hint: lower the number, or raise `max` to 6
                                                                                                                                = note: see also fleet.yaml:2:58
    p: { region: eu-west-2, windows: [{ days: daily, hours: all-day, load: { requests_per_second: 3 } }], stages: [{ parts: [a:1, b:1], rate: 1 }] }
                                                                           ^ 3 environments of "a:1 + b:1" and 3 spare ones exceed "managed.max" (5)
                                                                           = hint: lower the number, or raise `max` to 6
                                                                           = note: see also fleet.yaml:2:58
    p: { windows: [{ days: daily, hours: all-day, load: { requests_per_second: 3 } }], stages: [{ function: a:1, rate: 1 }] }
    ^ missing key "region"
    = hint: add `region: eu-west-2` here or under `defaults`
    "#;
    check_cases(text, cases);
    assert_snapshot!(errors_of(&[("a.yaml", NLP), ("b.yaml", NLP)]), @r#"
    error: duplicate pipeline "nlp"
     --> b.yaml:4:3
      |
    4 |   nlp:
      |   ^^^
      |
      = hint: rename one of the two: all files share the names of calendars, windows and pipelines
      = note: see also a.yaml:4:3
    "#);
}

#[test]
fn a_small_pipeline_cannot_make_a_huge_fleet() {
    let names: Vec<&str> = Region::all().map(Region::as_str).collect();
    let regions = names.join(", ");
    let windows = "*w, ".repeat(3_000);
    let stages: String = (0..3_000).map(|n| format!("      - {{ function: f{n}, rate: 1 }}\n")).collect();
    let text = format!(
        "version: 1\npipelines:\n  p:\n    regions: [{regions}]\n    windows: [&w {{ days: daily, hours: all-day, load: {{ requests_per_second: 1 }} }}, {windows}]\n    stages:\n{stages}"
    );
    let problems = resolve_all(&[("fleet.yaml", &text)]).unwrap_err();
    assert_snapshot!(problems.list[0].message, @"the fleet is too large from here on");
    assert_eq!(problems.count(), 1);
    let one = text.replace(&regions, "eu-west-2");
    assert_eq!(resolve_all(&[("fleet.yaml", &one)]).unwrap_err().count(), 1);

    // Pipelines that form one chain, from its end on.
    let pipelines: String = (0..3_000)
        .rev()
        .map(|n| {
            format!(
                "  p{n}: {{ on_request: {{ max_concurrency: 1, max_for: 5m }}, stages: [{{ function: f{n}, rate: 1 }}, {{ function: f{}, rate: 1 }}] }}\n",
                n + 1
            )
        })
        .collect();
    let loaded = valid(&format!(
        "version: 1\ndefaults: {{ region: eu-west-2, stagger: true }}\nfunctions: {{ f0: {{ interval: 3m }} }}\npipelines:\n{pipelines}"
    ));
    assert_eq!((loaded.fleet.pipelines.len(), loaded.fleet.targets.len()), (3_000, 3_001));
    let phase = loaded.fleet.targets[0].phase_minutes;
    assert!(
        loaded
            .fleet
            .targets
            .iter()
            .all(|target| (target.interval_minutes, target.phase_minutes) == (3, phase))
    );
}
