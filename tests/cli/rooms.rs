//! Architecture tests: imports between rooms and between files, and purity of the domain.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The rooms, and the rooms that each may import besides itself.
const ROOMS: [(&str, &str); 10] = [
    ("domain", ""),
    ("config", "domain"),
    ("engine", "domain"),
    ("service", "domain config engine"),
    ("aws", "domain engine"),
    ("deploy", "domain"),
    ("emulator", "domain/function"),
    ("lambda", "domain config engine service aws"),
    ("cli", "domain config engine service aws deploy emulator lambda"),
    ("bin", "cli lambda"),
];
/// Prefixes of paths that the domain may not contain: I/O, async, the SDK, YAML, logs.
const NOT_IN_DOMAIN: &str = "async await aws_config clap hyper lambda_runtime serde_yaml std::env std::fs std::io \
                             std::net std::process tokio tracing";
/// The paths of `std::io` that the domain may contain. Compression in memory needs them; without files, sockets and
/// standard streams they do no I/O.
const IN_MEMORY: [&str; 3] = ["std::io::Read", "std::io::Result", "std::io::Write"];

/// A module: its code, see [`write`]; the paths of the names that `use` declares; and its file, where `a.rs` and the
/// files in `a/` count as one.
struct Module {
    words: Vec<String>,
    names: BTreeMap<String, String>,
    file: String,
}
/// The modules by path, such as `/domain/fleet`. The path of `lib.rs` is empty.
type Modules = BTreeMap<String, Module>;

/// Appends code without comments, literals and test items. A path is one word, and `a::{b, c}` becomes `a::b a::c`.
fn write(code: TokenStream, prefix: &str, words: &mut Vec<String>) {
    let mut in_test = false;
    for token in code {
        match token {
            TokenTree::Group(group) if in_test => in_test = group.delimiter() != Delimiter::Brace,
            token if in_test => in_test = token.to_string() != ";",
            TokenTree::Group(group) => {
                in_test = group.stream().to_string().replace(' ', "") == "cfg(test)";
                let prefix = words.pop_if(|word| word.ends_with("::")).unwrap_or_default();
                write(group.stream(), &prefix, words);
            }
            TokenTree::Literal(_) => {}
            TokenTree::Ident(name) => match words.last_mut().filter(|word| word.ends_with("::")) {
                Some(path) => path.push_str(&name.to_string()),
                None => words.push(format!("{prefix}{name}")),
            },
            TokenTree::Punct(mark) if mark.as_char() == ':' => words.last_mut().unwrap().push(':'),
            token => words.push(token.to_string()),
        }
    }
}

/// Adds the module `path` and those that it declares. `read` returns the code of a file below `src`.
fn add(modules: &mut Modules, path: &str, parent: &str, read: &impl Fn(&str) -> Option<String>) {
    let file = if parent.is_empty() { path } else { parent };
    let own = read(&if path.is_empty() { "/lib.rs".to_owned() } else { format!("{path}.rs") });
    let parent = if own.is_some() { file } else { "" };
    let code = own.or_else(|| read(&format!("{path}/mod.rs"))).expect(path);
    let mut words = Vec::new();
    write(code.parse().unwrap(), "", &mut words);
    for declaration in words.windows(3).filter(|words| words[0] == "mod" && words[2] == ";") {
        add(modules, &format!("{path}/{}", declaration[1]), parent, read);
    }
    let uses = words.split(|word| word == "use").skip(1);
    let names = uses.flat_map(|words| words.windows(2).take_while(|pair| pair[0] != ";"));
    let names = names.filter(|pair| pair[1] != "as" && !pair[1].ends_with("::as")).map(|pair| {
        let path = pair[0].trim_end_matches("::self");
        (path.rsplit("::").next().unwrap().to_owned(), path.to_owned())
    });
    let (names, file) = (names.collect(), file.to_owned());
    modules.insert(path.to_owned(), Module { words, names, file });
}

