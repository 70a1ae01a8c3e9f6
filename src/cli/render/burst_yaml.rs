//! Renders the configuration that carries out the plan of a burst.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Timelike, Utc};

use super::burst::View;
use super::text::{count, grouped};
use crate::domain::burst::{By, MinuteWindow, minutes, windows};
use crate::domain::function::FunctionRef;

/// The pings in flight without `limits`.
const DEFAULT_IN_FLIGHT: u64 = 500;

/// Renders windows for a burst that starts at `at`, or the rule for a Warm Request.
pub fn yaml(view: &View<'_>, function: &FunctionRef, at: Option<DateTime<Utc>>) -> String {
    let View { burst, chosen, pricing, .. } = view;
    let (most, policy) = (chosen.most(), chosen.policy.name());
    let last = chosen.kept.len();
    let mut out = format!(
        "# {policy}: {} for {}, all let go by second {}\n",
        count(most, "environment"),
        count(burst.arrivals.total(), "request"),
        grouped(last as u64)
    );
    for message in
        chosen.shortfall.map(|it| it.to_string()).iter().chain(view.warnings.iter().map(|it| &it.message))
    {
        let _ = writeln!(out, "# warning: {message}");
    }
    out.push_str("version: 1\n");
    if most > DEFAULT_IN_FLIGHT {
        let _ = writeln!(out, "limits: {{ max_in_flight: {most} }}");
    }
    let _ = writeln!(out, "functions:\n  {function}:");
    if function.place.is_none() {
        let _ = writeln!(out, "    region: {}", pricing.region);
    }
    if !view.assumed.contains(&"architecture") {
        let _ = writeln!(out, "    architecture: {}", pricing.architecture.as_str());
    }
    if !view.assumed.contains(&"memory") {
        let _ = writeln!(out, "    memory: {}MB", pricing.memory_mb);
    }
    if pricing.by == By::Provisioned {
        out.push_str("    strategy: provisioned\n");
    }
    match at {
        Some(at) => {
            let start =
                at - TimeDelta::seconds(at.second().into()) - TimeDelta::nanoseconds(at.nanosecond().into());
            out.push_str("    windows:\n");
            let needed = minutes(chosen, at.second() as usize);
            for window in windows(&needed, burst, pricing.by) {
                let _ = writeln!(out, "      - {}", window_keys(window, start));
            }
        }
        None => {
            let minutes = last.div_ceil(60).max(1);
            let _ = writeln!(out, "    on_request: {{ max_concurrency: {most}, max_for: {minutes}m }}");
            let _ = writeln!(
                out,
                "# Warm Request at the start of the burst:\n# {{\"function\":\"{function}\",\"concurrency\":{most},\"for\":\"{minutes}m\"}}"
            );
        }
    }
    out
}

/// Renders a window in UTC, the default time zone.
fn window_keys(window: MinuteWindow, start: DateTime<Utc>) -> String {
    let MinuteWindow { opens, closes, concurrency, lead, ramp_up, ramp_down } = window;
    let at = |minute: usize| start + TimeDelta::minutes(i64::try_from(minute).unwrap_or(i64::MAX / 60_000));
    let (opens, closes) = (at(opens), at(closes));
    let mut keys = format!(
        "{{ dates: [{}], hours: \"{}-{}\", concurrency: {concurrency}, lead: {lead}m",
        opens.format("%F"),
        opens.format("%R"),
        closes.format("%R")
    );
    for (key, minutes) in [("ramp_up", ramp_up), ("ramp_down", ramp_down)] {
        if minutes > 0 {
            let _ = write!(keys, ", {key}: {minutes}m");
        }
    }
    keys + " }"
}
