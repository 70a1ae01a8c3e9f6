//! Tests of the configuration through its public functions.

mod accepted;
mod backlog;
mod budgets;
mod capacity;
mod errors;
mod examples;
mod hostile;
mod money;
mod pipelines;
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

/// The text before the only window of an otherwise valid function.
const IN_WINDOW: &str = "version: 1\nfunctions:\n  f:\n    region: eu-west-2\n    windows:\n      - ";
/// The text before further keys of an otherwise valid function.
const IN_FUNCTION: &str = "version: 1\nfunctions:\n  f:\n    region: eu-west-2\n    windows: [{ days: daily, hours: all-day, concurrency: 1 }]\n    ";
/// The text before further keys of a file.
const IN_FILE: &str = "version: 1\n";

/// Returns the rendered errors of one window of an otherwise valid function.
fn window_errors(window: &str) -> String {
    errors(&format!("{IN_WINDOW}{window}\n"))
}

/// Returns the rendered errors of keys of an otherwise valid function.
fn function_errors(keys: &str) -> String {
    errors(&format!("{IN_FUNCTION}{keys}\n"))
}

/// Asserts the errors of a document. Each line with an error is followed by carets and the message, the hint and the
/// related position.
#[track_caller]
fn check_document(text: &str) {
    check("", text, |lines| vec![lines]);
}

/// Asserts the errors of several cases, each the end of a document that begins with `head`. A case ends with the errors
/// of its last line.
#[track_caller]
fn check_cases(head: &str, text: &str) {
    check(head, text, |lines| lines.chunk_by(|line, next| is_source(line) || !is_source(next)).collect());
}

fn is_source(line: &str) -> bool {
    !line.trim_start().starts_with(['^', '='])
}

#[track_caller]
fn check(head: &str, text: &str, cases: impl for<'l> Fn(&'l [&'l str]) -> Vec<&'l [&'l str]>) {
    let text = text.trim_start_matches('\n').trim_end();
    let indent = text.len() - text.trim_start().len();
    let lines: Vec<&str> = text.lines().map(|line| line.get(indent..).unwrap_or_default()).collect();
    let annotated: Vec<String> = cases(&lines).into_iter().flat_map(|case| annotate(head, case)).collect();
    let (expected, found) = (lines.join("\n"), annotated.join("\n"));
    assert!(found == expected, "expected:\n{expected}\nfound:\n{found}");
}

/// Returns the YAML lines of `case` with their errors.
fn annotate(head: &str, case: &[&str]) -> Vec<String> {
    let case: Vec<&str> = case.iter().copied().filter(|line| is_source(line)).collect();
    let text = format!("{head}{}\n", case.join("\n"));
    let problems = resolve_all(&[("fleet.yaml", &text)]).err().unwrap_or_default();
    let (mut lines, mut shown) = (Vec::new(), 0);
    for (index, line) in case.iter().enumerate() {
        lines.push((*line).to_owned());
        let first_column =
            if index == 0 { head.len() - head.rfind('\n').map_or(0, |end| end + 1) + 1 } else { 1 };
        let number = head.matches('\n').count() + 1 + index;
        for problem in problems.list.iter().filter(|problem| problem.position.line as usize == number) {
            let column = problem.position.column as usize - first_column;
            let carets = "^".repeat((problem.end_column - problem.position.column) as usize);
            lines.push(format!("{:column$}{carets} {}", "", problem.message));
            lines.extend(problem.hint.iter().map(|hint| format!("{:column$}= hint: {hint}", "")));
            lines.extend(problem.related.iter().map(|at| format!("{:column$}= note: see also {at}", "")));
            shown += 1;
        }
    }
    assert_eq!(shown, problems.count(), "errors in other lines: {problems}");
    lines
}
