//! Architecture tests: imports between rooms and files, purity of the domain, and the top level.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The rooms, and what each may import besides itself.
const ROOMS: [(&str, &str); 10] = [
    ("domain", ""),
    ("config", "domain"),
    ("engine", "domain"),
    ("service", "domain config engine"),
    ("aws", "domain engine"),
    ("deploy", "domain"),
    ("emulator", "domain/function"),
    ("lambda", "domain config engine service aws"),
    ("cli", "domain config engine service aws deploy emulator"),
    ("bin", "cli lambda"),
];
/// The beginnings of words that the domain may not contain: I/O, async, the SDK, YAML, logs.
const NOT_IN_DOMAIN: &str = "async , await, aws_config::, clap::, hyper::, lambda_runtime::, serde_yaml::, std::env, \
                             std::fs, std::io, std::net, std::process, tokio::, tracing::";
/// The top level, apart from dot-files and licences. Other files are in `.gitignore`.
const TOP_LEVEL: &str = "Cargo.toml Cargo.lock README.md src template.yaml tests warm-configs";

/// A module: its code as words, and the paths of the names that `use` declares.
struct Module {
    words: String,
    names: BTreeMap<String, String>,
    is_mod_rs: bool,
}

/// The modules by path, such as `domain/fleet`. The path of `lib.rs` is empty.
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

fn join(module: &str, name: &str) -> String {
    format!("{module}/{name}").trim_start_matches('/').to_owned()
}

/// Adds a module and those that it declares. `read` returns the code of a file below `src`.
fn add(modules: &mut Modules, path: &str, read: &impl Fn(&str) -> Option<String>) {
    let file = read(&format!("{}.rs", if path.is_empty() { "lib" } else { path }));
    let is_mod_rs = file.is_none();
    let code = file.or_else(|| read(&format!("{path}/mod.rs"))).expect(path);
    let mut words = String::new();
    write(code.parse().unwrap(), &mut words);
    for (child, _) in
        words.split(" mod ").filter_map(|rest| rest.split_once(" ;")).filter(|(name, _)| !name.contains(' '))
    {
        add(modules, &join(path, child), read);
    }
    let trees = words.split(" use ").skip(1).filter_map(|rest| rest.split(" ;").next());
    let names = trees.flat_map(|tree| tree.split(',')).map(|item| {
        let (path, alias) = item.split_once(" as ").unwrap_or((item, item));
        let path = path.trim().trim_end_matches("::self").to_owned();
        (alias.trim().trim_end_matches("::self").rsplit("::").next().unwrap().to_owned(), path)
    });
    let names = names.collect();
    modules.insert(path.to_owned(), Module { words, names, is_mod_rs });
}

/// Returns the module that defines the item `path` used in `module`, if it is one of `modules`.
fn resolve(modules: &Modules, module: &str, path: &str) -> Option<String> {
    let (name, rest) = path.split_once("::").unwrap_or((path, ""));
    let child = join(module, name);
    match name {
        "crate" | "warmd" => resolve(modules, "", rest),
        "self" => resolve(modules, module, rest),
        "super" => resolve(modules, module.rsplit_once('/').map_or("", |(parent, _)| parent), rest),
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
        for word in module.words.split_whitespace().map(|word| word.trim_matches(':')) {
            imports
                .extend(resolve(modules, from, word).filter(|to| to != from).map(|to| (from.as_str(), to)));
        }
    }
    imports
}

/// Returns the shortest cycle of imports between files. A file `a.rs` and those in `a/` count as one file. A `mod.rs` may
/// import the files beside it.
fn cycle(modules: &Modules) -> Option<String> {
    let file = |module: &str| {
        let mut parents = module.match_indices('/').map(|(end, _)| &module[..end]);
        parents
            .find(|parent| modules.get(*parent).is_some_and(|module| !module.is_mod_rs))
            .unwrap_or(module)
            .to_owned()
    };
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in imports(modules) {
        if file(from) != file(&to) && !to.starts_with(&format!("{from}/")) {
            graph.entry(file(from)).or_default().insert(file(&to));
        }
    }
    let mut paths: VecDeque<Vec<&String>> = graph.keys().map(|start| vec![start]).collect();
    let mut seen = BTreeSet::new();
    while let Some(path) = paths.pop_front() {
        for next in graph.get(path[path.len() - 1]).into_iter().flatten() {
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

fn read(files: impl Fn(&str) -> Option<String>) -> Modules {
    let mut modules = Modules::new();
    ["", "bin/warmd", "bin/bootstrap"].into_iter().for_each(|root| add(&mut modules, root, &files));
    modules
}

fn warmd() -> Modules {
    read(|file| fs::read_to_string(format!("{}/src/{file}", env!("CARGO_MANIFEST_DIR"))).ok())
}

#[test]
fn rooms_import_rooms_below() {
    for (from, to) in imports(&warmd()) {
        let room = from.split('/').next().unwrap();
        let (_, allowed) = ROOMS.iter().find(|(name, _)| *name == room).expect(room);
        let mut allowed = allowed.split(' ').chain([room]).map(|allowed| format!("{allowed}/"));
        assert!(allowed.any(|allowed| format!("{to}/").starts_with(&allowed)), "src/{from} imports src/{to}");
    }
}

#[test]
fn files_do_not_import_each_other_in_a_cycle() {
    assert_eq!(cycle(&warmd()), None);
}

#[test]
fn a_cycle_is_named() {
    let with = |b: &str| {
        cycle(&read(|file| match file {
            "lib.rs" => Some("mod room; mod b;".to_owned()),
            "room/mod.rs" => Some("mod a; pub use a::{A as Name, X}; #[cfg(test)] mod tests;".to_owned()),
            "room/a.rs" => Some("mod inner; use crate::{b::{self, B}, other}; pub struct A;".to_owned()),
            "room/a/inner.rs" => {
                Some("use super::A; /* crate::b::B */ const C: &str = \"crate::b::B\";".to_owned())
            }
            "b.rs" => Some(b.to_owned()),
            bin => bin.starts_with("bin/").then(String::new),
        }))
    };
    assert_eq!(with("#[cfg(test)] mod tests { use crate::room::Name; }"), None);
    assert_eq!(with("use crate::room; fn f(_: room::Name) {}").as_deref(), Some("b -> room/a -> b"));
}

#[test]
fn the_domain_is_pure() {
    for (path, Module { words, .. }) in warmd().iter().filter(|(path, _)| path.starts_with("domain")) {
        let found = NOT_IN_DOMAIN.split(", ").find(|word| words.contains(&format!(" {word}")));
        assert_eq!(found, None, "in src/{path}");
    }
}

#[test]
fn the_top_level_is_fixed() {
    let root = env!("CARGO_MANIFEST_DIR");
    let known = TOP_LEVEL.to_owned() + &fs::read_to_string(format!("{root}/.gitignore")).unwrap();
    let names = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let unknown = names.filter(|name| !known.contains(name.as_str()) && !name.starts_with(['.', 'L']));
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<String>::new());
}
