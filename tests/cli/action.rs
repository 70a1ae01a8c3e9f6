//! The action `plan-diff`, against a GitHub that runs here.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::support::{Done, done, read_request, root, run, write};

const BOT: &str = "github-actions[bot]";
/// Stands for a request that is carried out, and whose answer is lost.
const LOST: u16 = 0;

/// Returns a configuration with a number of environments, and with a hostile owner if it is above 1.
fn fleet(concurrency: u32) -> String {
    let owner = if concurrency > 1 { "<b>|@all" } else { "web" };
    format!(
        "version: 1\ndefaults: {{ region: eu-west-2 }}\nfunctions:\n  f: {{ owner: \"{owner}\", \
         windows: [{{ days: daily, hours: all-day, concurrency: {concurrency} }}] }}\n"
    )
}

/// The comments of a pull request.
struct Comments {
    /// The account of the token, or none if the token may not query it.
    viewer: Option<&'static str>,
    /// The account of the token, as the author of comments.
    login: &'static str,
    /// Id, author and body.
    all: Vec<(u64, String, String)>,
    /// The requests that change something.
    changes: Vec<String>,
    /// Answers to the next requests with this method, before the usual ones.
    answers: Vec<(&'static str, u16)>,
}

impl Default for Comments {
    fn default() -> Self {
        Self { viewer: Some(BOT), login: BOT, all: vec![], changes: vec![], answers: vec![] }
    }
}

impl Comments {
    fn add(&mut self, author: &str, body: &str) {
        let id = 1_000 + self.all.len() as u64;
        self.all.push((id, author.to_owned(), body.to_owned()));
    }