/// Returns the module that defines the item `path` used in `module`, if it is one of `modules`.
fn resolve(modules: &Modules, module: &str, path: &str) -> Option<String> {
    let (name, rest) = path.split_once("::").unwrap_or((path, ""));
    let child = format!("{module}/{name}");
    match name {
        "crate" | "warmd" => resolve(modules, "", rest),
        "self" => resolve(modules, module, rest),
        "super" => resolve(modules, module.rsplit_once('/')?.0, rest),
        "" => None,
        _ if modules.contains_key(&child) => resolve(modules, &child, rest),
        _ => match modules[module].names.get(name).filter(|path| !path.starts_with(name)) {
            Some(path) => resolve(modules, module, &format!("{path}::{rest}")),
            None => Some(module.to_owned()),
        },
    }
}

/// Returns pairs of an importing and an imported module.
fn imports(modules: &Modules) -> BTreeSet<(&str, String)> {
    let words = modules.iter().flat_map(|(from, module)| module.words.iter().map(move |word| (from, word)));
    let imports =
        words.filter_map(|(from, word)| Some((&**from, resolve(modules, from, word.trim_matches(':'))?)));
    imports.filter(|(from, to)| from != to).collect()
}

/// Returns the shortest cycle of imports between files. A `mod.rs` may import the files beside it.
fn cycle(modules: &Modules) -> Option<String> {
    let imports = imports(modules);
    let outside = imports.iter().filter(|(from, to)| !to.starts_with(&format!("{from}/")));
    let edges = outside.map(|(from, to)| [&*modules[*from].file, &*modules[to].file]);
    let edges: BTreeSet<[&str; 2]> = edges.filter(|[from, to]| from != to).collect();
    let (mut paths, mut seen) = (edges.iter().map(|edge| edge.to_vec()).collect::<Vec<_>>(), edges.clone());
    while !paths.is_empty() {
        if let Some(cycle) = paths.iter().find(|path| path.first() == path.last()) {
            return Some(cycle.join(" -> "));
        }
        let longer = paths.iter().flat_map(|path| {
            let from = path[path.len() - 1];
            let next = edges.range([from, ""]..).take_while(move |edge| edge[0] == from);
            next.map(|[_, to]| [&path[..], &[*to]].concat())
        });
        paths = longer.filter(|path| seen.insert([path[0], path[path.len() - 1]])).collect();
    }
    None
}

#[test]
fn the_sources_keep_to_the_architecture() {
    let mut modules = Modules::new();
    for root in ["", "/bin/warmd", "/bin/bootstrap"] {
        let read = |file: &str| fs::read_to_string(format!("{}/src{file}", env!("CARGO_MANIFEST_DIR"))).ok();
        add(&mut modules, root, "", &read);
    }
    for (from, to) in imports(&modules) {
        let room = from.split('/').nth(1).unwrap();
        let (_, allowed) = ROOMS.iter().find(|(name, _)| *name == room).expect(room);
        let mut allowed = allowed.split(' ').chain([room]).map(|allowed| format!("/{allowed}/"));
        assert!(allowed.any(|allowed| format!("{to}/").starts_with(&allowed)), "src{from} imports src{to}");
    }
    assert_eq!(cycle(&modules), None);
    for (path, module) in modules.iter().filter(|(path, _)| path.starts_with("/domain")) {
        let begins = |word: &str, name| {
            word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        let mut words = module.words.iter().filter(|word| !IN_MEMORY.contains(&word.as_str()));
        let found = words.find(|word| NOT_IN_DOMAIN.split(' ').any(|name| begins(word, name)));
        assert_eq!(found, None, "in src{path}");
    }
}

#[test]
fn a_cycle_is_named() {
    let with = |b: &str| {
        let mut modules = Modules::new();
        let files = [
            ("/lib.rs", "mod room; mod b;"),
            ("/room/mod.rs", "mod a; pub use a::{A as Name, X}; #[cfg(test)] mod tests;"),
            ("/room/a.rs", "mod inner; use crate::{b::{self, B}, other}; pub struct A;"),
            ("/room/a/inner.rs", "use super::A; /* crate::b::B */ const C: &str = \"crate::b::B\";"),
            ("/b.rs", b),
        ];
        let read = |path: &str| Some(files.iter().find(|(name, _)| *name == path)?.1.to_owned());
        add(&mut modules, "", "", &read);
        cycle(&modules)
    };
    assert_eq!(with("#[cfg(test)] mod tests { use crate::room::Name; }"), None);
    assert_eq!(with("use crate::room; fn f(_: room::Name) {}").as_deref(), Some("/b -> /room/a -> /b"));
}
