//! Files: YAML, sizes, what stands in one of them only, and mistakes of many at once.

use insta::assert_snapshot;

use super::*;

#[test]
fn a_file_that_is_empty_or_says_nothing() {
    assert_snapshot!(wrong(""), @r#"
    error: the file is empty
     --> fleet.yaml:1:1
      |
    1 |
      | ^
      |
      = hint: begin it with `version: 1`, or remove it
    "#);
    assert_snapshot!(wrong("# only a comment\n"), @r#"
    error: the file is empty
     --> fleet.yaml:1:1
      |
    1 | # only a comment
      | ^
      |
      = hint: begin it with `version: 1`, or remove it
    "#);
    assert_snapshot!(wrong("functions: {}\n"), @r#"
    error: the key `version` is missing
     --> fleet.yaml:1:1
      |
    1 | functions: {}
      | ^^^^^^^^^
      |
      = hint: begin the file with `version: 1`
    "#);
    assert_snapshot!(wrong("version: 2\n"), @r#"
    error: this version is not known
     --> fleet.yaml:1:10
      |
    1 | version: 2
      |          ^
      |
      = hint: write `version: 1`
    "#);
    assert_snapshot!(wrong("version: \"1\"\n"), @r#"
    error: the version is a number
     --> fleet.yaml:1:10
      |
    1 | version: "1"
      |          ^^^
      |
      = hint: write `version: 1`, without quotes
    "#);
    assert_snapshot!(wrong("- version: 1\n"), @r#"
    error: a map (`key: value`) belongs here, not a list
     --> fleet.yaml:1:1
      |
    1 | - version: 1
      | ^
      |
      = hint: leave out the `-` or `[]`: every entry is `name: value`
    "#);
    assert_snapshot!(wrong("verison: 1\n"), @r#"
    error: unknown key `verison`
     --> fleet.yaml:1:1
      |
    1 | verison: 1
      | ^^^^^^^
      |
      = hint: did you mean `version`?
    "#);
}

#[test]
fn yaml_that_is_not_yaml() {
    assert_snapshot!(wrong("version: 1\nfunctions:\n\tf:\n\t\tregion: eu-west-2\n"), @r#"
    error: a tab stands where YAML wants spaces
     --> fleet.yaml:3:1
      |
    3 |     f:
      | ^^^^
      |
      = hint: replace the tab by spaces
    "#);
    assert_snapshot!(wrong("version: 1\nfunctions: { f: [1, 2 }\n"), @r#"
    error: mismatched bracket '[' closed by '}'
     --> fleet.yaml:2:17
      |
    2 | functions: { f: [1, 2 }
      |                 ^
    "#);
    assert_snapshot!(wrong("version: 1\n functions: 1\n"), @r#"
    error: a `key:` is not expected here
     --> fleet.yaml:2:11
      |
    2 |  functions: 1
      |           ^
      |
      = hint: indent all keys of a map alike, and put a text with `: ` in it in quotes
    "#);
    assert_snapshot!(wrong("version: 1\nfunctions:\n  a: 1\n b: 2\n"), @r#"
    error: the indentation does not fit the lines above
     --> fleet.yaml:4:2
      |
    4 |  b: 2
      |  ^
      |
      = hint: indent all keys of a map alike
    "#);
    assert_snapshot!(wrong("version: 1\nfunctions:\n  f: { hours: \"08:00-18:00 }\nlimits: {}\n"), @r#"
    error: unclosed quote
     --> fleet.yaml:3:15
      |
    3 |   f: { hours: "08:00-18:00 }
      |               ^
      |
      = hint: close it with the quote that opened it
    "#);
    assert_snapshot!(wrong("version: 1\ndefaults: { owner: @team }\n"), @r#"
    error: unexpected character: `@'
     --> fleet.yaml:2:20
      |
    2 | defaults: { owner: @team }
      |                    ^
      |
      = hint: put the text in quotes
    "#);
    assert_snapshot!(wrong("version: 1\n---\nversion: 1\n"), @r#"
    error: a second YAML document begins here
     --> fleet.yaml:3:1
      |
    3 | version: 1
      | ^
      |
      = hint: one document for each file: put it into a file of its own
    "#);
    assert_snapshot!(wrong("version: 1\ndefaults: *common\n"), @r#"
    error: this alias names an anchor that is not defined before it
     --> fleet.yaml:2:11
      |
    2 | defaults: *common
      |           ^
      |
      = hint: a text that begins with `*` needs quotes
    "#);
    assert_snapshot!(wrong("version: 1\ndefaults: &a { owner: *a }\n"), @r#"
    error: this alias contains itself
     --> fleet.yaml:2:23
      |
    2 | defaults: &a { owner: *a }
      |                       ^
    "#);
    assert_snapshot!(wrong("version: 1\ndefaults: !secret x\n"), @r#"
    error: the YAML tag `!secret` is not supported
     --> fleet.yaml:2:19
      |
    2 | defaults: !secret x
      |                   ^
      |
      = hint: a text that begins with `!` needs quotes
    "#);
    assert_snapshot!(wrong("version: 1\n? [a, b]\n: c\n"), @r#"
    error: a key must be text
     --> fleet.yaml:2:3
      |
    2 | ? [a, b]
      |   ^
    "#);
    assert_snapshot!(wrong("version: 1\n2026: c\n"), @r#"
    error: a key must be a text
     --> fleet.yaml:2:1
      |
    2 | 2026: c
      | ^^^^
      |
      = hint: put it in quotes
    "#);
}

#[test]
fn files_that_grow_too_large() {
    let mut bomb = String::from("version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    assert_snapshot!(wrong(&bomb), @r#"
    error: the file grows too large here (its anchors (`&name`) hold too much)
     --> fleet.yaml:7:10
      |
    7 | a5: &a5 [*a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4]
      |          ^
      |
      = hint: split the file, and look for aliases (`*name`) that repeat each other
    "#);
    assert_snapshot!(wrong(&format!("version: 1\na: {}\n", "[".repeat(100))), @r#"
    error: too many lists and maps inside each other
     --> fleet.yaml:2:36
      |
    2 | a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
      |                                    ^
      |
      = hint: 32 is the most
    "#);
    assert_snapshot!(wrong(&format!("version: 1\na: [{}]\n", "1,".repeat(700_000))), @r#"
    error: the file grows too large here (more than 600000 values, those that aliases repeat included)
     --> fleet.yaml:2:1199995
      |
     ::: 
    2 | ...1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,...
      |                                                                    ^
      |
      = hint: split the file, and look for aliases (`*name`) that repeat each other
    "#);
    let large = format!("version: 1\n{}", "# 8 MB of comments\n".repeat(450_000));
    assert_snapshot!(wrong(&large), @r#"
    error: the file is larger than 8 MB
    --> fleet.yaml
     = hint: split it: all the files of a directory are one configuration
    "#);
}

#[test]
fn things_that_stand_in_one_file_only() {
    assert_snapshot!(mistakes(&[
        ("a.yaml", "version: 1\nlimits: { max_in_flight: 10 }\nmetrics: {}\n"),
        ("b.yaml", "version: 1\nmetrics: { detail: function }\nlimits: { max_in_flight: 10 }\n"),
    ]), @r#"
    error: `metrics` stands in a second file
     --> b.yaml:2:10
      |
    2 | metrics: { detail: function }
      |          ^
      |
      = hint: it holds for the whole fleet, so it stands in one file only
      = note: the other place is a.yaml:3:10

    error: `limits` stands in a second file
     --> b.yaml:3:9
      |
    3 | limits: { max_in_flight: 10 }
      |         ^
      |
      = hint: it holds for the whole fleet, so it stands in one file only
      = note: the other place is a.yaml:2:9
    "#);
}

#[test]
fn all_mistakes_of_all_files_in_one_go() {
    assert_snapshot!(mistakes(&[
        ("a.yaml", "version: 1\nfunctions:\n  f:\n    region: eu-west-2\n    windows:\n      - { days: mun, hours: \"8-18\", concurrency: 0 }\n"),
        ("b.yaml", "version: 1\nfunctions: [\n"),
        ("c.yaml", "functions: {}\n"),
    ]), @r#"
    error: expected a day of the week, found `mun`
     --> a.yaml:6:17
      |
    6 |       - { days: mun, hours: "8-18", concurrency: 0 }
      |                 ^^^
      |
      = hint: did you mean `mon`?

    error: expected a time of day, found `8`
     --> a.yaml:6:30
      |
    6 |       - { days: mun, hours: "8-18", concurrency: 0 }
      |                              ^
      |
      = hint: did you mean `08:00`?

    error: `0` is not a whole number from 1 to 100000
     --> a.yaml:6:50
      |
    6 |       - { days: mun, hours: "8-18", concurrency: 0 }
      |                                                  ^

    error: unclosed bracket '['
     --> b.yaml:2:12
      |
    2 | functions: [
      |            ^

    error: the key `version` is missing
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
fn a_very_long_line_is_cropped_around_the_mistake() {
    let text = format!("version: 1\nlimits: {{ {} max_in_flight: -1 }}\n", " ".repeat(100_000));
    let problems = resolve_all(&[("a.yaml", &text)]).unwrap_err();
    let problem = &problems.list[0];
    assert_eq!((problem.place.line, problem.place.column, problem.end_column), (2, 100_027, 100_029));
    let rendered = problem.render_text(false);
    assert!(rendered.contains("--> a.yaml:2:100027\n"), "{rendered}");
    assert!(rendered.contains("max_in_flight: -1 }\n") && rendered.ends_with(" ^^"), "{rendered}");
    assert!(rendered.len() < 2_000, "{rendered}");
}
