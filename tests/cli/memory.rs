//! Reading a configuration file takes at most 256 MB of memory. Each file is read in a process of its own, whose peak
//! is measured.

use std::process::Command;

use warmd::config::{Loaded, Problems, SourceFile, resolve};
use warmd::domain::function::Region;

/// Set in the process that reads the file.
const MEASURED: &str = "WARMD_TEST_MEASURED";
const WINDOW: &str = "{ days: daily, hours: all-day, concurrency: 1 }";

/// Runs the test `name` again in a process of its own, which resolves `text`, an invalid configuration.
fn within_256_mb(name: &str, text: impl Fn() -> String) {
    measured(name, || {
        let problems = resolved(text()).unwrap_err();
        assert!(!problems.list.is_empty());
        assert!(peak_kb() < 256 << 10, "{} kB", peak_kb());
    });
}

fn resolved(text: String) -> Result<Loaded, Problems> {
    assert!(text.len() < 8 << 20, "{}", text.len());
    let file = SourceFile { path: "fleet.yaml".to_owned(), text };
    resolve(vec![file], &mut |_| Err("none".to_owned()), None)
}

/// Runs the test `name` again in a process of its own, which runs `check`.
fn measured(name: &str, check: impl Fn()) {
    if std::env::var_os(MEASURED).is_none() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--nocapture", &format!("memory::{name}")]).env(MEASURED, "1");
        let output = command.output().unwrap();
        let shown =
            [output.stdout, output.stderr].map(|stream| String::from_utf8_lossy(&stream).into_owned());
        assert!(output.status.success() && shown[0].contains("1 passed"), "{}{}", shown[0], shown[1]);
        return;
    }
    check();
}

/// Returns the peak memory of the process in kB.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

fn regions() -> String {
    Region::all().map(|region| region.as_str()).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_long_list() {
    within_256_mb("a_long_list", || format!("[{}]", "1,".repeat(4_000_000)));
}

#[test]
fn many_keys() {
    within_256_mb("many_keys", || lines(280_000, |n| format!("{n:x}z: a\n")));
}

#[test]
fn many_keys_that_are_numbers() {
    within_256_mb("many_keys_that_are_numbers", || lines(800_000, |n| format!("{n}:\n")));
}

#[test]
fn many_keys_and_a_duplicate() {
    within_256_mb("many_keys_and_a_duplicate", || {
        format!("a:\na:\n{}", lines(90_000, |n| format!("{n}: \"{}\\n\"\n", "x".repeat(70))))
    });
}

#[test]
fn keys_that_are_lists() {
    within_256_mb("keys_that_are_lists", || lines(290_000, |n| format!("? [{n:x}]\n")));
}

#[test]
fn a_large_anchor_used_often() {
    within_256_mb("a_large_anchor_used_often", || {
        let map = lines(40_000, |n| format!("  k{n}: \"\\x41{}\"\n", "x".repeat(100)));
        format!("a: &a\n{map}b: [*a, *a, *a, *a, *a, *a]\n")
    });
}

#[test]
fn many_functions_in_every_region() {
    within_256_mb("many_functions_in_every_region", || {
        let functions = lines(30_000, |n| format!("  f{n}: {{ windows: [{WINDOW}] }}\n"));
        format!("version: 1\ndefaults: {{ regions: [{}] }}\nfunctions:\n{functions}", regions())
    });
}

#[test]
fn the_largest_valid_fleet() {
    measured("the_largest_valid_fleet", || {
        let functions = lines(1_700, |n| format!("  f{n}: {{ windows: [{WINDOW}] }}\n"));
        let regions = regions();
        let text = format!("version: 1\ndefaults: {{ regions: [{regions}] }}\nfunctions:\n{functions}");
        assert_eq!(resolved(text).unwrap().fleet.targets.len(), 1_700 * Region::all().count());
        assert!(peak_kb() < 256 << 10, "{} kB", peak_kb());
    });
}

#[test]
fn many_windows_in_every_region() {
    within_256_mb("many_windows_in_every_region", || {
        let windows = format!("{WINDOW},").repeat(100);
        let functions = lines(800, |n| format!("  f{n}: {{ windows: *w }}\n"));
        format!(
            "version: 1\ndefaults: {{ regions: [{}] }}\nfunctions:\n  f: {{ windows: &w [{windows}] }}\n{functions}",
            regions()
        )
    });
}

#[test]
fn many_crons() {
    within_256_mb("many_crons", || {
        let windows = "{ cron: \"* * * * *\", for: 1m, concurrency: 1 },".repeat(60_000);
        format!(
            "version: 1\ndefaults: {{ region: eu-west-2 }}\nfunctions: {{ f: {{ windows: [{windows}] }} }}\n"
        )
    });
}

#[test]
fn many_prices_by_alias() {
    within_256_mb("many_prices_by_alias", || {
        let prices = lines(1_900, |n| format!("  ec2.m7g.{n}xlarge: *p\n"));
        let many = "{ price: 1, regions: [eu-west-2, us-east-1], source: \"x\" },".repeat(95);
        format!("version: 1\nprices:\n  ec2.m7g.large: &p [{many}]\n{prices}")
    });
}

#[test]
fn many_prices() {
    within_256_mb("many_prices", || {
        format!("version: 1\nprices:\n{}", lines(290_000, |n| format!("  ec2.m7g.{n}xlarge: 1\n")))
    });
}

#[test]
fn many_unknown_names() {
    within_256_mb("many_unknown_names", || {
        let names = lines(30_000, |n| format!("x{n},"));
        let calendars = lines(50_000, |n| format!("  calendar{n}: {{ dates: [2026-12-25] }}\n"));
        format!("version: 1\nwindows: {{ w: {{ except: [{names}] }} }}\ncalendars:\n{calendars}")
    });
}
