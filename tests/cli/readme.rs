//! Compares README.md with the code: configuration, commands, outputs, names, paths and links.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use warmd::domain::metrics::Metric;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// Returns the contents of the code blocks in `language`.
fn blocks(readme: &str, language: &str) -> Vec<String> {
    let opening = format!("\n```{language}\n");
    let rest = readme.split(&opening).skip(1);
    rest.map(|text| text.split_once("```").unwrap().0.to_owned()).collect()
}

/// Returns the text between backticks outside of code blocks, each on one line.
fn inline_code(readme: &str) -> Vec<String> {
    let prose: String = readme.split("\n```").step_by(2).collect();
    prose.split('`').skip(1).step_by(2).map(|code| code.replace('\n', " ")).collect()
}

/// Returns standard output and standard error of `warmd` in `folder`, without terminal and settings.
fn warmd(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warmd"));
    for name in ["RUST_LOG", "WARMD_STATE", "WARMD_REGIONS", "WARMD_BUS", "AWS_REGION"] {
        command.env_remove(name);
    }
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// Returns the arguments and the output of the block that begins with `$ warmd` and `command`.
fn shown(readme: &str, command: &str) -> (Vec<String>, String) {
    let start = format!("$ warmd {command}");
    let block = blocks(readme, "text").into_iter().find(|block| block.starts_with(&start)).unwrap();
    let (line, output) = block.split_once('\n').unwrap();
    (line.split_whitespace().skip(2).map(str::to_owned).collect(), output.to_owned())
}

#[test]
fn the_configuration_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nlp.yaml");
    std::fs::write(&file, &blocks(&read("README.md"), "yaml")[0]).unwrap();
    let loaded = warmd::config::load(&[file], None).unwrap();
    assert_eq!(loaded.fleet.targets[0].label, "nlp-inference:live");
    assert_eq!(loaded.fleet.targets[0].downloads[0].size_bytes, 220_000_000);
}

#[test]
fn the_first_output_is_that_of_the_first_command() {
    let readme = read("README.md");
    let blocks = blocks(&readme, "text");
    let shown = &blocks[0];
    let at = shown.strip_prefix("tick ").and_then(|rest| rest.split_once(',')).unwrap().0;
    let output = warmd(Path::new(ROOT), &["run", "--once", "--local", "--at", at]);
    // The first line contains a duration, and a hash that changes with every comment in the examples.
    let body = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    assert!(body(shown) == body(&output), "README.md shows another output than this:\n{output}");
    let first = shown.lines().next().unwrap();
    assert!(first.contains(", configuration ") && first.ends_with(" ms"), "{first}");
}

#[test]
fn the_stack_costs_what_the_plan_of_a_month_shows() {
    let readme = read("README.md");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("one.yaml"), &blocks(&readme, "yaml")[0]).unwrap();
    let one = folder.path().join("one.yaml");
    for configuration in [one.to_str().unwrap(), "warm-configs"] {
        let output =
            warmd(Path::new(ROOT), &["plan", "--from", "2026-11-01", "--for", "730h", configuration]);
        let line = output.lines().find(|line| line.contains("warmd itself, in")).unwrap();
        let (_, usd) = line.trim_end_matches('*').rsplit_once('$').unwrap();
        assert!(readme.contains(&format!("${usd} (for ")), "{line}");
    }
}

#[test]
fn the_mistake_is_reported_as_shown() {
    let readme = read("README.md");
    let folder = tempfile::tempdir().unwrap();
    let mistaken = blocks(&readme, "yaml")[0].replace("mon-fri", "mon-fry");
    std::fs::write(folder.path().join("nlp.yaml"), mistaken).unwrap();
    let (arguments, shown) = shown(&readme, "check");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = warmd(folder.path(), &arguments);
    assert!(output.starts_with(&shown), "README.md shows another output than this:\n{output}");
}

#[test]
fn the_comparison_is_printed_as_shown() {
    let readme = read("README.md");
    let (arguments, shown) = shown(&readme, "compare");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = warmd(Path::new(ROOT), &arguments);
    assert!(output == shown, "README.md shows another output than this:\n{output}");
}

#[test]
fn the_burst_is_planned_as_shown() {
    let readme = read("README.md");
    let (arguments, shown) = shown(&readme, "burst");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // The plan by seconds follows.
    let output = warmd(Path::new(ROOT), &arguments);
    assert!(output.starts_with(&shown), "README.md shows another output than this:\n{output}");
}

#[test]
fn the_probe_is_run_as_shown() {
    let readme = read("README.md");
    let (arguments, shown) = shown(&readme, "probe");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // The progress follows on standard error.
    let output = warmd(Path::new(ROOT), &arguments);
    assert!(output.starts_with(&shown), "README.md shows another output than this:\n{output}");
}

#[test]
fn the_pipeline_is_planned_and_explained_as_shown() {
    let readme = read("README.md");
    let folder = tempfile::tempdir().unwrap();
    let yaml = blocks(&readme, "yaml")
        .into_iter()
        .find(|block| {
            block.contains("\ndefaults: { region: us-east-1, timezone: Europe/London }\npipelines:\n")
        })
        .unwrap();
    std::fs::write(folder.path().join("nlp.yaml"), yaml).unwrap();
    let (arguments, shown) = shown(&readme, "explain nlp");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = warmd(folder.path(), &arguments);
    assert!(output == shown, "README.md shows another output than this:\n{output}");
}

