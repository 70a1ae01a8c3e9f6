//! Text from outside cannot move the cursor, imitate lines or act as a command.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};

use serde_json::json;

use crate::support::{Emulate, done, read_request, root, run, warmd, with_aws, write};

/// Sets the terminal's title, clears the screen, imitates a line, reverses text and separates lines.
const HOSTILE: &str = "a\u{1b}]0;x\u{7}\u{1b}[2Jb\n::error::forged\nc\u{202e}d\u{2028}e\u{9b}31m";

/// Returns true if a terminal or a workflow would interpret a part of `text`.
fn is_hostile(text: &str) -> bool {
    text.chars().any(|c| (c.is_control() && c != '\n') || "\u{202e}\u{2028}".contains(c))
        || text.lines().any(|line| line.trim_start().starts_with("::error::forged"))
}

#[test]
fn state_documents_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let at = "2026-11-20T09:00:00Z";
    let pause = json!({ "until": "2099-01-01T00:00:00Z", "reason": HOSTILE });
    write(
        folder.path(),
        "pauses.1.json",
        &json!({ "all": pause, "functions": { HOSTILE: pause, "f": pause } }).to_string(),
    );
    let request = json!({ "concurrency": 1, "asked": at, "since": at, "until": "2099-01-01T00:00:00Z", "reason": HOSTILE });
    let requests = json!({ "targets": { HOSTILE: request, "f eu-west-2": request } });
    write(folder.path(), "requests.1.json", &requests.to_string());
    let last = json!({ "tick": at, "target": 1, "reached": 1, "verdict": HOSTILE, "skipped": { "tick": at, "why": HOSTILE } });
    let sound = json!({ "tick": at, "target": 1, "reached": 1, "verdict": "reached" });
    let status = json!({ "tick": at, "config": HOSTILE, "config_behind_since": null, "duration_ms": 1,
        "unfinished": 0, "targets": { HOSTILE: last, "f eu-west-2": last, "g eu-west-2": sound } });
    write(folder.path(), "status.1.json", &status.to_string());
    let shown = run(&["status", "--state", state]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(!is_hostile(&shown.stdout), "{:?}", shown.stdout);
    assert_eq!(shown.stdout.lines().count(), 6, "{:?}", shown.stdout);
    assert!(shown.stdout.contains(r"b\n::error::forged\nc\u{202e}d\u{2028}e\u{9b}31m"), "{}", shown.stdout);
    let resumed = run(&["resume", "f", "--state", state]);
    assert!(
        !is_hostile(&resumed.stdout) && resumed.stdout.contains("everything is still paused"),
        "{:?}",
        resumed.stdout
    );
    let json = run(&["status", "--json", "--state", state]).json();
    assert_eq!(json["pauses"]["all"]["reason"], HOSTILE, "JSON is not escaped");
}

