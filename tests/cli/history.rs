//! `warmd history` on a state store in a directory.

use std::path::Path;

use warmd::domain::coverage::Minutes;
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::history::{DayFile, Row};
use warmd::domain::records::Status;
use warmd::engine::ports::Clock;
use warmd::service::clock::SystemClock;

use crate::support::{Done, run};

const FLEET: &str = "version: 1
defaults: { region: eu-west-2 }
functions:
  h: { slo: { coverage: 99% }, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
";

/// Writes the document of a day with one function in some hours.
fn write_day(folder: &Path, day: &str, function: &str, hours: &[u8]) {
    let region = Region::parse("eu-west-2").unwrap();
    let id = FunctionRef::parse(function).unwrap().identity(region);
    let row = Row {
        owner: Some("=payments".to_owned()),
        minutes: Minutes { window: 60, warm: 59, unknown: 0, capped: 0 },
        target: 3,
        reached: Some(2),
        rounds: 12,
        pings: 36,
        cost: [("compute".to_owned(), "0.00000125".parse().unwrap())].into(),
        ..Row::default()
    };
    let mut file = DayFile::default();
    for hour in hours {
        file.add(*hour, region, 1, &[(id.clone(), row.clone())].into()).unwrap();
    }
    let name = DayFile::document(region, format!("{day}T00:00:00Z").parse().unwrap(), None);
    std::fs::write(folder.join(format!("{name}.1.gz")), file.bytes()).unwrap();
}

fn history(folder: &Path, options: &[&str]) -> Done {
    let store = ["history", "--state", folder.to_str().unwrap()];
    run(&[&store[..], &["--from", "2026-11-19T23:00:00Z", "--until", "2026-11-21"], options].concat())
}

#[test]
fn rows_are_printed_as_table_json_and_csv() {
    let folder = tempfile::tempdir().unwrap();
    write_day(folder.path(), "2026-11-19", "checkout", &[22, 23]);
    write_day(folder.path(), "2026-11-20", "nlp-inference:live", &[9]);
    insta::assert_snapshot!(history(folder.path(), &[]).shown(), @"
    exit 0
    --- stdout
      HOUR (UTC)        FUNCTION            REGION     WINDOW  WARM  REACHED  PINGS       COST
    ! 2026-11-19 23:00  checkout            eu-west-2      60    59      2/3     36  $0.000001
    ! 2026-11-20 09:00  nlp-inference:live  eu-west-2      60    59      2/3     36  $0.000001
      total                                               120   118              72  $0.000003

    coverage from 2026-11-19 23:00 to 2026-11-21 00:00 UTC: 98.33 % of 120 window minutes
    --- stderr
    ");
    let json = history(folder.path(), &["--json"]).json();
    insta::assert_snapshot!(json["rows"][1].to_string(), @r#"{"hour":"2026-11-20T09:00:00Z","function":"nlp-inference:live","region":"eu-west-2","tenant":null,"owner":"=payments","window_minutes":60,"warm_minutes":59,"unknown_minutes":0,"capped_minutes":0,"target":3,"reached":2,"rounds":12,"pings":36,"cold_starts":0,"semi_cold":0,"restored":0,"preinitialized":0,"short_rounds":{},"egress_bytes":{},"known_usd":"0.00000125","cost_usd":{"compute":"0.00000125"},"cost_unknown":0,"capacity":null}"#);
    let rest = (&json["from"], &json["until"], json["rows"].as_array().unwrap().len(), &json["unread"]);
    insta::assert_debug_snapshot!(rest, @r#"
    (
        String("2026-11-19T23:00:00Z"),
        String("2026-11-21T00:00:00Z"),
        2,
        Array [],
    )
    "#);
    let csv = history(folder.path(), &["--csv", "--function", "checkout"]);
    let lines: Vec<_> = csv.stdout.split("\r\n").collect();
    assert_eq!((csv.code, lines.len(), lines[2]), (0, 3, ""));
    assert!(
        lines[1].starts_with("2026-11-19T23:00:00Z,checkout,eu-west-2,,\"'=payments\",60,59,"),
        "{}",
        lines[1]
    );
    let other = history(folder.path(), &["--function", "other"]);
    assert_eq!(
        (other.code, other.stdout.as_str()),
        (0, "no history from 2026-11-19 23:00 to 2026-11-21 00:00 UTC\n")
    );
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    write_day(folder.path(), "2026-11-20", "checkout", &[9]);
    std::fs::write(folder.path().join("history-eu-west-2-2026-11-19.3.gz"), "not gzip").unwrap();
    insta::assert_snapshot!(history(folder.path(), &[]).shown(), @r#"
    exit 1
    --- stdout
      HOUR (UTC)        FUNCTION  REGION     WINDOW  WARM  REACHED  PINGS       COST
    ! 2026-11-20 09:00  checkout  eu-west-2      60    59      2/3     36  $0.000001
      total                                      60    59              36  $0.000001

    coverage from 2026-11-19 23:00 to 2026-11-21 00:00 UTC: 98.33 % of 60 window minutes
    --- stderr
    error: a part of the history cannot be read: "history-eu-west-2-2026-11-19.gz": it is damaged at byte 0
    "#);
    let json = history(folder.path(), &["--json"]);
    assert_eq!((json.code, json.json()["rows"].as_array().unwrap().len()), (1, 1));
    insta::assert_snapshot!(json.json()["unread"].to_string(), @r#"["\"history-eu-west-2-2026-11-19.gz\": it is damaged at byte 0"]"#);
}

#[test]
fn rows_that_cannot_be_right_are_named_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let region = Region::parse("eu-west-2").unwrap();
    let rows = [("f", 60, 120), ("g", u64::MAX, 60), ("h", 60, 30)].map(|(function, window, warm)| {
        let id = FunctionRef::parse(function).unwrap().identity(region);
        (id, Row::of_minutes(Minutes { window, warm, ..Minutes::default() }))
    });
    let mut file = DayFile::default();
    file.add(9, region, 1, &rows.into()).unwrap();
    std::fs::write(folder.path().join("history-eu-west-2-2026-11-20.1.gz"), file.bytes()).unwrap();
    insta::assert_snapshot!(history(folder.path(), &[]).shown(), @r#"
    exit 1
    --- stdout
      HOUR (UTC)        FUNCTION  REGION     WINDOW  WARM
    ! 2026-11-20 09:00  h         eu-west-2      60    30
      total                                      60    30

    coverage from 2026-11-19 23:00 to 2026-11-21 00:00 UTC: 50.00 % of 60 window minutes
    --- stderr
    error: a part of the history cannot be read: "history-eu-west-2-2026-11-20.gz": the hour 9: it is read without 2 rows, the first of "f": expected the minutes of an hour, found window 60, warm 120, unknown 0 and capped 0
    "#);
    let state = folder.path().to_str().unwrap();
    let fleet = folder.path().join("fleet.yaml");
    std::fs::write(&fleet, FLEET).unwrap();
    let period = ["report", "--from", "2026-11-20", "--until", "2026-11-21", "--json", "--state", state];
    let report = run(&[&period[..], &[fleet.to_str().unwrap()]].concat());
    let object = report.json();
    let fleet = (&object["fleet"]["window_minutes"], &object["unread"]);
    insta::assert_snapshot!(format!("{} {fleet:?}", report.code), @r#"1 (Number(60), Array [String("\"history-eu-west-2-2026-11-20.gz\": the hour 9: it is read without 2 rows, the first of \"f\": expected the minutes of an hour, found window 60, warm 120, unknown 0 and capped 0")])"#);
}

#[test]
fn a_directory_that_does_not_exist_is_no_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nonexist");
    let state = missing.to_str().unwrap();
    let fleet = folder.path().join("fleet.yaml");
    std::fs::write(&fleet, FLEET).unwrap();
    let configs = fleet.to_str().unwrap();
    for args in
        [&["history"][..], &["status"], &["report", configs], &["canary", "list"], &["explain", "h", configs]]
    {
        let done = run(&[args, &["--state", state]].concat());
        let shown = done.shown().replace(folder.path().to_str().unwrap(), "DIR");
        insta::allow_duplicates! {
            insta::assert_snapshot!(shown, @r#"
            exit 2
            --- stdout
            --- stderr
            error: the state directory "DIR/nonexist" does not exist
            hint: check --state or WARMD_STATE; `warmd run` and `warmd pause` create the directory
            "#);
        }
    }
    // A directory that exists is a store, even if nothing was written yet; a pause creates one.
    assert_eq!(run(&["history", "--state", folder.path().to_str().unwrap()]).code, 0);
    assert_eq!(run(&["pause", "--all", "--for", "1h", "--reason", "r", "--state", state]).code, 0);
    assert_eq!(run(&["status", "--state", state]).code, 0);
}

#[test]
fn a_status_without_a_part_of_the_history_fails() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let fleet = folder.path().join("fleet.yaml");
    std::fs::write(&fleet, FLEET).unwrap();
    let now = SystemClock.now();
    let mut status = Status { tick: Some(now), ..Status::default() };
    status.history.set_objectives(&warmd::config::load(&[fleet], None).unwrap().fleet);
    std::fs::write(folder.path().join("status.1.json"), serde_json::to_vec(&status).unwrap()).unwrap();
    assert_eq!(run(&["status", "--state", state]).code, 0);
    let day = now.format("%Y-%m-%d");
    std::fs::write(folder.path().join(format!("history-eu-west-2-{day}-f.1.gz")), "damaged").unwrap();
    let status = run(&["status", "--state", state]);
    assert_eq!(status.code, 1, "{}", status.shown());
    let expected = format!(
        "error: a part of the history cannot be read: \"history-eu-west-2-{day}-f.gz\": it is damaged at byte 0"
    );
    assert!(status.shown().contains(&expected), "{}", status.shown());
}

#[test]
fn without_a_store_there_is_no_history() {
    insta::assert_snapshot!(run(&["history"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: without a state store there is no history
    hint: set --state or WARMD_STATE
    ");
    let folder = tempfile::tempdir().unwrap();
    let period = history(folder.path(), &["--json", "--csv"]);
    assert_eq!(period.code, 2);
    let state = folder.path().to_str().unwrap();
    let swapped = run(&["history", "--state", state, "--from", "2026-11-20", "--until", "2026-11-20"]);
    insta::assert_snapshot!(swapped.shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: --until (2026-11-20 00:00 UTC) must be after --from (2026-11-20 00:00 UTC)
    ");
}