    /// Returns the status and the body of an answer.
    fn answer(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        if path == "/graphql" {
            assert_eq!((method, body), ("POST", r#"{"query": "{ viewer { login } }"}"#));
            let found = |login| (200, json!({ "data": { "viewer": { "login": login } } }).to_string());
            return self.viewer.map_or((403, "{}".to_owned()), found);
        }
        let path = path.strip_prefix("/repos/o/r/issues/").unwrap();
        if method != "GET" {
            self.changes.push(format!("{method} {path}"));
        }
        if let Some(index) = self.answers.iter().position(|(refused, _)| *refused == method) {
            match self.answers.remove(index) {
                (_, LOST) => {
                    let _ = self.answer(method, &format!("/repos/o/r/issues/{path}"), body);
                    return (500, "{}".to_owned());
                }
                (_, status) => return (status, "{}".to_owned()),
            }
        }
        let text = || serde_json::from_str::<Value>(body).unwrap()["body"].as_str().unwrap().to_owned();
        let id = path.strip_prefix("comments/").map(|id| id.parse::<u64>().unwrap());
        match (method, id) {
            ("GET", None) => {
                let page: usize = path.split_once("page=100&page=").unwrap().1.parse().unwrap();
                let object = |(id, author, body): &(u64, String, String)| {
                    let user = (author != "ghost").then(|| json!({ "login": author }));
                    json!({ "id": id, "user": user, "body": body })
                };
                let page: Vec<_> = self.all.iter().skip((page - 1) * 100).take(100).map(object).collect();
                (200, Value::from(page).to_string())
            }
            ("POST", None) => {
                self.add(self.login, &text());
                (201, json!({ "user": { "login": self.login } }).to_string())
            }
            ("PATCH", Some(id)) => {
                self.all.iter_mut().find(|(known, ..)| *known == id).unwrap().2 = text();
                (200, "{}".to_owned())
            }
            ("DELETE", Some(id)) => {
                self.all.retain(|(known, ..)| *known != id);
                (204, String::new())
            }
            _ => panic!("{method} {path}"),
        }
    }
}

/// A pull request, and a folder with the configurations `old.yaml` and `new.yaml`.
struct PullRequest {
    endpoint: String,
    comments: Arc<Mutex<Comments>>,
    folder: tempfile::TempDir,
}

impl PullRequest {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let comments = Arc::new(Mutex::new(Comments::default()));
        let served = Arc::clone(&comments);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read_request(&mut stream) else { continue };
                let (head, body) = request.split_once("\r\n\r\n").unwrap();
                assert!(head.contains("Authorization: Bearer secret"), "{head}");
                let mut line = head.split(' ');
                let (method, path) = (line.next().unwrap(), line.next().unwrap());
                let (status, text) = served.lock().unwrap().answer(method, path, body);
                let length = text.len();
                let head = format!("HTTP/1.1 {status} -\r\ncontent-length: {length}\r\nconnection: close");
                write!(stream, "{head}\r\n\r\n{text}").unwrap();
            }
        });
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "old.yaml", &fleet(1));
        write(folder.path(), "new.yaml", &fleet(2));
        Self { endpoint, comments, folder }
    }

    fn comments(&self) -> MutexGuard<'_, Comments> {
        self.comments.lock().unwrap()
    }

    /// Returns the bodies of the comments of the action, and the changes since the last call.
    fn seen(&self) -> (Vec<String>, Vec<String>) {
        let mut comments = self.comments();
        let own = comments.all.iter().filter(|(_, author, _)| author == comments.login);
        (own.map(|(.., body)| body.clone()).collect(), std::mem::take(&mut comments.changes))
    }

    /// Runs the script with inputs in addition to `old.yaml` and `new.yaml`.
    fn run(&self, inputs: &[(&str, &str)]) -> Done {
        self.run_in(self.folder.path(), inputs)
    }

    fn run_in(&self, folder: &Path, inputs: &[(&str, &str)]) -> Done {
        let script = root().join(".github/actions/plan-diff/plan_diff.py");
        let mut command = Command::new("python3");
        command.arg(script).current_dir(folder).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.folder.path());
        command.env("GITHUB_API_URL", &self.endpoint).env("GITHUB_REPOSITORY", "o/r");
        command.env("GITHUB_GRAPHQL_URL", format!("{}/graphql", self.endpoint));
        command.env("GITHUB_STEP_SUMMARY", self.folder.path().join("summary.md"));
        let usual = [
            ("WARMD", env!("CARGO_BIN_EXE_warmd")),
            ("OLD", "old.yaml"),
            ("NEW", "new.yaml"),
            ("PERIOD", "28d"),
            ("TOKEN", "secret"),
            ("PULL_REQUEST", "7"),
            ("PAUSE", "0"),
        ];
        for (name, value) in usual.iter().chain(inputs) {
            command.env(format!("PLAN_DIFF_{name}"), value);
        }
        done(command)
    }
}

#[test]
fn one_comment_is_created_and_then_updated() {
    let pull = PullRequest::new();
    assert_eq!(pull.run(&[]).code, 0);
    let (bodies, changes) = pull.seen();
    assert_eq!((bodies.len(), changes), (1, vec!["POST 7/comments".to_owned()]));
    let (marker, rest) = bodies[0].split_once('\n').unwrap();
    assert!(marker.starts_with("<!-- warmd plan-diff ") && marker.ends_with(" -->"), "{marker}");
    assert!(rest.contains("| `~` | `f` | eu-west-2 | 1 → 2 |"), "{rest}");
    assert!(rest.contains("owner web → <code>&#60;b&#62;&#124;&#64;all</code>"), "text is code: {rest}");

    write(pull.folder.path(), "new.yaml", &fleet(3));
    assert_eq!(pull.run(&[]).code, 0);
    let (bodies, changes) = pull.seen();
    assert_eq!((bodies.len(), changes), (1, vec!["PATCH comments/1000".to_owned()]));
    assert!(bodies[0].contains("| 1 → 3 |"), "{}", bodies[0]);

    // Nothing changes any more.
    write(pull.folder.path(), "new.yaml", &fleet(1));
    assert_eq!(pull.run(&[]).code, 0);
    let (bodies, _) = pull.seen();
    assert!(bodies.len() == 1 && bodies[0].contains("**warmd**: nothing changes in the 28d"), "{bodies:?}");

    // The configuration is invalid.
    write(pull.folder.path(), "new.yaml", "version: 2\n");
    let invalid = pull.run(&[]);
    assert!(invalid.code == 2 && invalid.stderr.contains("expected version 1"), "{}", invalid.stderr);
    assert!(pull.seen().0[0].contains("cannot be compared (exit code 2)"));
}

