//! The architecture as a test: which room may import which, who may print, and what stands at the top level.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Who may import whom. A room may always import itself.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("config", &["domain"]),
    ("engine", &["domain"]),
    ("emulator", &["domain"]),
    ("aws", &["engine", "domain"]),
    ("service", &["config", "domain", "engine"]),
    ("lambda", &["aws", "config", "domain", "engine", "service"]),
    ("cli", &["aws", "config", "domain", "emulator", "engine", "lambda", "service"]),
    ("bin", &["aws", "cli", "config", "domain", "emulator", "engine", "lambda", "service"]),
];

/// What domain may not use: I/O, async, the SDK, YAML, logs.
const NOT_IN_DOMAIN: &[&str] = &[
    "aws_config",
    "aws_sdk_cloudwatch",
    "aws_sdk_eventbridge",
    "aws_sdk_lambda",
    "aws_sdk_s3",
    "clap",
    "hyper",
    "lambda_runtime",
    "serde_yaml",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "tokio",
    "tracing",
];

/// The top level, as it is fixed. Dot-files and licences may stand there too.
const TOP_LEVEL: &[&str] =
    &["Cargo.toml", "Cargo.lock", "README.md", "src", "template.yaml", "tests", "warm-configs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A source file that ships: its path below `src`, and its code without comments, literals and tests.
struct Source {
    path: PathBuf,
    code: String,
}

impl Source {
    fn room(&self) -> String {
        self.path.components().next().unwrap().as_os_str().to_string_lossy().into_owned()
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                // Snippets for other people's handlers are text of the product, not code of it.
                if name != "handlers" && name != "tests" {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let code = product_code(&fs::read_to_string(&path).unwrap());
                found.push(Source { path: path.strip_prefix(root().join("src")).unwrap().to_owned(), code });
            }
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}

/// The code without comments, literals, and the tests at its end.
fn product_code(text: &str) -> String {
    let code = without_comments_and_literals(text);
    code.split("\n#[cfg(test)]\n").next().unwrap_or_default().to_owned()
}

/// Reads just enough of Rust to leave out `//…`, `"…"`, `r#"…"#` and `'"'`. Line feeds stay.
fn without_comments_and_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("'\"'") {
            3
        } else if rest.starts_with("'\\\"'") {
            4
        } else if let Some(length) = raw_literal(rest, out.chars().next_back()) {
            length
        } else if rest.starts_with('"') {
            literal(rest)
        } else {
            out.push(character);
            rest = &rest[character.len_utf8()..];
            continue;
        };
        out.extend(rest[..skipped].chars().filter(|character| *character == '\n'));
        rest = &rest[skipped..];
    }
    out
}

/// The length of the text literal that `text` begins with.
fn literal(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the raw text literal that `text` begins with.
fn raw_literal(text: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|before| before.is_alphanumeric() || before == '_') {
        return None;
    }
    let hashes = text.strip_prefix('r')?.chars().take_while(|character| *character == '#').count();
    let body = 1 + hashes;
    if !text[body..].starts_with('"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text[body + 1..].find(&end).map_or(text.len(), |at| body + 1 + at + end.len()))
}

/// The rooms that `code` mentions: `crate::room`, `warmd::room`, or at the first level of `crate::{…}`.
fn imports(code: &str) -> BTreeSet<String> {
    let rooms: Vec<&str> = ALLOWED.iter().map(|(room, _)| *room).collect();
    let mut found = BTreeSet::new();
    for root in ["crate::", "warmd::"] {
        for (at, _) in code.match_indices(root) {
            let rest = &code[at + root.len()..];
            let names = match rest.strip_prefix('{') {
                Some(group) => first_level(group),
                None => rest.chars().take_while(|character| is_name(*character)).collect(),
            };
            let names = names.split(|character| !is_name(character));
            found.extend(names.filter(|name| rooms.contains(name)).map(str::to_owned));
        }
    }
    found
}

/// Of `a::{b, c}, d::e}…` the heads: `a`, `d`.
fn first_level(group: &str) -> String {
    let mut depth = 1;
    let mut heads = String::new();
    let mut head = true;
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => head = true,
            ':' => head = false,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && (head || character == ',') {
            heads.push(character);
        }
    }
    heads
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether `name` stands in `code` as the beginning of a path.
fn mentions(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        code[at + name.len()..].starts_with("::")
            && !before.is_some_and(|before| is_name(before) || before == ':')
    })
}

