//! Directories, files, links and read errors.

use std::fs;

use tempfile::tempdir;

use super::*;

const FUNCTION: &str = "version: 1\nfunctions: { NAME: { region: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] } }\n";

#[test]
fn a_directory_contributes_its_yaml_files_in_order() {
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
    // A file that is named twice is read once.
    assert_eq!(labels(&[dir.path().join("b.yml"), dir.path().to_owned()]), ["b", "a"]);
}

#[test]
fn the_path_of_a_calendar_file_is_relative() {
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join("days")).unwrap();
    fs::write(dir.path().join("days/uk.yaml"), "dates: [2026-12-25]\n").unwrap();
    fs::write(dir.path().join("fleet.yaml"), "version: 1\ncalendars: { uk: { file: days/uk.yaml } }\n")
        .unwrap();
    let loaded = load(&[dir.path().to_owned()], None).unwrap();
    assert_eq!(loaded.calendars[0].set.dates.len(), 1);
}

#[test]
fn all_read_errors_are_reported_at_once() {
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir(path("empty")).unwrap();
    fs::write(path("large.yaml"), vec![b'#'; 9 << 20]).unwrap();
    fs::write(path("latin.yaml"), b"version: 1\n# caf\xe9\n").unwrap();
    fs::write(path("old.yaml"), "version: 0\n").unwrap();
    let sources = ["empty", "none.yaml", "large.yaml", "old.yaml", "latin.yaml"].map(path);
    let problems = load(&sources, None).unwrap_err().to_string();
    let shown = problems.replace(&format!("{}/", dir.path().display()), "");
    insta::assert_snapshot!(shown, @r"
    error: no .yaml file in this directory
    --> empty
     = hint: name a directory with YAML files: subdirectories are not read

    error: cannot read: no such file or directory
    --> none.yaml

    error: the file is larger than 8 MB
    --> large.yaml
     = hint: split it: the files of a directory are one configuration

    error: the file is not UTF-8 text (line 2)
    --> latin.yaml
     = hint: save it as UTF-8

    error: expected version 1, found 0
     --> old.yaml:1:10
      |
    1 | version: 0
      |          ^
      |
      = hint: write `version: 1`
    ");
}

#[cfg(unix)]
#[test]
fn links_out_of_a_directory_are_rejected() {
    use std::os::unix::fs::symlink;

    let outside = tempdir().unwrap();
    fs::write(outside.path().join("environ"), "SECRET=hunter2\0PATH=/bin\0").unwrap();
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    // The layout of a ConfigMap that Kubernetes mounts.
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
    error: the link leads out of the directory
    --> x.yaml
     = hint: name the file itself instead of its directory, or copy it into the directory

    error: calendar file "days/x.yaml": the link leads out of the directory
     --> y.yaml:2:25
      |
    2 | calendars: { x: { file: days/x.yaml } }
      |                         ^^^^^^^^^^^
      |
      = hint: check the path, which is relative to this file
    "#);
    // A file that is named may be a link to any file.
    symlink(path("..2026_11_20/fleet.yaml"), outside.path().join("link.yaml")).unwrap();
    assert_eq!(load(&[outside.path().join("link.yaml")], None).unwrap().fleet.targets.len(), 1);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_only_when_it_is_named() {
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
fn all_files_together_have_a_size_limit() {
    let dir = tempdir().unwrap();
    let text = format!("version: 1\n#{}\n", "x".repeat(7_900_000));
    for index in 0..9 {
        fs::write(dir.path().join(format!("{index}.yaml")), &text).unwrap();
    }
    let problems = load(&[dir.path().to_owned()], None).unwrap_err();
    assert_eq!(problems.list.len(), 1, "{problems}");
    assert_eq!(problems.list[0].message, "all files together are larger than 64 MB");
    assert!(problems.list[0].position.path.ends_with("8.yaml"));
}
