//! Architecture tests: imports between rooms and between files, and purity of the domain.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::sync::LazyLock;

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
/// Prefixes of words that the domain may not contain: I/O, async, the SDK, YAML, logs.
const NOT_IN_DOMAIN: &str = "async , await, aws_config::, clap::, hyper::, lambda_runtime::, serde_yaml::, std::env, \
                             std::fs, std::io, std::net, std::process, tokio::, tracing::";

struct Module {
    /// The code, see [`write`].
    words: String,
    /// The paths of the names that `use` declares.
    names: BTreeMap<String, String>,
    /// The outermost `a.rs` that contains the module. A file `a.rs` and those in `a/` count as one.
    file: String,
}

/// The modules by path, such as `/domain/fleet`. The path of `lib.rs` is empty.
type Modules = BTreeMap<String, Module>;

/// Appends code without comments, literals and test items. A path is one word, and `a::{b, c}` becomes `a::b , a::c`.
fn write(code: TokenStream, words: &mut String) {
    let mut in_test = false;
    for token in code {
        match token {
            TokenTree::Group(group) if in_test => in_test = group.delimiter() != Delimiter::Brace,
            TokenTree::Group(group) => {
                let mut inner = String::new();
                write(group.stream(), &mut inner);
                in_test = inner == " cfg ( test )";
                match words.rsplit_once(' ').filter(|(_, prefix)| prefix.ends_with("::")) {
                    Some((before, prefix)) => {
                        let paths = inner.split(',').map(|path| format!(" {prefix}{} ", path.trim_start()));
                        *words = before.to_owned() + &paths.collect::<Vec<_>>().join(",");
                    }
                    None => words.extend([" (", &inner, " )"]),
                }
            }
            TokenTree::Literal(_) => {}
            token if in_test => in_test = token.to_string() != ";",
            TokenTree::Punct(colon) if colon.as_char() == ':' => words.push(':'),
            TokenTree::Ident(name) if words.ends_with("::") => words.push_str(&name.to_string()),
            token => words.extend([" ", &token.to_string()]),
        }
    }
}

/// Adds the module `path` and those that it declares. `read` returns the code of a file below `src`.
fn add(modules: &mut Modules, path: &str, file: Option<&str>, read: &impl Fn(&str) -> Option<String>) {
    let own = read(&if path.is_empty() { "/lib.rs".to_owned() } else { format!("{path}.rs") });
    let file_of_children = own.as_ref().map(|_| file.unwrap_or(path)).filter(|file| !file.is_empty());
    let code = own.as_ref().cloned().or_else(|| read(&format!("{path}/mod.rs"))).expect(path);
    let mut words = String::new();
    write(code.parse().unwrap(), &mut words);
    let declared = words.split(" mod ").filter_map(|rest| rest.split_once(" ;"));
    for (child, _) in declared.filter(|(name, _)| !name.contains(' ')) {
        add(modules, &format!("{path}/{child}"), file_of_children, read);
    }
    let trees = words.split(" use ").skip(1).filter_map(|rest| rest.split(" ;").next());
    let names = trees.flat_map(|tree| tree.split(',')).map(|item| {
        let (path, alias) = item.split_once(" as ").unwrap_or((item, item));
        let [path, alias] = [path, alias].map(|text| text.trim().trim_end_matches("::self"));
        (alias.rsplit("::").next().unwrap().to_owned(), path.to_owned())
    });
    let (names, file) = (names.collect(), file.unwrap_or(path).to_owned());
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
    let mut imports = BTreeSet::new();
    for (from, module) in modules {
        let paths = module.words.split_whitespace().map(|word| word.trim_matches(':'));
        imports.extend(
            paths.filter_map(|path| {
                Some((from.as_str(), resolve(modules, from, path).filter(|to| to != from)?))
            }),
        );
    }
    imports
}

/// Returns the shortest cycle of imports between files. A `mod.rs` may import the files beside it.
fn cycle(modules: &Modules) -> Option<String> {
    let mut graph: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for (from, to) in imports(modules).iter().filter(|(from, to)| !to.starts_with(&format!("{from}/"))) {
        let (from, to) = (&modules[*from].file, &modules[to].file);
        if from != to {
            graph.entry(from).or_default().insert(to);
        }
    }
    let mut paths: VecDeque<Vec<&String>> = graph.keys().map(|start| vec![*start]).collect();
    let mut seen = BTreeSet::new();
    while let Some(path) = paths.pop_front() {
        for next in graph.get(path[path.len() - 1]).into_iter().flatten().copied() {
            let path: Vec<&String> = path.iter().copied().chain([next]).collect();
            if path[0] == next {
                return Some(path.into_iter().cloned().collect::<Vec<_>>().join(" -> "));
            }
            if seen.insert((path[0], next)) {
                paths.push_back(path);
            }
        }
    }
    None
}

static WARMD: LazyLock<Modules> = LazyLock::new(|| {
    let mut modules = Modules::new();
    for root in ["", "/bin/warmd", "/bin/bootstrap"] {
        let read = |file: &str| fs::read_to_string(format!("{}/src{file}", env!("CARGO_MANIFEST_DIR"))).ok();
        add(&mut modules, root, None, &read);
    }
    modules
});

#[test]
fn rooms_import_rooms_below() {
    for (from, to) in imports(&WARMD) {
        let room = from.split('/').nth(1).unwrap();
        let (_, allowed) = ROOMS.iter().find(|(name, _)| *name == room).expect(room);
        let mut allowed = allowed.split(' ').chain([room]).map(|allowed| format!("/{allowed}/"));
        assert!(allowed.any(|allowed| format!("{to}/").starts_with(&allowed)), "src{from} imports src{to}");
    }
}

#[test]
fn files_do_not_import_each_other_in_a_cycle() {
    assert_eq!(cycle(&WARMD), None);
}

#[test]
fn a_cycle_is_named() {
    let with = |b: &str| {
        let mut modules = Modules::new();
        add(&mut modules, "", None, &|file| {
            let code = match file {
                "/lib.rs" => "mod room; mod b;",
                "/room/mod.rs" => "mod a; pub use a::{A as Name, X}; #[cfg(test)] mod tests;",
                "/room/a.rs" => "mod inner; use crate::{b::{self, B}, other}; pub struct A;",
                "/room/a/inner.rs" => "use super::A; /* crate::b::B */ const C: &str = \"crate::b::B\";",
                "/b.rs" => b,
                _ => return None,
            };
            Some(code.to_owned())
        });
        cycle(&modules)
    };
    assert_eq!(with("#[cfg(test)] mod tests { use crate::room::Name; }"), None);
    assert_eq!(with("use crate::room; fn f(_: room::Name) {}").as_deref(), Some("/b -> /room/a -> /b"));
}

#[test]
fn the_domain_is_pure() {
    for (path, Module { words, .. }) in WARMD.iter().filter(|(path, _)| path.starts_with("/domain")) {
        let found = NOT_IN_DOMAIN.split(", ").find(|word| words.contains(&format!(" {word}")));
        assert_eq!(found, None, "in src{path}");
    }
}