#[test]
fn imports_point_down_only() {
    let mut wrong = Vec::new();
    let mut edges = BTreeSet::new();
    for source in sources().iter().filter(|source| source.path != Path::new("lib.rs")) {
        let room = source.room();
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == room) else {
            panic!("{} is in no known room", source.path.display());
        };
        for import in imports(&source.code) {
            if import != room && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", source.path.display()));
            }
            edges.insert((room.clone(), import));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    // Guards the reading itself: edges that surely exist.
    for (from, to) in [("engine", "domain"), ("cli", "domain")] {
        assert!(edges.contains(&(from.to_owned(), to.to_owned())), "{from} → {to} was not seen");
    }
}

#[test]
fn the_reader_of_imports_sees_every_form() {
    let of = |code: &str| imports(&product_code(code)).into_iter().collect::<Vec<_>>();
    assert_eq!(of("use crate::aws::Client;"), ["aws"]);
    assert_eq!(of("use crate::{config::{self, engine}, domain::{fleet, tick}};"), ["config", "domain"]);
    assert_eq!(of("fn f() { crate::emulator::start() }"), ["emulator"]);
    assert_eq!(of("use warmd::cli;"), ["cli"]);
    assert_eq!(of("let q = '\"'; use crate::aws::Client; let r = '\\\"';"), ["aws"]);
    assert_eq!(of("let q = r#\"a \" b\"#; use crate::aws::Client;"), ["aws"]);
    for nothing in [
        "// use crate::aws::Client;",
        "let x = \"crate::aws \\\" crate::aws\";",
        "let x = r\"crate::aws\";",
        "fn f() {}\n#[cfg(test)]\nmod tests { use crate::aws::Client; }",
    ] {
        assert_eq!(of(nothing), Vec::<String>::new(), "{nothing}");
    }
}

#[test]
fn domain_is_pure() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.room() == "domain") {
        let used = NOT_IN_DOMAIN.iter().filter(|name| mentions(&source.code, name));
        wrong.extend(used.map(|name| format!("{} uses {name}", source.path.display())));
        if source.code.contains("async ") || source.code.contains(".await") {
            wrong.push(format!("{} is async", source.path.display()));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn only_the_command_line_prints() {
    let mut wrong = Vec::new();
    for source in
        sources().iter().filter(|source| !["cli", "lambda", "bin"].contains(&source.room().as_str()))
    {
        for call in ["println!", "print!", "eprintln!", "eprint!", "dbg!", "stdout()", "stderr()"] {
            if source.code.contains(call) {
                wrong.push(format!("{} has {call}", source.path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_wall_clock_is_read_in_one_file() {
    let calls = ["Utc::now", "Local::now", "SystemTime::now", "std::time::Instant::now"];
    let sources = sources();
    let readers = sources.iter().filter(|source| calls.iter().any(|call| source.code.contains(call)));
    assert_eq!(
        readers.map(|source| source.path.as_path()).collect::<Vec<_>>(),
        [Path::new("service/clock.rs")]
    );
}

#[test]
fn the_top_level_is_as_agreed() {
    // What is not part of the project, such as build output, is in .gitignore.
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap_or_default();
    let ignored: Vec<_> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let names =
        fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let extra: Vec<_> = names
        .filter(|name| !TOP_LEVEL.contains(&name.as_str()) && !ignored.contains(&name.as_str()))
        .filter(|name| !name.starts_with('.') && !name.starts_with("LICENSE"))
        .collect();
    assert_eq!(extra, Vec::<String>::new());
}