#[test]
fn without_a_change_there_is_no_comment() {
    let pull = PullRequest::new();
    let cheaper = [("OLD", "new.yaml"), ("NEW", "old.yaml"), ("ONLY_IF_INCREASE", "true")];
    for inputs in [&[("NEW", "old.yaml")][..], &cheaper, &[("NEW", "none.yaml")]] {
        let code = pull.run(inputs).code;
        assert_eq!((code, pull.seen()), (if inputs[0].1 == "none.yaml" { 2 } else { 0 }, (vec![], vec![])));
    }
    // Not in a pull request.
    assert_eq!((pull.run(&[("PULL_REQUEST", "")]).code, pull.seen().1.len()), (0, 0));
}

#[test]
fn the_comment_is_found_among_those_of_others() {
    let pull = PullRequest::new();
    assert_eq!(pull.run(&[]).code, 0);
    let (_, _, own) = pull.comments().all.remove(0);
    for _ in 0..150 {
        pull.comments().add("mallory", &own);
        pull.comments().add("ghost", &own);
    }
    pull.comments().add(BOT, "another action");
    pull.comments().add(BOT, &format!("quoted: {own}"));
    pull.comments().add(BOT, &own);
    pull.comments().add(BOT, &own);
    pull.seen();
    assert_eq!(pull.run(&[]).code, 0);
    assert_eq!(pull.seen().1, ["DELETE comments/1303", "PATCH comments/1302"], "a second one is removed");
    // Another configuration has a comment of its own.
    assert_eq!(pull.run(&[("KEY", "canary --> <script>")]).code, 0);
    let (bodies, changes) = pull.seen();
    assert_eq!(changes, ["POST 7/comments"]);
    let markers: Vec<_> =
        bodies.iter().filter_map(|body| body.strip_prefix("<!-- warmd plan-diff ")).collect();
    assert_eq!(markers.len(), 2);
    assert!(markers[0][..16] != markers[1][..16] && markers[1].get(16..21) == Some(" -->\n"), "{markers:?}");
}

#[test]
fn the_comment_is_by_the_account_of_the_token() {
    let pull = PullRequest::new();
    assert_eq!(pull.run(&[]).code, 0);
    let (_, _, forged) = pull.comments().all.remove(0);
    pull.comments().add(BOT, &forged);
    // The token of another app, and a token that may not query its account, such as that of the job on old servers.
    for (viewer, login) in [(Some("warmd-costs[bot]"), "warmd-costs[bot]"), (None, BOT)] {
        (pull.comments().viewer, pull.comments().login) = (viewer, login);
        pull.seen();
        for _ in 0..2 {
            let done = pull.run(&[]);
            assert!(done.code == 0 && !done.stdout.contains("::warning::"), "{}", done.stdout);
        }
        let expected = if login == BOT {
            ["PATCH comments/1000"; 2]
        } else {
            ["POST 7/comments", "PATCH comments/1001"]
        };
        assert_eq!(pull.seen().1, expected);
    }
    // Its account is unknown, and then an input.
    pull.comments().login = "costs";
    pull.comments().all.clear();
    let unknown = pull.run(&[]);
    let hint = "::warning::the comment is by costs, but comments of github-actions[bot] are updated. \
                Set the input `author` to costs.\n";
    assert!(unknown.code == 0 && unknown.stdout.ends_with(hint), "{}", unknown.stdout);
    assert_eq!(pull.run(&[("AUTHOR", "costs")]).code, 0);
    assert_eq!(pull.seen().1, ["POST 7/comments", "PATCH comments/1000"]);
}

