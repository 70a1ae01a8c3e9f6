//! No configuration file takes more than 256 MB of memory, nor long.
//!
//! A test of its own: the process's peak is what is measured, so nothing else may run in it.

#![cfg(target_os = "linux")]

use warmd::config::{SourceFile, resolve};

/// The most memory that the process has held so far, in kB.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[test]
fn no_file_takes_more_than_256_mb() {
    let regions: Vec<&str> = warmd::domain::function::Region::all().map(|region| region.as_str()).collect();
    let regions = regions.join(", ");
    let lines = |count: usize, line: &dyn Fn(usize) -> String| -> String { (0..count).map(line).collect() };
    let window = "{ days: daily, hours: all-day, concurrency: 1 }";
    let files = [
        ("a long list", format!("[{}]", "1,".repeat(4_000_000))),
        ("many keys", lines(280_000, &|n| format!("{n:x}z: a\n"))),
        ("many keys that are numbers", lines(800_000, &|n| format!("{n}:\n"))),
        (
            "the same with a duplicate",
            format!("a:\na:\n{}", lines(90_000, &|n| format!("{n}: \"{}\\n\"\n", "x".repeat(70)))),
        ),
        ("keys that are lists", lines(290_000, &|n| format!("? [{n:x}]\n"))),
        ("a large anchor, often used", {
            let map = lines(40_000, &|n| format!("  k{n}: \"\\x41{}\"\n", "x".repeat(100)));
            format!("a: &a\n{map}b: [*a, *a, *a, *a, *a, *a]\n")
        }),
        ("functions everywhere", {
            let functions = lines(30_000, &|n| format!("  f{n}: {{ windows: [{window}] }}\n"));
            format!("version: 1\ndefaults: {{ regions: [{regions}] }}\nfunctions:\n{functions}")
        }),
        ("windows everywhere", {
            let windows = format!("{window},").repeat(100);
            let functions = lines(800, &|n| format!("  f{n}: {{ windows: *w }}\n"));
            format!(
                "version: 1\ndefaults: {{ regions: [{regions}] }}\nfunctions:\n  f: {{ windows: &w [{windows}] }}\n{functions}"
            )
        }),
        ("crons", {
            let windows = "{ cron: \"* * * * *\", for: 1m, concurrency: 1 },".repeat(60_000);
            format!(
                "version: 1\ndefaults: {{ region: eu-west-2 }}\nfunctions: {{ f: {{ windows: [{windows}] }} }}\n"
            )
        }),
        ("prices of everything", {
            let prices = lines(1_900, &|n| format!("  ec2.m7g.{n}xlarge: *p\n"));
            let many = "{ price: 1, regions: [eu-west-2, us-east-1], source: \"x\" },".repeat(95);
            format!("version: 1\nprices:\n  ec2.m7g.large: &p [{many}]\n{prices}")
        }),
        ("too many prices", {
            format!("version: 1\nprices:\n{}", lines(290_000, &|n| format!("  ec2.m7g.{n}xlarge: 1\n")))
        }),
        ("unknown names", {
            let names = lines(30_000, &|n| format!("x{n},"));
            let calendars = lines(50_000, &|n| format!("  calendar{n}: {{ dates: [2026-12-25] }}\n"));
            format!("version: 1\nwindows: {{ w: {{ except: [{names}] }} }}\ncalendars:\n{calendars}")
        }),
    ];
    for (what, text) in files {
        assert!(text.len() < 8 << 20, "{what}: {}", text.len());
        let file = SourceFile { path: "fleet.yaml".to_owned(), text };
        let problems = resolve(vec![file], &mut |_| Err("none".to_owned()), None).unwrap_err();
        assert!(!problems.list.is_empty(), "{what}");
        assert!(peak_kb() < 256 << 10, "{what}: {} kB", peak_kb());
    }
}
