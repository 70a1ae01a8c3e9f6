//! What people see of the configuration: what is taken, and what every mistake looks like.

mod accepted;
mod examples;
mod hostile;
mod mistakes;
mod money;
mod reading;
mod requests;
mod schema;
mod validator;

use super::*;

/// Files by path and text; a file under `attached/` is there for calendars only.
fn resolve_all(files: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let all: Vec<SourceFile> =
        files.iter().map(|(path, text)| SourceFile { path: (*path).into(), text: (*text).into() }).collect();
    let (attached, files): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|file| file.path.contains("attached/"));
    let mut read = |path: &str| {
        let found = attached.iter().find(|file| file.path == path);
        found.map(|file| file.text.clone()).ok_or_else(|| "no such file".to_owned())
    };
    resolve(files, &mut read, None)
}

/// One file that is sound.
fn sound(text: &str) -> Loaded {
    resolve_all(&[("fleet.yaml", text)]).unwrap_or_else(|problems| panic!("{problems}"))
}

/// What people see of the mistakes of some files.
fn mistakes(files: &[(&str, &str)]) -> String {
    match resolve_all(files) {
        Ok(loaded) => panic!("no mistake was found: {:#?}", loaded.fleet),
        Err(problems) => problems.render_text(false),
    }
}

/// What people see of the mistakes of one file.
fn wrong(text: &str) -> String {
    mistakes(&[("fleet.yaml", text)])
}

/// The mistakes of one window of a function that is sound otherwise.
fn wrong_window(window: &str) -> String {
    wrong(&format!("version: 1\nfunctions:\n  f:\n    region: eu-west-2\n    windows:\n      - {window}\n"))
}

/// The mistakes of a function that is sound otherwise.
fn wrong_function(keys: &str) -> String {
    wrong(&format!(
        "version: 1\nfunctions:\n  f:\n    region: eu-west-2\n    windows: [{{ days: daily, hours: all-day, concurrency: 1 }}]\n    {keys}\n"
    ))
}