#[test]
fn the_limit_fails_after_the_comment_is_written() {
    let pull = PullRequest::new();
    let above = pull.run(&[("FAIL_ABOVE", "0.01")]);
    assert_eq!(above.code, 5, "{}", above.stderr);
    let (bodies, _) = pull.seen();
    assert!(bodies[0].contains("**error: the configuration costs $"), "{}", bodies[0]);
    assert_eq!(pull.run(&[("FAIL_ABOVE", "1000")]).code, 0);
    assert!(!pull.seen().0[0].contains("**error: "));
    assert_eq!(pull.run(&[("FAIL_ABOVE", "much")]).code, 2);
    // Not all prices are known there.
    write(pull.folder.path(), "new.yaml", &fleet(2).replace("eu-west-2", "me-south-1"));
    assert_eq!(pull.run(&[("FAIL_ABOVE", "1000")]).code, 0);
    let (bodies, _) = pull.seen();
    let note = bodies[0].lines().nth(1).unwrap();
    let end = ": the limit of $1,000.00 cannot be checked**";
    assert!(note.starts_with("**warning: the configuration costs $") && note.ends_with(end), "{note}");
    let summary = std::fs::read_to_string(pull.folder.path().join("summary.md")).unwrap();
    assert!(summary.contains("**error: the configuration costs $") && summary.contains(note), "{summary}");
}

#[test]
fn a_pull_request_from_a_fork_has_no_permission() {
    let pull = PullRequest::new();
    for status in [401, 403, 404] {
        pull.comments().answers = vec![("POST", status)];
        let done = pull.run(&[("FAIL_ABOVE", "0.01")]);
        assert_eq!(done.code, 5, "the result of the difference is kept");
        assert!(done.stdout.contains("::warning::") && done.stdout.contains("pull-requests: write"));
    }
    assert_eq!(pull.seen().0, Vec::<String>::new());
    let summary = std::fs::read_to_string(pull.folder.path().join("summary.md")).unwrap();
    assert_eq!(summary.matches("| `~` | `f` |").count(), 3);
}

#[test]
fn failures_of_github_are_tried_again_and_leave_one_comment() {
    let pull = PullRequest::new();
    pull.comments().answers = vec![("GET", 502), ("POST", 500)];
    assert_eq!(pull.run(&[]).code, 0);
    assert_eq!(pull.seen().1, ["POST 7/comments", "POST 7/comments"]);
    assert_eq!(pull.comments().all.len(), 1);
    pull.comments().all.clear();
    pull.comments().answers = vec![("POST", LOST)];
    assert_eq!(pull.run(&[]).code, 0);
    assert_eq!(pull.comments().all.len(), 1, "it was created, and its answer lost");
    pull.comments().answers = vec![("PATCH", 429), ("PATCH", 503), ("PATCH", 500)];
    let down = pull.run(&[]);
    assert!(
        down.code == 1 && down.stdout.contains("::error::the comment is not written: GitHub answers 500")
    );
    // A redirect would send the token elsewhere.
    pull.comments().answers = vec![("GET", 302)];
    let moved = pull.run(&[]);
    assert!(moved.code == 1 && moved.stdout.contains("GitHub answers 302"), "{}", moved.stdout);
    // An answer that is not a list.
    pull.comments().answers = vec![("GET", 200); 3];
    assert_eq!(pull.run(&[]).code, 1);
}

#[test]
fn a_long_difference_is_cut() {
    let pull = PullRequest::new();
    let functions: String = (0..2_000)
        .map(|index| {
            format!("  f{index}: {{ windows: [{{ days: daily, hours: all-day, concurrency: 1 }}] }}\n")
        })
        .collect();
    let text = format!("version: 1\ndefaults: {{ region: eu-west-2 }}\nfunctions:\n{functions}");
    write(pull.folder.path(), "new.yaml", &text);
    assert_eq!(pull.run(&[("PERIOD", "1h"), ("FAIL_ABOVE", "0")]).code, 5);
    let (bodies, _) = pull.seen();
    assert!(bodies[0].len() < 65_536 && bodies[0].ends_with("The summary of the job has the rest.\n"));
    assert!(bodies[0].contains("**error: the configuration costs $"), "the reason of exit code 5 is not cut");
}

