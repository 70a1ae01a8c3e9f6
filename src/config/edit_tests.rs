use insta::assert_snapshot;

use super::*;

const FILE: &str = "\
# The inference fleet.
version: 1
functions:
  # Comes first.
  other:live: { windows: [] }

  infer:live:   # measured in May
    # Why five minutes: see the wiki.
    interval: 5m
    assume:
      init_duration: \"10s\"   # from the logs
      # the rest is assumed
    windows:
      - { days: mon-fri, hours: \"08:00-18:00\", concurrency: 5 }
  last:
    windows: []
";

fn setting(path: &[&'static str], value: &str) -> Setting {
    Setting { path: path.to_vec(), value: value.to_owned() }
}

fn edit(text: &str, function: &str, settings: &[Setting]) -> Result<String, NotEdited> {
    let file = SourceFile { path: "a.yaml".to_owned(), text: text.to_owned() };
    set(&file, &FunctionRef::parse(function).unwrap(), settings)
}

/// Returns the lines that differ, as a diff shows them.
fn difference(before: &str, after: &str) -> String {
    let (mut old, mut new) =
        (before.split_inclusive('\n').peekable(), after.split_inclusive('\n').peekable());
    let mut difference = String::new();
    while let Some(line) = new.next() {
        if old.peek() == Some(&line) {
            old.next();
            continue;
        }
        // A changed line has its key in both texts.
        let key = |line: &str| line.split(':').next().map(str::to_owned);
        if let Some(removed) = old.next_if(|removed| key(removed) == key(line) && new.peek() != Some(removed))
        {
            difference += &format!("-{removed}");
        }
        difference += &format!("+{line}");
    }
    assert_eq!(old.next(), None, "{difference}");
    difference
}

#[test]
fn keys_are_changed_where_they_are_and_added_below_their_map() {
    let settings = [
        setting(&["assume", "idle_life"], "15m"),
        setting(&["assume", "init_duration"], "6s"),
        setting(&["hold"], "75ms"),
        setting(&["interval"], "12m"),
    ];
    let after = edit(FILE, "infer:live", &settings).unwrap();
    assert_snapshot!(difference(FILE, &after), @r#"
    +    hold: 75ms
    -    interval: 5m
    +    interval: 12m
    +      idle_life: 15m
    -      init_duration: "10s"   # from the logs
    +      init_duration: "6s"   # from the logs
    "#);
    assert_eq!(edit(&after, "infer:live", &settings).unwrap(), after, "a second time changes nothing");
}

#[test]
fn a_map_that_is_missing_is_added() {
    let settings = [setting(&["assume", "idle_life"], "15m"), setting(&["assume", "ping_duration"], "3ms")];
    let after = edit(FILE, "last", &settings).unwrap();
    assert_snapshot!(difference(FILE, &after), @"
    +    assume:
    +      idle_life: 15m
    +      ping_duration: 3ms
    ");
}

#[test]
fn line_endings_and_a_byte_order_mark_stay() {
    let file = format!("\u{feff}{}", FILE.replace('\n', "\r\n"));
    let after = edit(&file, "infer:live", &[setting(&["hold"], "75ms")]).unwrap();
    assert_eq!(after.len(), file.len() + "    hold: 75ms\r\n".len());
    assert!(after.contains("# measured in May\r\n    hold: 75ms\r\n    # Why"), "{after:?}");
}

#[test]
fn an_arn_is_a_key_like_any_other() {
    let file = "version: 1\nfunctions:\n  arn:aws:lambda:eu-west-2:123456789012:function:f:live:\n    interval: 5m\n";
    let function = "arn:aws:lambda:eu-west-2:123456789012:function:f:live";
    let after = edit(file, function, &[setting(&["interval"], "12m")]).unwrap();
    assert_eq!(after, file.replace("5m", "12m"));
}

#[test]
fn what_cannot_be_changed_safely_is_refused() {
    let hold = [setting(&["hold"], "75ms")];
    let life = [setting(&["assume", "idle_life"], "15m")];
    let reason = |text: &str, settings: &[Setting]| edit(text, "f", settings).unwrap_err().to_string();
    let with = |function: &str| format!("version: 1\nbase: &base\n  x: 1\nfunctions:\n{function}");
    let all = [
        reason(&with("  f: { interval: 5m }\n"), &hold),
        reason(&with("  f: { hold: 5ms }\n"), &hold),
        reason(&with("  f: &f\n    interval: 5m\n"), &hold),
        reason(&with("  f: *base\n"), &hold),
        reason(&with("  f:\n    <<: *base\n    interval: 5m\n"), &hold),
        reason(&with("  f:\n    assume: { init_duration: 5s }\n"), &life),
        reason(&with("  f:\n    hold: >-\n      5ms\n"), &hold),
        reason(&with("  f:\n    hold: *x\n"), &hold),
        reason(&with("  f:\n"), &hold),
        reason(&with("  g:\n    interval: 5m\n"), &hold),
        reason("functions: {f: {interval: 5m}}\n", &hold),
        reason("functions: [\n", &hold),
    ];
    assert_snapshot!(all.join("\n"), @r#"
    line 5: it is in flow style
    line 5: its value is not a plain text on the line
    line 5: it has an anchor or an alias
    line 5: it has an anchor or an alias
    line 5: it has a merge key
    line 6: it is in flow style
    line 6: its value is not a plain text on the line
    the file has errors
    line 5: it is not a map in block style
    "f" is not under `functions` in the file
    line 1: it is in flow style
    the file has errors
    "#);
}