/// Returns the commands of README.md, in code blocks and in the text, without `warmd`.
fn commands(readme: &str) -> Vec<Vec<String>> {
    let shell = [blocks(readme, "sh"), blocks(readme, "text")].concat().join("\n");
    let lines: Vec<String> = shell.lines().map(str::to_owned).collect();
    let mentioned = lines.into_iter().chain(inline_code(readme));
    let arguments = |text: String| {
        let text = text.split(" #").next().unwrap().trim();
        let starts = ["warmd ", "$ warmd ", "cargo run -- "];
        let rest = starts.into_iter().find_map(|start| text.strip_prefix(start))?;
        Some(rest.split_whitespace().map(str::to_owned).collect())
    };
    mentioned.filter_map(arguments).collect()
}

#[test]
fn every_command_exists_and_has_its_options() {
    let commands = commands(&read("README.md"));
    assert!(commands.len() > 20, "{commands:?}");
    let listed = warmd(Path::new(ROOT), &["--help"]);
    for words in commands {
        let name = words[0].as_str();
        if name == "--help" || name == "COMMAND" {
            continue;
        }
        assert!(listed.contains(&format!("\n  {name} ")), "`warmd {name}` is not a command");
        let is_nested = ["price", "canary", "capacity"].contains(&name);
        let nested: Vec<&str> = if is_nested { words[1].split('|').collect() } else { vec![""] };
        for nested in nested {
            let mut arguments = vec![name, nested, "--help"];
            arguments.retain(|argument| !argument.is_empty());
            let help = warmd(Path::new(ROOT), &arguments);
            assert!(
                help.contains(&format!("Usage: warmd {}", arguments[..arguments.len() - 1].join(" "))),
                "{help}"
            );
            // A value may follow after `=`.
            let name =
                |word: &'_ str| word.trim_matches(',').split(['=', '[']).next().unwrap_or("").to_owned();
            let known: BTreeSet<String> = help.split_whitespace().map(name).collect();
            for option in words.iter().filter(|word| word.starts_with('-')) {
                assert!(known.contains(&name(option)), "`warmd {}` has no {option}", words.join(" "));
            }
        }
    }
}

/// Names such as `ConfigAge` and `FunctionArns`.
#[test]
fn every_name_is_a_metric_or_belongs_to_the_template() {
    let template: Value = serde_yaml::from_str(&read("template.yaml")).unwrap();
    let sections = ["Parameters", "Resources", "Outputs"];
    let mut known: BTreeSet<&str> = sections
        .iter()
        .flat_map(|section| template[section].as_object().unwrap().keys().map(String::as_str))
        .collect();
    known.extend(Metric::ALL.iter().map(|metric| metric.name()));
    let mut checked = 0;
    for code in inline_code(&read("README.md")) {
        let name = code.split('=').next().unwrap();
        if name.starts_with(|first: char| first.is_ascii_uppercase())
            && name.contains(|letter: char| letter.is_ascii_lowercase())
            && name.chars().all(char::is_alphabetic)
        {
            assert!(known.contains(name), "`{name}` is neither a metric nor in template.yaml");
            checked += 1;
        }
    }
    assert!(checked >= 5);
}

#[test]
fn every_path_exists() {
    let readme = read("README.md");
    let starts = ["warm-configs/", "tests/", "src/", ".ci/", ".github/", "template.yaml"];
    let code = inline_code(&readme);
    let paths = code.iter().filter(|code| starts.iter().any(|start| code.starts_with(start)));
    let paths: Vec<&String> = paths.filter(|path| !path.contains('*')).collect();
    assert!(paths.len() > 5, "{paths:?}");
    for path in paths {
        assert!(Path::new(ROOT).join(path).exists(), "{path}");
    }
}

#[test]
fn every_link_within_the_page_leads_to_a_heading() {
    let readme = read("README.md");
    let headings: BTreeSet<String> = readme
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')))
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect();
    let links: Vec<&str> = readme.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
    assert!(links.len() > 5);
    for link in links {
        assert!(headings.contains(link), "#{link} is not among {headings:?}");
    }
}

/// README.md refers to `template.yaml` for the environment variables of the Lambda function.
#[test]
fn every_setting_of_the_lambda_is_described_in_the_template() {
    let template = read("template.yaml");
    let variables = template.split("        Variables:\n").nth(1).unwrap();
    let variables = variables.split("\n\n").next().unwrap();
    let mut described: Vec<&str> = Vec::new();
    let mut previous = "";
    for line in variables.lines().map(str::trim) {
        if line.starts_with("WARMD_") {
            let name = line.split(':').next().unwrap();
            assert!(previous.starts_with("# "), "{name} has a comment");
            described.push(name);
        }
        previous = line;
    }
    // No other file reads these variables in the Lambda.
    let code = read("src/lambda/settings.rs");
    let code = code.split("#[cfg(test)]").next().unwrap();
    let mut read: Vec<&str> = code.split('"').filter(|text| text.starts_with("WARMD_")).collect();
    read.retain(|name| name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'));
    read.sort_unstable();
    read.dedup();
    described.sort_unstable();
    assert_eq!(described, read);
}

#[test]
fn the_top_level_is_fixed() {
    let root = env!("CARGO_MANIFEST_DIR");
    // Dot-files, licences and ignored files are not listed.
    let known = "Cargo.toml Cargo.lock README.md src template.yaml tests warm-configs".to_owned()
        + include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/.gitignore"));
    let names =
        std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let unknown = names.filter(|name| !known.contains(name.as_str()) && !name.starts_with(['.', 'L']));
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<String>::new());
}