/// Runs git in `folder`.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(arguments);
    command.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    let done = done(command);
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.stdout.trim().to_owned()
}

#[test]
fn the_base_of_the_pull_request_is_checked_out() {
    let pull = PullRequest::new();
    let folder = pull.folder.path();
    git(folder, &["init", "--quiet"]);
    git(folder, &["commit", "--quiet", "--allow-empty", "--message", "none"]);
    let none = git(folder, &["rev-parse", "HEAD"]);
    write(folder, "fleet.yaml", &fleet(1));
    git(folder, &["add", "fleet.yaml"]);
    git(folder, &["commit", "--quiet", "--message", "one"]);
    let base = git(folder, &["rev-parse", "HEAD"]);
    write(folder, "fleet.yaml", &fleet(2));
    let path = |new: &str| pull.run(&[("OLD", ""), ("OLD_REF", &base), ("NEW", new)]);
    let whole = folder.join("fleet.yaml");
    for new in ["fleet.yaml", "./fleet.yaml", whole.to_str().unwrap()] {
        assert_eq!(path(new).code, 0, "{new}");
        assert!(pull.seen().0.pop().unwrap().contains("| 1 → 2 |"), "{new}");
        pull.comments().all.clear();
    }
    let outside = folder.parent().unwrap().join("fleet.yaml");
    for new in ["../fleet.yaml", "x/../../fleet.yaml", outside.to_str().unwrap(), "s3://bucket/fleet"] {
        let refused = path(new);
        let expected = format!(
            "error: expected a path in the work tree in `new`, found \"{new}\"\nhint: set `old` to compare other paths\n"
        );
        assert_eq!((refused.code, refused.stderr), (1, expected));
    }
    let from = |reference: &str| pull.run(&[("OLD", ""), ("OLD_REF", reference), ("NEW", "fleet.yaml")]);
    let added = from(&none);
    assert_eq!(added.code, 0, "{}", added.stderr);
    assert!(pull.seen().0[0].contains("1 added"), "the configuration is new");
    assert_eq!(git(folder, &["worktree", "list"]).lines().count(), 1, "nothing is left");
    for wrong in ["", "--upload-pack=touch x", "no-such-ref"] {
        assert_eq!(from(wrong).code, 1, "{wrong}");
    }
}

