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
     = hint: split it: all the files of a directory are one configuration

    error: the file is not UTF-8 text (line 2)
    --> latin.yaml
     = hint: save it as UTF-8

    error: this version is not known
     --> old.yaml:1:10
      |
    1 | version: 0
      |          ^
      |
      = hint: write `version: 1`
    "#);
}

#[cfg(unix)]
#[test]
fn links_lead_within_a_directory_and_not_out_of_it() {
    use std::os::unix::fs::symlink;

    let outside = tempdir().unwrap();
    fs::write(outside.path().join("environ"), "SECRET=hunter2\0PATH=/bin\0").unwrap();
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    // As Kubernetes mounts a ConfigMap.
    fs::create_dir(path("..2026_11_20")).unwrap();
    fs::write(path("..2026_11_20/fleet.yaml"), FUNCTION.replace("NAME", "f")).unwrap();
    fs::write(path("..2026_11_20/uk.yaml"), "dates: [2026-12-25]\n").unwrap();
    symlink("..2026_11_20", path("..data")).unwrap();
    symlink("..data/fleet.yaml", path("fleet.yaml")).unwrap();
    fs::create_dir(path("days")).unwrap();
    symlink("../..data/uk.yaml", path("days/uk.yaml")).unwrap();
    fs::write(path("uk-days.yaml"), "version: 1\ncalendars: { uk: { file: days/uk.yaml } }\n").unwrap();
    let source = [dir.path().to_owned()];
    assert_eq!(load(&source, None).unwrap().fleet.targets.len(), 1);

    symlink(outside.path().join("environ"), path("x.yaml")).unwrap();
    symlink(outside.path().join("environ"), path("days/x.yaml")).unwrap();
    fs::write(path("y.yaml"), "version: 1\ncalendars: { x: { file: days/x.yaml } }\n").unwrap();
    let problems = load(&source, None).unwrap_err().to_string();
    let shown = problems.replace(&format!("{}/", dir.path().display()), "");
    insta::assert_snapshot!(shown, @r#"
    error: a link that leads out of the directory is not followed
    --> x.yaml
     = hint: give the file itself instead of its directory, or copy it there

    error: the calendar's file `days/x.yaml`: a link that leads out of the directory is not followed
     --> y.yaml:2:25
      |
    2 | calendars: { x: { file: days/x.yaml } }
      |                         ^^^^^^^^^^^
      |
      = hint: the path is relative to this file
    "#);
    // A file that is named may be anything, a link to anything included.
    symlink(path("..2026_11_20/fleet.yaml"), outside.path().join("link.yaml")).unwrap();
    assert_eq!(load(&[outside.path().join("link.yaml")], None).unwrap().fleet.targets.len(), 1);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_when_it_is_named_and_not_when_it_is_found() {
    let dir = tempdir().unwrap();
    let pipe = dir.path().join("pipe.yaml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let problems = load(&[dir.path().to_owned()], None).unwrap_err().to_string();
    assert!(problems.contains("expected a regular file, found a pipe"), "{problems}");
    let writer = {
        let pipe = pipe.clone();
        std::thread::spawn(move || fs::write(pipe, FUNCTION.replace("NAME", "f")).unwrap())
    };
    assert_eq!(load(&[pipe], None).unwrap().fleet.targets.len(), 1);
    writer.join().unwrap();
}

#[test]
fn all_files_together_are_bounded() {
    let dir = tempdir().unwrap();
    let text = format!("version: 1\n#{}\n", "x".repeat(7_900_000));
    for index in 0..9 {
        fs::write(dir.path().join(format!("{index}.yaml")), &text).unwrap();
    }
    let problems = load(&[dir.path().to_owned()], None).unwrap_err();
    assert_eq!(problems.list.len(), 1, "{problems}");
    assert_eq!(problems.list[0].message, "all files together are larger than 64 MB");
    assert!(problems.list[0].place.path.ends_with("8.yaml"));
}
