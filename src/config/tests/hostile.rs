//! Arbitrary content: no panic, no hang, and problems that can be rendered.

use std::fs;

use proptest::prelude::*;

use super::examples::directory;
use super::*;

/// Resolves a file and renders its problems. The files of calendars have the text `attached`.
fn check_resolve(text: &str, attached: &str) -> Result<(), TestCaseError> {
    let files = vec![SourceFile { path: "fleet.yaml".into(), text: text.into() }];
    match resolve(files, &mut |_| Ok(attached.to_owned()), None) {
        Ok(loaded) => prop_assert_eq!(loaded.fleet.targets.len(), loaded.locations.len()),
        Err(problems) => {
            prop_assert!(!problems.list.is_empty());
            for problem in &problems.list {
                prop_assert!(!problem.message.is_empty());
                prop_assert!(!problem.render_text(false).is_empty());
                let position = &problem.position;
                let lines = text.split(['\n', '\r']).count().max(attached.split(['\n', '\r']).count());
                prop_assert!(position.line as usize <= lines, "{position} of {lines} lines");
                prop_assert!(
                    position.line == 0 || (position.column >= 1 && problem.end_column > position.column)
                );
            }
        }
    }
    Ok(())
}

/// Returns the texts of the examples, in the order of their names.
fn examples() -> Vec<String> {
    let paths = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Fragments of YAML and words of the configuration, in any order.
fn tokens() -> impl Strategy<Value = String> {
    let lines = ["version: 1\n", "functions:\n", "%YAML 1.2\n", "* * * * *"];
    let syntax = [
        "  f: ", "\n", "    ", "- ", "{", "}", "[", "]", ", ", ": ", "? ", "&a ", "*a", "<<: ", "!!str ",
        "!x ", "| \n", "> \n", "\"", "'", "#", "---\n", "...\n", "\t", "\r", "\u{feff}", "日本", "\u{0}",
        "\u{7f}",
    ];
    let words = "windows use days mon-fri hours 08:00-18:00 concurrency 10 region eu-west-2 calendars dates \
                 2026-12-25 file a.ics a.yaml load 1e999 .nan -0 cron for 2h defaults limits spare payload protocol \
                 custom null true ~ enabled memory 128MB except through from pipelines stages function parts rate 5 per_backlog payload 2MB via s3 \
                 backlog metric namespace name dimensions drain 1m max on_request max_for arn:aws:lambda:";
    let words = words.split(' ').chain(lines).chain(syntax).collect::<Vec<_>>();
    let words = prop::sample::select(words);
    prop::collection::vec(words, 0..60).prop_map(|words| words.concat())
}

/// Edits of a text: the position as a fraction of its length, the number of removed characters, the inserted text.
fn edits() -> impl Strategy<Value = Vec<(f64, usize, String)>> {
    prop::collection::vec((0.0..1.0, 0usize..12, "\\PC{0,3}|[ \t\n\r:,\\[\\]{}&*!|>'\"%@`#-]{0,4}"), 1..6)
}

fn edited(text: &str, edits: &[(f64, usize, String)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, removed, inserted) in edits {
        let start = (at * chars.len() as f64) as usize;
        let end = (start + removed).min(chars.len());
        chars.splice(start..end, inserted.chars());
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        check_resolve(&text, &text)?;
    }

    #[test]
    fn any_tokens(text in tokens(), attached in tokens()) {
        check_resolve(&format!("version: 1\n{text}"), &attached)?;
    }

    #[test]
    fn edited_examples(which in 0usize..6, edits in edits()) {
        let examples = examples();
        check_resolve(&edited(&examples[which], &edits), "dates: [2026-12-25]")?;
    }

    #[test]
    fn any_calendar_file(lines in prop::collection::vec(
        prop::sample::select(vec![
            "BEGIN:VEVENT", "END:VEVENT", "BEGIN:VALARM", "END:VALARM", "DTSTART;VALUE=DATE:20261225", "DTSTART:20261399",
            "DTEND:20270101", "DTEND:20261224", "DURATION:P1D", "DURATION:P99999999999W", "RRULE:FREQ=DAILY", "SUMMARY:日",
            " folded", "\t", "STATUS:CANCELLED", ":", "\"", "X;Y=\":\":Z", "",
        ]),
        0..30,
    )) {
        let calendars = "version: 1\ncalendars: { c: { file: c.ics } }\n";
        check_resolve(calendars, &lines.join("\r\n"))?;
    }
}

#[test]
fn a_small_file_cannot_make_a_huge_fleet() {
    let regions: Vec<&str> = Region::all().map(Region::as_str).collect();
    let regions = regions.join(", ");
    let functions: String = (0..3_000).map(|n| format!("  f{n}: *f\n")).collect();
    let text = format!(
        "version: 1\ndefaults: {{ regions: [{regions}] }}\nfunctions:\n  f: &f {{ windows: [{{ days: daily, hours: all-day, concurrency: 1 }}] }}\n{functions}"
    );
    let problems = resolve_all(&[("fleet.yaml", &text)]).unwrap_err();
    insta::assert_snapshot!(problems.list[0].message, @"the fleet is too large from here on");
    assert_eq!((problems.list.len(), problems.omitted), (1, 0));

    let dates = "2026-12-25, ".repeat(2_000);
    let functions: String = (0..3_000).map(|n| format!("  f{n}: *f\n")).collect();
    let text = format!(
        "version: 1\ndefaults: {{ region: eu-west-2 }}\nwindows: {{ w: {{ dates: [{dates}], hours: all-day, concurrency: 1 }} }}\nfunctions:\n  f: &f {{ windows: [{{ use: w }}] }}\n{functions}"
    );
    assert_eq!(resolve_all(&[("fleet.yaml", &text)]).unwrap_err().list.len(), 1);

    let payload = "x".repeat(1 << 20);
    let text = format!("version: 1\ndefaults: {{ protocol: custom, payload: [\"{payload}\"] }}\n");
    let problems = resolve_all(&[("fleet.yaml", &text)]).unwrap_err();
    insta::assert_snapshot!(problems.list[0].message, @"the payload is larger than 64 KB");
}

/// Every problem has a column. Without an index, columns in a line of half a megabyte would take minutes.
#[test]
fn many_errors_in_one_long_line_are_reported_quickly() {
    let windows = "{},".repeat(150_000);
    let text = format!(
        "version: 1\ndefaults: {{ region: eu-west-2 }}\nfunctions: {{ f: {{ windows: [{windows}] }} }}\n"
    );
    let started = tokio::time::Instant::now();
    let problems = resolve_all(&[("fleet.yaml", &text)]).unwrap_err();
    assert!(started.elapsed() < std::time::Duration::from_secs(30), "{:?}", started.elapsed());
    assert_eq!((problems.list.len(), problems.count()), (200, 300_000));
}

#[test]
fn ten_thousand_warnings_are_created_quickly() {
    let functions: String = (0..10_000).map(|n| format!("  f{n}: *f\n")).collect();
    let comment = "#".repeat(1 << 20);
    let loaded = valid(&format!(
        "version: 1\n{comment}\ndefaults: {{ region: eu-west-2 }}\nfunctions:\n  f: &f {{ windows: [{{ days: daily, hours: all-day, concurrency: 1 }}] }}\n{functions}"
    ));
    let started = tokio::time::Instant::now();
    let diagnostics = loaded.diagnostics();
    for locations in &loaded.locations {
        let warning = diagnostics.warning(locations.function, "", None);
        assert!(warning.position.line > 4);
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn the_number_of_warnings_about_unused_names_is_limited() {
    let windows: String = (0..1_000).map(|n| format!("  w{n}: {{}}\n")).collect();
    let loaded = valid(&format!("version: 1\nwindows:\n{windows}"));
    assert_eq!(loaded.warnings.len(), 201);
    let last = &loaded.warnings[200];
    assert_eq!((last.position.line, last.message.as_str()), (203, "800 more unused names from here on"));
}