#[test]
fn the_merge_commit_of_the_pull_request_is_compared_with_its_first_parent() {
    let pull = PullRequest::new();
    let origin = tempfile::tempdir().unwrap();
    let commit = |concurrency| {
        write(origin.path(), "fleet.yaml", &fleet(concurrency));
        git(origin.path(), &["add", "fleet.yaml"]);
        git(origin.path(), &["commit", "--quiet", "--message", "one"]);
        git(origin.path(), &["rev-parse", "HEAD"])
    };
    git(origin.path(), &["init", "--quiet", "--initial-branch=main"]);
    // The base of the event. Its branch has advanced since then.
    let base = commit(1);
    git(origin.path(), &["checkout", "--quiet", "-b", "change"]);
    git(origin.path(), &["commit", "--quiet", "--allow-empty", "--message", "change"]);
    let head = git(origin.path(), &["rev-parse", "HEAD"]);
    git(origin.path(), &["checkout", "--quiet", "main"]);
    commit(2);
    git(origin.path(), &["merge", "--quiet", "--no-ff", "--no-commit", "change"]);
    commit(3);

    let url = format!("file://{}", origin.path().display());
    let clone = |depth: &str| {
        let _ = std::fs::remove_dir_all(pull.folder.path().join("clone"));
        git(pull.folder.path(), &["clone", "--quiet", depth, &url, "clone"]);
        pull.comments().all.clear();
    };
    let compared = |head: &str, reference: &str| {
        let new = pull.folder.path().join("clone/fleet.yaml");
        let inputs =
            [("OLD", ""), ("NEW", "fleet.yaml"), ("BASE", &base), ("HEAD", head), ("OLD_REF", reference)];
        let done = pull.run_in(new.parent().unwrap(), &inputs);
        (done.code, pull.seen().0.pop().unwrap_or_default(), done.stderr)
    };
    for depth in ["--depth=1", "--depth=2", "--no-single-branch"] {
        clone(depth);
        let (code, body, errors) = compared(&head, "");
        assert!(code == 0 && body.contains("| 2 → 3 |"), "{depth}: {errors}{body}");
        // Another merge is checked out: the change itself ends with it.
        let (code, body, errors) = compared("0123456789012345678901234567890123456789", "");
        assert!(code == 0 && body.contains("| 1 → 3 |"), "{depth}: {errors}{body}");
        assert!(compared(&head, &base).1.contains("| 1 → 3 |"), "an input goes first");
    }
    // Without the parent, and without access to it.
    clone("--depth=1");
    git(&pull.folder.path().join("clone"), &["remote", "set-url", "origin", "/nonexistent"]);
    let (code, body, errors) = compared(&head, "");
    assert_eq!((code, body.as_str()), (1, ""));
    assert!(errors.contains("error: expected a commit of this clone or of its origin, found \""), "{errors}");
    assert!(errors.contains("hint: set `fetch-depth: 2` in the step of actions/checkout"), "{errors}");
    clone("--depth=2");
    git(&pull.folder.path().join("clone"), &["remote", "set-url", "origin", "/nonexistent"]);
    assert!(compared(&head, "").1.contains("| 2 → 3 |"), "nothing is fetched");
}

#[test]
fn the_action_names_its_inputs_and_options_that_exist() {
    let folder = root().join(".github/actions/plan-diff");
    let text = std::fs::read_to_string(folder.join("action.yml")).unwrap();
    let action: Value = serde_yaml::from_str(&text).unwrap();
    let inputs = action["inputs"].as_object().unwrap();
    for used in text.split("inputs.").skip(1) {
        let name = used.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap();
        assert!(inputs.contains_key(name), "{name}");
    }
    for (name, input) in inputs {
        assert!(input["description"].is_string() && input["default"].is_string(), "{name}");
        assert!(text.contains(&format!("inputs.{name} ")), "{name} is used");
    }
    let script = std::fs::read_to_string(folder.join("plan_diff.py")).unwrap();
    let steps = action["runs"]["steps"].as_array().unwrap();
    for name in steps.iter().filter_map(|step| step["env"].as_object()).flat_map(|env| env.keys()) {
        let name = name.strip_prefix("PLAN_DIFF_").unwrap();
        assert!(script.replace('\'', "\"").contains(&format!("\"{name}\"")), "{name} is read");
    }
    for step in steps {
        assert!(!step["run"].as_str().unwrap().contains("${{"), "an expression in a script is run as text");
    }
    assert!(steps[0]["run"].as_str().unwrap().starts_with("cd \"$GITHUB_ACTION_PATH\" && cargo build "));
    let help = run(&["diff", "--help"]).stdout;
    let options: Vec<_> = script
        .lines()
        .filter(|line| line.contains("command") || line.contains("for option"))
        .flat_map(|line| line.split('"'))
        .filter(|text| text.starts_with("--") && text.len() > 2)
        .collect();
    assert_eq!(
        options,
        ["--format", "--exit-code", "--for", "--only-if-increase", "--fail-above", "--prices"]
    );
    for option in options {
        assert!(help.contains(&format!("{option} ")) || help.contains(&format!("{option}\n")), "{option}");
    }
}