/// Returns a YAML string in ASCII. YAML does not allow control characters.
fn escaped(text: &str) -> String {
    let escape = |c: char| {
        if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\U{:08x}", u32::from(c)) }
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

/// Writes two configurations that differ in cost and owner.
fn configs(folder: &std::path::Path, owner: &str) -> [String; 2] {
    [2, 3].map(|number| {
        let owner = if number == 2 { "search".to_owned() } else { owner.to_owned() };
        let text = format!(
            "version: 1\nfunctions:\n  f:\n    region: eu-west-2\n    owner: {}\n    memory: 1024MB\n    windows: \
             [{{ days: daily, hours: all-day, concurrency: {number} }}]\n",
            escaped(&owner)
        );
        write(folder, &format!("{number}.yaml"), &text).to_str().unwrap().to_owned()
    })
}

#[test]
fn an_owner_is_escaped_in_tables_and_markdown() {
    let folder = tempfile::tempdir().unwrap();
    // A configuration with control characters is invalid.
    let [old, new] = configs(folder.path(), "::error::forged c\u{202e}d\u{200f}");
    for command in [&["diff", &old, &new][..], &["plan", &new], &["check", &new]] {
        let shown = run(command);
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        assert!(!is_hostile(&shown.stdout) && !is_hostile(&shown.stderr), "{command:?}: {:?}", shown.stdout);
    }
    let link = "![x](https://evil.example/x.png) @everyone <b>a</b> | b `c` www.evil.example";
    let [old, new] = configs(folder.path(), link);
    let shown = run(&["diff", &old, &new, "--format", "markdown"]).stdout;
    let row = shown.lines().find(|line| line.contains("everyone") && line.starts_with("| <code>")).unwrap();
    assert!(row.starts_with("| <code>&#33;&#91;x&#93;&#40;https&#58;"), "{row}");
    assert_eq!(row.matches('|').count(), 4, "three cells: {row}");
    for active in ["![", "](", "@everyone", "<b>", "`c`", "www."] {
        assert!(!shown.contains(active), "{active} in {shown}");
    }
}

#[test]
fn a_file_name_cannot_be_a_workflow_command() {
    let folder = tempfile::tempdir().unwrap();
    let name = "x\n::error::forged\n\u{1b}[2J.yaml";
    write(folder.path(), name, "version: 0\n");
    for format in ["github", "text", "json"] {
        let shown = run(&["check", "--format", format, folder.path().to_str().unwrap()]);
        assert_eq!(shown.code, 2);
        assert!(
            !is_hostile(&shown.stdout) && !is_hostile(&shown.stderr),
            "{format}: {:?}{:?}",
            shown.stdout,
            shown.stderr
        );
    }
}

#[test]
fn a_reason_is_one_short_line() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let pause = |reason: &str| run(&["pause", "--all", "--for", "1h", "--reason", reason, "--state", state]);
    for (reason, found) in
        [("x".repeat(257).as_str(), "found 257"), ("a\nb", r"character \n"), ("a\u{1b}b", r"\u{1b}")]
    {
        let refused = pause(reason);
        assert_eq!(refused.code, 2, "{}", refused.stdout);
        assert!(refused.stderr.contains("expected one line of at most 256 characters"), "{}", refused.stderr);
        assert!(refused.stderr.contains(found), "{}", refused.stderr);
        let asked = run(&["warm", "f", "-n", "1", "--via-bus", "--reason", reason]);
        assert_eq!(asked.code, 2, "{}", asked.stderr);
    }
    assert_eq!(pause(&"é".repeat(256)).code, 0);
}

/// Starts an STS that returns the same credentials for every role.
fn sts(secret: &'static str, token: &'static str) -> String {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if read_request(&mut stream).is_none() {
                continue;
            }
            let body = format!(
                "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
                 <AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}\
                 </SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>\
                 </AssumeRoleResponse>"
            );
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
        }
    });
    endpoint
}

#[test]
fn no_log_level_shows_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulate::start(folder.path(), "default: {}\n");
    let secrets = [
        "OwnSecretKey0123456789",
        "AssumedSecretKey0123456789",
        "SessionToken0123456789",
        "ExternalId0123456789",
    ];
    let [own, secret, token, external] = secrets;
    let sts = sts(secret, token);
    let text = format!(
        "version: 1\nfunctions:\n  f:\n    region: eu-west-2\n    role_arn: arn:aws:iam::210987654321:role/warmed\n    \
         external_id: {external}\n    windows: [{{ days: daily, hours: all-day, concurrency: 1 }}]\n"
    );
    let file = write(folder.path(), "fleet.yaml", &text);
    for format in ["text", "json"] {
        let args = ["--log-level", "trace", "--log-format", format, "run", "--once", "--json"];
        let mut command =
            with_aws(warmd(&[&args[..], &[file.to_str().unwrap()]].concat()), &emulator.endpoint);
        command.env("AWS_ENDPOINT_URL_STS", &sts).env("AWS_SECRET_ACCESS_KEY", own).current_dir(root());
        let ran = done(command);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(ran.json()["rounds"][0]["verdict"], "reached");
        assert!(ran.stderr.contains("DEBUG"), "no debug records: {}", ran.stderr);
        for secret in secrets {
            let at = ran.stderr.lines().find(|line| line.contains(secret));
            assert_eq!(at, None, "{secret} in the log");
            assert!(!ran.stdout.contains(secret), "{}", ran.stdout);
        }
    }
}
