//! The shipped examples: the first output does not depend on the day.

use std::process::Stdio;

use serde_json::Value;

use crate::support::{Done, warmd};

/// Runs `run --once --local` at the beginning of each hour of a day.
fn ticks(day: &str) -> Vec<Value> {
    let start = |hour: u32| {
        let at = format!("{day}T{hour:02}:00:00Z");
        let mut command = warmd(&["run", "--once", "--local", "--json", "--at", &at]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    // In parallel, because a tick mostly waits for its pings.
    let running: Vec<_> = (0..24).map(start).collect();
    let done = running.into_iter().map(|child| Done::of(child.wait_with_output().unwrap()));
    done.map(|done| {
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        done.json()
    })
    .collect()
}

#[test]
fn at_every_hour_of_a_week_there_are_cold_starts_s3_egress_by_route_and_cost() {
    let days = ["16", "17", "18", "19", "20", "21", "22"].map(|day| format!("2026-11-{day}"));
    for tick in days.iter().flat_map(|day| ticks(day)) {
        let rounds = tick["rounds"].as_array().unwrap();
        assert!(rounds.len() >= 2, "{tick}");
        assert!(rounds.iter().all(|round| round["cold"].as_u64().unwrap() > 0), "{tick}");
        let routed = |round: &&Value| {
            let bytes = round["routes"].as_object().unwrap().values().map(|bytes| bytes.as_u64().unwrap());
            let dollars: f64 = round["cost_usd"]["s3_egress"].as_str().unwrap().parse().unwrap();
            bytes.sum::<u64>() > 0 && round["s3_egress_bytes"].as_u64().unwrap() > 0 && dollars > 0.0
        };
        assert!(rounds.iter().any(|round| routed(&round)), "{tick}");
    }
}
