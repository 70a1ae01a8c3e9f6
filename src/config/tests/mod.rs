//! Tests of the configuration through its public functions.

mod accepted;
mod errors;
mod examples;
mod hostile;
mod money;
mod reading;
mod requests;
mod schema;
pub(crate) mod validator;

use super::*;

/// Resolves files, given by path and text. Files under `attached/` can only be named by other files.
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

/// Resolves one file without errors.
fn valid(text: &str) -> Loaded {
    resolve_all(&[("fleet.yaml", text)]).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Returns the rendered errors of some files.
fn errors_of(files: &[(&str, &str)]) -> String {
    match resolve_all(files) {
        Ok(loaded) => panic!("expected errors, found {:#?}", loaded.fleet),
        Err(problems) => problems.render_text(false),
    }
}

/// Returns the rendered errors of one file.
fn errors(text: &str) -> String {
    errors_of(&[("fleet.yaml", text)])
}

/// Returns the rendered errors of one window of an otherwise valid function.
fn window_errors(window: &str) -> String {
    errors(&format!("version: 1\nfunctions:\n  f:\n    region: eu-west-2\n    windows:\n      - {window}\n"))
}

/// Returns the rendered errors of keys of an otherwise valid function.
fn function_errors(keys: &str) -> String {
    errors(&format!(
        "version: 1\nfunctions:\n  f:\n    region: eu-west-2\n    windows: [{{ days: daily, hours: all-day, concurrency: 1 }}]\n    {keys}\n"
    ))
}
