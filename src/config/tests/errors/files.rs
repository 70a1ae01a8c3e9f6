//! Files: YAML, sizes, keys that are allowed in one file only, and errors of several files.

use insta::assert_snapshot;

use super::*;

#[test]
fn empty_files_and_versions() {
    assert_snapshot!(errors(""), @r"
    error: the file is empty
     --> fleet.yaml:1:1
      |
    1 |
      | ^
      |
      = hint: begin it with `version: 1`, or remove it
    ");
    let cases = r#"
    # only a comment
    ^ the file is empty
    = hint: begin it with `version: 1`, or remove it
    functions: {}
    ^^^^^^^^^ missing key "version"
    = hint: begin the file with `version: 1`
    version: 2
             ^ expected version 1, found 2
             = hint: write `version: 1`
    version: "1"
             ^^^ expected the number 1, found "1"
             = hint: remove the quotes: `version: 1`
    - version: 1
    ^ expected a map, found a list
    = hint: remove the `-` or `[]`: every entry is `key: value`
    verison: 1
    ^^^^^^^ unknown key "verison"
    = hint: did you mean `version`?
    "#;
    check_cases("", cases);
}

#[test]
fn invalid_yaml() {
    assert_snapshot!(errors("version: 1\nfunctions:\n\tf:\n\t\tregion: eu-west-2\n"), @r"
    error: expected spaces, found a tab
     --> fleet.yaml:3:1
      |
    3 |     f:
      | ^^^^
      |
      = hint: replace the tab by spaces
    ");
    let cases = r"
    functions: { f: [1, 2 }
                    ^ mismatched bracket '[' closed by '}'
     functions: 1
              ^ unexpected `key:`
              = hint: indent all keys of a map alike, and put a text that contains `: ` in quotes
    ";
    check_cases(IN_FILE, cases);
    let cases = r"
    version: 1
    functions:
      a: 1
     b: 2
     ^ the indentation does not match the lines above
     = hint: indent all keys of a map alike
    ";
    check_cases("", cases);
    let document = r#"
    version: 1
    functions:
      f: { hours: "08:00-18:00 }
                  ^ unclosed quote
                  = hint: end the text with the quote that begins it
    limits: {}
    "#;
    check_document(document);
    let cases = r"
    defaults: { owner: @team }
                       ^ unexpected character: `@'
                       = hint: put the text in quotes
    ";
    check_cases(IN_FILE, cases);
    let cases = r"
    version: 1
    ---
    version: 1
    ^ expected one YAML document, found a second one
    = hint: move it to a file of its own
    ";
    check_cases("", cases);
    let cases = r#"
    defaults: *common
              ^ unknown anchor
              = hint: define the anchor before the alias, or put a text that begins with `*` in quotes
    defaults: &a { owner: *a }
                          ^ the alias contains itself
    defaults: !secret x
                      ^ unsupported YAML tag "!secret"
                      = hint: remove it, or put a text that begins with `!` in quotes
    "#;
    check_cases(IN_FILE, cases);
    let document = r"
    version: 1
    ? [a, b]
      ^ expected a text as key
    : c
    ";
    check_document(document);
    let cases = r"
    2026: c
    ^^^^ expected a text as key
    = hint: put it in quotes
    ";
    check_cases(IN_FILE, cases);
}

#[test]
fn files_that_are_too_large() {
    let mut bomb = String::from("version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    assert_snapshot!(errors(&bomb), @r"
    error: the file is too large (too many values under anchors (`&name`))
     --> fleet.yaml:7:10
      |
    7 | a5: &a5 [*a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4]
      |          ^
      |
      = hint: split the file, and remove aliases (`*name`) that repeat each other
    ");
    assert_snapshot!(errors(&format!("version: 1\na: {}\n", "[".repeat(100))), @r"
    error: too many lists and maps inside each other
     --> fleet.yaml:2:36
      |
    2 | a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
      |                                    ^
      |
      = hint: use at most 32
    ");
    assert_snapshot!(errors(&format!("version: 1\na: [{}]\n", "1,".repeat(700_000))), @r"
    error: the file is too large (more than 600000 values, with those that aliases repeat)
     --> fleet.yaml:2:1199995
      |
     ::: 
    2 | ...1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,...
      |                                                                    ^
      |
      = hint: split the file, and remove aliases (`*name`) that repeat each other
    ");
    let large = format!("version: 1\n{}", "# 8 MB of comments\n".repeat(450_000));
    assert_snapshot!(errors(&large), @r"
    error: the file is larger than 8 MB
    --> fleet.yaml
     = hint: split it: the files of a directory are one configuration
    ");
}

#[test]
fn keys_that_are_allowed_in_one_file_only() {
    assert_snapshot!(errors_of(&[
        ("a.yaml", "version: 1\nlimits: { max_in_flight: 10 }\nmetrics: {}\n"),
        ("b.yaml", "version: 1\nmetrics: { detail: function }\nlimits: { max_in_flight: 10 }\n"),
    ]), @r#"
    error: duplicate key "metrics" in a second file
     --> b.yaml:2:10
      |
    2 | metrics: { detail: function }
      |          ^
      |
      = hint: keep it in one file: it applies to the whole fleet
      = note: see also a.yaml:3:10

    error: duplicate key "limits" in a second file
     --> b.yaml:3:9
      |
    3 | limits: { max_in_flight: 10 }
      |         ^
      |
      = hint: keep it in one file: it applies to the whole fleet
      = note: see also a.yaml:2:9
    "#);
}

#[test]
fn all_errors_of_all_files_are_reported_at_once() {
    assert_snapshot!(errors_of(&[
        ("a.yaml", "version: 1\nfunctions:\n  f:\n    region: eu-west-2\n    windows:\n      - { days: mun, hours: \"8-18\", concurrency: 0 }\n"),
        ("b.yaml", "version: 1\nfunctions: [\n"),
        ("c.yaml", "functions: {}\n"),
    ]), @r#"
    error: expected a day of the week, found "mun"
     --> a.yaml:6:17
      |
    6 |       - { days: mun, hours: "8-18", concurrency: 0 }
      |                 ^^^
      |
      = hint: did you mean `mon`?

    error: expected a time of day, found "8"
     --> a.yaml:6:30
      |
    6 |       - { days: mun, hours: "8-18", concurrency: 0 }
      |                              ^
      |
      = hint: did you mean `08:00`?

    error: expected a whole number from 1 to 100000, found 0
     --> a.yaml:6:50
      |
    6 |       - { days: mun, hours: "8-18", concurrency: 0 }
      |                                                  ^

    error: unclosed bracket '['
     --> b.yaml:2:12
      |
    2 | functions: [
      |            ^

    error: missing key "version"
     --> c.yaml:1:1
      |
    1 | functions: {}
      | ^^^^^^^^^
      |
      = hint: begin the file with `version: 1`
    "#);
    let many: String = (0..300).map(|n| format!("key{n}: 1\n")).collect();
    let problems = resolve_all(&[("a.yaml", &format!("version: 1\n{many}"))]).unwrap_err();
    assert_eq!((problems.list.len(), problems.omitted), (200, 100));
    assert!(problems.render_text(false).ends_with("\n\nand 100 more"));
}

#[test]
fn a_very_long_line_is_cropped_around_the_error() {
    let text = format!("version: 1\nlimits: {{ {} max_in_flight: -1 }}\n", " ".repeat(100_000));
    let problems = resolve_all(&[("a.yaml", &text)]).unwrap_err();
    let problem = &problems.list[0];
    assert_eq!((problem.position.line, problem.position.column, problem.end_column), (2, 100_027, 100_029));
    let rendered = problem.render_text(false);
    assert!(rendered.contains("--> a.yaml:2:100027\n"), "{rendered}");
    assert!(rendered.contains("max_in_flight: -1 }\n") && rendered.ends_with(" ^^"), "{rendered}");
    assert!(rendered.len() < 2_000, "{rendered}");
}
