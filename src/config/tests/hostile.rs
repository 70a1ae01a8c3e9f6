//! Whatever stands in a file: no panic, no hang, and problems that can be shown.

use std::fs;

use proptest::prelude::*;

use super::examples::directory;
use super::*;

/// Resolves a file and renders what is wrong. Calendars get `attached`.
fn survives(text: &str, attached: &str) -> Result<(), TestCaseError> {
    let files = vec![SourceFile { path: "fleet.yaml".into(), text: text.into() }];
    match resolve(files, &mut |_| Ok(attached.to_owned()), None) {
        Ok(loaded) => prop_assert_eq!(loaded.fleet.targets.len(), loaded.marks.len()),
        Err(problems) => {
            prop_assert!(!problems.list.is_empty());
            for problem in &problems.list {
                prop_assert!(!problem.message.is_empty());
                prop_assert!(!problem.render_text(false).is_empty());
                let place = &problem.place;
                let lines = text.split(['\n', '\r']).count().max(attached.split(['\n', '\r']).count());
                prop_assert!(place.line as usize <= lines, "{place} of {lines} lines");
                prop_assert!(place.line == 0 || (place.column >= 1 && problem.end_column > place.column));
            }
        }
    }
    Ok(())
}

/// The examples as one text: each without its version, under one.
fn examples() -> Vec<String> {
    let paths = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Bits of YAML and of our own words, in any order.
fn tokens() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "version: 1\n",
        "functions:\n",
        "  f: ",
        "\n",
        "    ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        ": ",
        "? ",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "!x ",
        "| \n",
        "> \n",
        "\"",
        "'",
        "#",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "\t",
        "\r",
        "\u{feff}",
        "日本",
        "\u{0}",
        "\u{7f}",
        "windows",
        "use",
        "days",
        "mon-fri",
        "hours",
        "08:00-18:00",
        "concurrency",
        "10",
        "region",
        "eu-west-2",
        "calendars",
        "dates",
        "2026-12-25",
        "file",
        "a.ics",
        "a.yaml",
        "load",
        "1e999",
        ".nan",
        "-0",
        "cron",
        "* * * * *",
        "for",
        "2h",
        "defaults",
        "limits",
        "spare",
        "payload",
        "protocol",
        "custom",
        "null",
        "true",
        "~",
        "enabled",
        "memory",
        "128MB",
        "except",
        "through",
        "from",
        "arn:aws:lambda:",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.concat())
}

/// A change to a text: where (as fractions of its length), how much goes, and what comes.
fn changes() -> impl Strategy<Value = Vec<(f64, usize, String)>> {
    prop::collection::vec((0.0..1.0, 0usize..12, "\\PC{0,3}|[ \t\n\r:,\\[\\]{}&*!|>'\"%@`#-]{0,4}"), 1..6)
}

fn changed(text: &str, changes: &[(f64, usize, String)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, gone, new) in changes {
        let start = (at * chars.len() as f64) as usize;
        let end = (start + gone).min(chars.len());
        chars.splice(start..end, new.chars());
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        survives(&text, &text)?;
    }

    #[test]
    fn any_tokens(text in tokens(), attached in tokens()) {
        survives(&format!("version: 1\n{text}"), &attached)?;
    }

    #[test]
    fn examples_with_slips(which in 0usize..4, changes in changes()) {
        let examples = examples();
        survives(&changed(&examples[which], &changes), "dates: [2026-12-25]")?;
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
        survives(calendars, &lines.join("\r\n"))?;
    }
}

#[test]
fn a_small_file_cannot_ask_for_a_huge_fleet() {
    let regions: Vec<&str> = Region::all().map(Region::as_str).collect();
    let regions = regions.join(", ");
    let functions: String = (0..3_000).map(|n| format!("  f{n}: *f\n")).collect();
    let text = format!(
        "version: 1\ndefaults: {{ regions: [{regions}] }}\nfunctions:\n  f: &f {{ windows: [{{ days: daily, hours: all-day, concurrency: 1 }}] }}\n{functions}"
    );
    let problems = resolve_all(&[("fleet.yaml", &text)]).unwrap_err();
    insta::assert_snapshot!(problems.list[0].message, @"from here on the fleet is larger than warmd takes");
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
    insta::assert_snapshot!(problems.list[0].message, @"the payload is too large");
}

/// Each mistake is told with its place; in one line of half a megabyte, counting from its beginning each time would
/// take minutes.
#[test]
fn many_mistakes_in_one_long_line_are_told_quickly() {
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
fn ten_thousand_warnings_are_told_quickly() {
    let functions: String = (0..10_000).map(|n| format!("  f{n}: *f\n")).collect();
    let comment = "#".repeat(1 << 20);
    let loaded = sound(&format!(
        "version: 1\n{comment}\ndefaults: {{ region: eu-west-2 }}\nfunctions:\n  f: &f {{ windows: [{{ days: daily, hours: all-day, concurrency: 1 }}] }}\n{functions}"
    ));
    let started = tokio::time::Instant::now();
    let places = loaded.places();
    for marks in &loaded.marks {
        let warning = places.warning(marks.function, "", None);
        assert!(warning.place.line > 4);
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn warnings_of_unused_names_have_an_end() {
    let windows: String = (0..1_000).map(|n| format!("  w{n}: {{}}\n")).collect();
    let loaded = sound(&format!("version: 1\nwindows:\n{windows}"));
    assert_eq!(loaded.warnings.len(), 201);
    let last = &loaded.warnings[200];
    assert_eq!((last.place.line, last.message.as_str()), (203, "from here on 800 more are not used"));
}
