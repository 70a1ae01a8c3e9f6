//! `warmd probe`: the measurements on virtual time, the result in the configuration, and errors.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Done, Fixture, ONE, Running, done, run, warmd, write};

/// Runs a probe on the emulator, in a directory without a configuration.
fn local(args: &str) -> Done {
    let folder = TempDir::new().unwrap();
    let args: Vec<&str> = ["probe"].into_iter().chain(args.split_whitespace()).chain(["--local"]).collect();
    let mut command = warmd(&args);
    command.current_dir(folder.path());
    done(command)
}

#[test]
fn idle_gaps_are_shown_with_their_starts() {
    insta::assert_snapshot!(local("f --idle").shown(), @"
    exit 0
    --- stdout
    f in us-east-1

          AT  IDLE FOR  START    INIT   RUN   TOTAL
          0s            cold   250 ms  1 ms  401 ms  ████████████████████████
          6m        6m  cold   250 ms  1 ms  251 ms  ████████████████
      16m 1s       10m  cold   250 ms  1 ms  251 ms  ████████████████
      31m 1s       15m  cold   250 ms  1 ms  251 ms  ████████████████
       1h 1m       30m  cold   250 ms  1 ms  251 ms  ████████████████

      idle environments live shorter than 6m
      5 pings, $0.000011
    --- stderr
    about 5 pings, $0.000105; takes about 1h 1m
    ping 1 of 5: cold after 401ms
    next ping in 6m, about 1h left
    ping 2 of 5: cold after 251ms
    next ping in 10m, about 54m 59s left
    ping 3 of 5: cold after 251ms
    next ping in 15m, about 44m 59s left
    ping 4 of 5: cold after 251ms
    next ping in 30m, about 29m 58s left
    ping 5 of 5: cold after 251ms
    ");
}

#[test]
fn the_result_is_json() {
    let object = local("f:live --idle=0,1m,2m,30m --json").json();
    assert_eq!(
        (&object["mode"], &object["function"], &object["region"], &object["partial"]),
        (&json!("idle"), &json!("f:live"), &json!("us-east-1"), &json!(false))
    );
    let starts: Vec<&Value> = object["pings"].as_array().unwrap().iter().map(|ping| &ping["start"]).collect();
    assert_eq!(starts, ["cold", "warm", "warm", "cold"]);
    let (warm, cold) = (&object["longest_warm_gap"], &object["shortest_cold_gap"]);
    assert!(warm.as_f64().is_some_and(|gap| (60.0..60.5).contains(&gap)), "{warm}");
    assert!(cold.as_f64().is_some_and(|gap| (1_680.0..1_681.0).contains(&gap)), "{cold}");
    assert_eq!((&object["actual"]["pings"], &object["estimate"]["pings"]), (&json!(4), &json!(4)));
    assert_eq!((&object["interval"], &object["varies"]), (&Value::Null, &json!(false)));
}

#[test]
fn five_repeats_give_an_interval() {
    let object = local("f --idle=0,2m,4m --repeat 5 --json").json();
    // Four fifths of two minutes.
    assert_eq!((&object["interval"], &object["shortest_cold_gap"]), (&json!("1m"), &Value::Null));
}

#[test]
fn every_jump_in_users_costs_that_many_cold_starts() {
    let object = local("f --parallel 3,6,9,18 --for 4s --yes --json").json();
    let column = |key: &str| -> Vec<Value> {
        object["steps"].as_array().unwrap().iter().map(|step| step[key].clone()).collect()
    };
    assert_eq!(column("users"), [3, 6, 9, 18]);
    assert_eq!(column("cold_starts"), [3, 3, 3, 9]);
    assert_eq!(column("environments"), [3, 6, 9, 18]);
    assert_eq!(column("errors"), [0, 0, 0, 0]);
}

#[test]
fn a_ramp_is_confirmed() {
    let refused = local("f --parallel 3 --for 1s");
    insta::assert_snapshot!(refused.shown(), @"
    exit 2
    --- stdout
    --- stderr
    about 30 pings, $0.000075; takes about 1s
    error: not confirmed
    hint: add --yes where there is no terminal
    ");
}

#[test]
fn the_shortest_hold_and_versions_are_shown() {
    let hold = local("f --find-hold 5 --json").json();
    assert_eq!((&hold["mode"], &hold["environments"]), (&json!("find-hold"), &json!(5)));
    assert!(hold["hold_ms"].as_u64().is_some_and(|hold| hold >= 5), "{hold}");
    insta::assert_snapshot!(local("f --memory 1,2").stdout, @"
    f in us-east-1

      VERSION  MEMORY  FIRST    COLD    INIT         COST  WARM         COST  PER MILLION
      1        512 MB  cold   401 ms  250 ms  $0.00000229  1 ms  $0.00000021    $0.210000  best value, fastest
      2        512 MB  cold   401 ms  250 ms  $0.00000229  1 ms  $0.00000021    $0.210000

      1  ████████████████████████ 1 ms
      2  ████████████████████████ 1 ms
      a cold start cannot be forced: a version whose first ping was warm has no cold measurement. Pings
        do no real work, so the times are those of the handler's check
      12 pings, $0.000007
    ");
}

#[test]
fn invalid_arguments_are_refused() {
    for (args, message) in [
        ("f", "required"),
        ("f --idle --find-hold 3", "cannot be used with"),
        ("f --idle=6m,0", "rising instants"),
        ("f --idle=6,12", "a duration with a unit"),
        ("f --parallel 0", "numbers of users"),
        ("f --find-hold 0", "invalid value"),
        ("f --until-cold --find-hold 3", "cannot be used with"),
        ("f --idle --for 5m", "cannot be used with"),
        ("f --parallel 3 --write a.yaml", "cannot be used with"),
        ("f:live --memory 1,2", "without `:live`"),
        ("f --memory $X", "expected a qualifier"),
        ("f --idle --write-interval", "--write"),
    ] {
        let refused = local(args);
        assert_eq!(refused.code, 2, "{args}: {}", refused.stderr);
        assert!(refused.stderr.contains(message), "{args}: {}", refused.stderr);
    }
}

const FUNCTION: &str = "\
version: 1
defaults:
  region: eu-west-2
functions:
  # The one that is probed.
  f:
    assume:
      init_duration: 10s   # a guess
    windows:
      - { days: daily, hours: all-day, concurrency: 5 }
";

fn probe_file(folder: &Path, text: &str, args: &[&str]) -> Done {
    let file = write(folder, "f.yaml", text);
    let file = file.to_str().unwrap();
    run(&[&["probe", "f", file, "--write", file], args].concat())
}

#[test]
fn the_result_comes_into_the_configuration_and_no_other_line_changes() {
    let folder = TempDir::new().unwrap();
    let written = probe_file(folder.path(), FUNCTION, &["--idle=0,1m,30m", "--local"]);
    assert_eq!(written.code, 0, "{}", written.stderr);
    let text = fs::read_to_string(folder.path().join("f.yaml")).unwrap();
    insta::assert_snapshot!(text, @"
    version: 1
    defaults:
      region: eu-west-2
    functions:
      # The one that is probed.
      f:
        assume:
          idle_life: 1m
          ping_duration: 1ms
          init_duration: 250ms   # a guess
        windows:
          - { days: daily, hours: all-day, concurrency: 5 }
    ");
    let file = folder.path().join("f.yaml");
    assert_eq!(run(&["check", file.to_str().unwrap()]).code, 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no other file is left");
}

#[test]
fn hold_and_interval_are_keys_of_the_function() {
    let folder = TempDir::new().unwrap();
    let read = || fs::read_to_string(folder.path().join("f.yaml")).unwrap();
    let held = probe_file(folder.path(), FUNCTION, &["--find-hold", "3", "--local"]);
    assert_eq!(held.code, 0, "{}", held.stderr);
    assert!(
        read().contains("\n  f:\n    hold: 5ms\n    assume:\n      init_duration: 10s   # a guess\n"),
        "{}",
        read()
    );

    let args = ["--idle=0,2m,4m", "--write-interval", "--local", "--repeat"];
    let few = probe_file(folder.path(), FUNCTION, &[&args[..], &["4"]].concat());
    assert!(few.stderr.contains("`interval` is not written: it needs five repeats"), "{}", few.stderr);
    assert!(!read().contains("interval"), "{}", read());
    let enough = probe_file(folder.path(), FUNCTION, &[&args[..], &["5"]].concat());
    assert_eq!(enough.code, 0, "{}", enough.stderr);
    assert!(read().contains("\n  f:\n    interval: 1m\n    assume:\n      idle_life: 2m\n"), "{}", read());
}

#[test]
fn lines_to_paste_are_printed_where_a_file_cannot_be_changed_safely() {
    let folder = TempDir::new().unwrap();
    let flow = FUNCTION.replace("\n      init_duration: 10s   # a guess", " { init_duration: 10s }");
    let refused = probe_file(folder.path(), &flow, &["--idle=0,1m,30m", "--local"]);
    assert_eq!(refused.code, 1);
    assert_eq!(fs::read_to_string(folder.path().join("f.yaml")).unwrap(), flow);
    let message = refused.stderr.lines().skip_while(|line| !line.starts_with("error")).skip(1);
    insta::assert_snapshot!(message.collect::<Vec<_>>().join("\n"), @"
    hint: add these lines to `f`:
        assume:
          idle_life: 1m
          init_duration: 250ms
          ping_duration: 1ms
    ");
}

#[test]
fn a_probe_during_an_open_window_needs_a_state_store() {
    let folder = TempDir::new().unwrap();
    let file = write(folder.path(), "f.yaml", FUNCTION);
    let refused = run(&["probe", "f", file.to_str().unwrap(), "--idle"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("its pings would spoil the probe of 1h 1m"), "{}", refused.stderr);
}

/// Returns a running probe of `f` on an emulated account, with a state directory.
fn running(account: &Fixture, args: &[&str]) -> (Running, String) {
    let state = account.folder.path().join("state").to_str().unwrap().to_owned();
    let probe = Running::start(account.warmd(&[&["probe", "f", "--json", "--state", &state], args].concat()));
    (probe, state)
}

fn pauses(account: &Fixture, state: &str) -> Value {
    account.run(&["status", "--json", "--state", state]).json()["pauses"]["functions"].clone()
}

#[test]
fn the_function_is_paused_while_it_is_probed() {
    let account = Fixture::new(ONE);
    let (probe, state) = running(&account, &["--idle=0,2s"]);
    probe.await_stderr("next ping in 2s");
    assert_eq!(pauses(&account, &state)[0]["reason"], "probe");
    let (status, stdout, stderr) = probe.end();
    assert!(status.success(), "{stderr}");
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert!(object["longest_warm_gap"].as_f64().is_some_and(|gap| gap >= 2.0), "{stdout}");
    assert_eq!(pauses(&account, &state), json!([]));
}

#[test]
fn users_of_the_function_disturb_a_gap() {
    let account = Fixture::new(ONE);
    let (probe, _) = running(&account, &["--idle=0,2s"]);
    probe.await_stderr("next ping in 2s");
    assert_eq!(account.run(&["warm", "f", "-n", "1"]).code, 0);
    let (status, stdout, stderr) = probe.end();
    assert!(status.success(), "{stderr}");
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&object["pings"][1]["disturbed"], &object["longest_warm_gap"]), (&json!(true), &Value::Null));
}

#[test]
fn an_interrupted_probe_is_partial_and_resumes_the_function() {
    let account = Fixture::new(ONE);
    let (probe, state) = running(&account, &["--idle=0,1s,2h"]);
    probe.await_stderr("next ping in 1h 59m");
    probe.signal("INT");
    let (status, stdout, stderr) = probe.end();
    assert!(status.success(), "{stderr}");
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&object["partial"], object["pings"].as_array().map(Vec::len)), (&json!(true), Some(2)));
    assert_eq!(pauses(&account, &state), json!([]));
}

#[test]
fn a_handler_that_takes_a_ping_for_work_ends_the_probe() {
    let functions = "default: { profile: python, handler: none, duration: 3s }\n";
    let account = Fixture::with_functions(&ONE.replace(", canary: off", ""), functions);
    let (probe, _) = running(&account, &["--parallel", "5", "--for", "1s", "--yes"]);
    let (status, _, stderr) = probe.end();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("the handler took it for work"), "{stderr}");
    let observed = account.emulate.observations();
    let calls = observed["invocations"].as_array().unwrap().iter();
    let calls = calls.filter(|call| call["kind"] == "RequestResponse").count();
    assert_eq!(calls, 2, "one cold and one warm ping");
}

#[test]
fn a_function_that_cannot_be_pinged_is_not_waited_for() {
    let account = Fixture::with_functions(ONE, "functions: { g: { profile: rust } }\n");
    for mode in [&["--idle"][..], &["--parallel", "2", "--yes"], &["--find-hold", "2"]] {
        let (probe, state) = running(&account, mode);
        let (status, _, stderr) = probe.end();
        assert!(matches!(status.code(), Some(1 | 2)), "{mode:?}: {stderr}");
        assert!(stderr.contains("error: "), "{mode:?}: {stderr}");
        assert_eq!(pauses(&account, &state), json!([]), "{mode:?}");
    }
}
