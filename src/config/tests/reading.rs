//! Directories, files, and what cannot be read.

use std::fs;

use tempfile::tempdir;

use super::*;

const FUNCTION: &str = "version: 1\nfunctions: { NAME: { region: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] } }\n";

#[test]
fn a_directory_is_its_yaml_files_in_order() {
    let dir = tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("b.yml", &FUNCTION.replace("NAME", "b"));
    write("a.yaml", &FUNCTION.replace("NAME", "a"));
    write("schema.json", "{");
    write("notes.txt", "x: [");
    fs::create_dir(dir.path().join("inside.yaml")).unwrap();
    fs::create_dir(dir.path().join("inside")).unwrap();
    fs::write(dir.path().join("inside/c.yaml"), "x: [").unwrap();
    let labels = |sources: &[PathBuf]| -> Vec<String> {
        let loaded = load(sources, None).unwrap();
        loaded.fleet.targets.iter().map(|target| target.label.clone()).collect()
    };
    assert_eq!(labels(&[dir.path().to_owned()]), ["a", "b"]);
    assert_eq!(labels(&[dir.path().join("b.yml")]), ["b"]);
    // A file that is meant twice is read once.
    assert_eq!(labels(&[dir.path().join("b.yml"), dir.path().to_owned()]), ["b", "a"]);
}

#[test]
fn a_calendars_file_lies_beside_its_own() {
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join("days")).unwrap();
    fs::write(dir.path().join("days/uk.yaml"), "dates: [2026-12-25]\n").unwrap();
    fs::write(dir.path().join("fleet.yaml"), "version: 1\ncalendars: { uk: { file: days/uk.yaml } }\n")
        .unwrap();
    let loaded = load(&[dir.path().to_owned()], None).unwrap();
    assert_eq!(loaded.calendars[0].set.dates.len(), 1);
}

#[test]
fn what_cannot_be_read_is_told_all_at_once() {
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir(path("empty")).unwrap();
    fs::write(path("large.yaml"), vec![b'#'; 9 << 20]).unwrap();
    fs::write(path("latin.yaml"), b"version: 1\n# caf\xe9\n").unwrap();
    fs::write(path("old.yaml"), "version: 0\n").unwrap();
    let sources = ["empty", "none.yaml", "large.yaml", "old.yaml", "latin.yaml"].map(path);
    let problems = load(&sources, None).unwrap_err().to_string();
    let shown = problems.replace(&format!("{}/", dir.path().display()), "");
    insta::assert_snapshot!(shown, @r#"
    error: there is no .yaml file in this directory
    --> empty
     = hint: directories inside are not looked into

    error: cannot be read: no such file or directory
    --> none.yaml

    error: the file is larger than 8 MB
    --> large.yaml

    error: the file is not UTF-8 text (line 2)
    --> latin.yaml

    error: this version is not known
     --> old.yaml:1:10
      |
    1 | version: 0
      |          ^
      |
      = hint: write `version: 1`
    "#);
}
