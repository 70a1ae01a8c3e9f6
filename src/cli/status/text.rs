//! The records as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::coverage;
use super::known::{Known, backed_off, breakers, guards_off, oldest, seconds, shown_id, usd_per_hour};
use crate::cli::render::budget;
use crate::cli::render::canary::ContactObject;
use crate::domain::clean::clean;
use crate::domain::cost::PriceBook;
use crate::domain::function::{Identity, Region};
use crate::domain::preflight::{Read, Unchecked, UncheckedReason};
use crate::domain::records::{Backlog, Facts, Guards, LastVersion, MadeBy, Pauses, Request, Status};
use crate::domain::round::NewEnvironments;
use crate::domain::text::{count, grouped, money};

pub(super) fn shown(known: &Known, now: DateTime<Utc>) -> String {
    let mut out = String::new();
    match &known.status {
        Ok(status) => show_status(&mut out, status, now),
        Err(_) => out.push_str("the last tick is unknown\n"),
    }
    match &known.coverage {
        Ok(coverage) => coverage.iter().for_each(|coverage| coverage::show(&mut out, coverage)),
        Err(unavailable) => {
            let _ = writeln!(out, "coverage unknown: {}", clean(&unavailable.to_string()));
        }
    }
    match &known.pauses {
        Ok(Pauses { all, functions, pipelines }) => {
            if let Some(pause) = all {
                let _ = writeln!(out, "everything is {pause}");
            }
            for (function, pause) in functions {
                let _ = writeln!(out, "{function} is {pause}");
            }
            for (name, pause) in pipelines {
                let _ = writeln!(out, "pipeline {} is {pause}", clean(name));
            }
        }
        Err(_) => out.push_str("pauses unknown\n"),
    }
    match &known.requests {
        Ok(requests) => {
            for (id, request) in &requests.targets {
                show_request(&mut out, id, request, now);
            }
            for (id, backlogs) in &requests.backlogs {
                for backlog in backlogs {
                    show_backlog(&mut out, id, backlog, now);
                }
            }
        }
        Err(_) => out.push_str("requests unknown\n"),
    }
    match &known.facts {
        Ok(facts) => show_facts(&mut out, facts, now),
        Err(_) => out.push_str("facts about deployed functions unknown\n"),
    }
    match &known.guards {
        Ok(guards) => show_guards(&mut out, known, guards, now),
        Err(_) => out.push_str("results for the guards unknown\n"),
    }
    match &known.capacity {
        Ok(_) => show_capacity(&mut out, known, now),
        Err(_) => out.push_str("capacity unknown\n"),
    }
    match &known.budgets {
        Ok(budgets) => {
            let lines = budgets.iter().map(|(scope, standing)| budget::line(scope, standing, true, now));
            out.extend(lines);
        }
        Err(_) => out.push_str("budgets unknown\n"),
    }
    out
}

fn show_capacity(out: &mut String, known: &Known, now: DateTime<Utc>) {
    let prices = PriceBook::embedded();
    for (id, kept) in known.capacities() {
        let Some(seen) = &kept.seen else { continue };
        let strategy = match kept.made.as_ref().map(|made| made.by) {
            Some(MadeBy::Direct) => "provisioned by direct, ",
            Some(MadeBy::Autoscaling) => "provisioned by autoscaling, ",
            Some(MadeBy::Managed) => "managed, ",
            None => "",
        };
        let since =
            kept.made.as_ref().map(|made| format!(", since {}", seconds(made.at))).unwrap_or_default();
        let reason = seen.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let cost = match usd_per_hour(id, kept, seen, &prices) {
            Some(usd) if usd.is_zero() => String::new(),
            Some(usd) => format!(", {} an hour", money(usd)),
            None => ", cost unknown".to_owned(),
        };
        let available = seen.available.map_or_else(|| "?".to_owned(), |number| number.to_string());
        let (desired, status, ago) = (seen.desired, seen.status.name(), ago(seen.at, now));
        let line = format!(
            "capacity: {}: {strategy}{available}/{desired} available, {status}{reason}{since}{cost} ({ago})",
            shown_id(id)
        );
        let _ = writeln!(out, "{}", clean(&line));
    }
}

fn show_guards(out: &mut String, known: &Known, guards: &BTreeMap<Region, Guards>, now: DateTime<Utc>) {
    for contact in known.unsafe_handlers() {
        let ContactObject { function, region, protocol, since, reason, .. } = contact;
        let reason = reason.unwrap_or_default();
        let line = format!("unsafe: {function} {region}, protocol {protocol}, since {since}: {reason}");
        let _ = writeln!(out, "{}", clean(&line));
    }
    for (id, health, next_try) in breakers(guards, now) {
        let rounds = count(health.failures.into(), "failed round");
        let next_try = seconds(next_try);
        let _ = writeln!(out, "breaker open: {} after {rounds}, next try {next_try}", shown_id(id));
    }
    for (id, health, limit) in backed_off(guards, now) {
        let (pings, ago) = (count(limit.into(), "ping"), ago(health.at, now));
        let _ = writeln!(out, "backed off: {} to {pings} after throttles ({ago})", shown_id(id));
    }
}

fn show_facts(out: &mut String, facts: &BTreeMap<Region, Facts>, now: DateTime<Utc>) {
    if let Some(oldest) = oldest(facts) {
        let targets: usize = facts.values().map(|facts| facts.functions.len()).sum();
        let targets = count(targets as u64, "target");
        let _ =
            writeln!(out, "facts about {targets}, the oldest of {} ({})", seconds(oldest), ago(oldest, now));
    }
    for lost in guards_off(facts) {
        let Unchecked { read, why, reason, regions, count: number } = lost;
        let regions: Vec<&str> = regions.iter().map(|region| region.as_str()).collect();
        let targets = match read {
            Read::Account => String::new(),
            _ => format!(" for {}", count(number as u64, "target")),
        };
        let (guards, action, regions) = (read.guards().join(", "), read.action(), regions.join(", "));
        let why = match why {
            UncheckedReason::Denied => format!("no {action} in {regions}"),
            UncheckedReason::Failed => format!("{action} failed in {regions}: {}", clean(&reason)),
            UncheckedReason::Unreachable => {
                format!("{action} had no answer in {regions}: {}", clean(&reason))
            }
        };
        let _ = writeln!(out, "guards off: {guards}{targets} ({why})");
    }
}

fn show_status(out: &mut String, status: &Status, now: DateTime<Utc>) {
    let _ = match status.tick {
        None => writeln!(out, "no tick of a schedule is recorded"),
        Some(tick) => {
            let left = match status.unfinished {
                0 => String::new(),
                left => format!(", {left} unfinished"),
            };
            writeln!(
                out,
                "last tick {} ({}), took {} ms{left}",
                seconds(tick),
                ago(tick, now),
                status.duration_ms
            )
        }
    };
    if status.pauses_unknown {
        let _ = writeln!(out, "the last tick could not read the pauses");
    }
    if let Some(config) = &status.config {
        let age = match status.config_behind_since {
            None => "as in its source".to_owned(),
            Some(since) => format!("stale since {} ({})", seconds(since), ago(since, now)),
        };
        let _ = writeln!(out, "configuration {}: {age}", clean(config));
    }
    for (id, last) in &status.targets {
        let skipped = last.skipped.as_ref();
        let skipped =
            skipped.map(|skip| format!("skipped: {} ({})", skip.reason.name(), ago(skip.tick, now)));
        let number =
            |reached: Option<u32>| reached.map_or_else(|| "?".to_owned(), |reached| reached.to_string());
        let reached = number(last.reached);
        let new: String =
            last.new.iter().flat_map(NewEnvironments::texts).map(|kind| format!(", {kind}")).collect();
        let version = |LastVersion { version, desired, reached }: &LastVersion| {
            format!("; version {} {}/{desired}", clean(version), number(*reached))
        };
        let versions: String = last.versions.iter().map(version).collect();
        let (verdict, ago) = (last.verdict.name(), ago(last.tick, now));
        let sent = format!("reached {reached}, {verdict}{new} ({ago}){versions}");
        let what = match skipped {
            None => sent,
            Some(skipped) if last.was_sent() => format!("{sent}; {skipped}"),
            Some(skipped) => skipped,
        };
        let _ = writeln!(out, "  {}: target {}, {what}", shown_id(id), last.desired);
    }
    for last in &status.pipelines {
        let result = match last.warm {
            Some(true) => "warm".to_owned(),
            Some(false) => format!("cold: {}", last.cold_stages.join(", ")),
            None => "unknown".to_owned(),
        };
        let line = format!("  pipeline {} {}: {result} ({})", last.name, last.region, ago(last.tick, now));
        let _ = writeln!(out, "{}", clean(&line));
    }
}

fn show_request(out: &mut String, id: &Identity, request: &Request, now: DateTime<Utc>) {
    let reason = request.reason.as_ref().map(|reason| format!(": {}", clean(reason))).unwrap_or_default();
    // A request in the future has no effect yet.
    let future = if request.is_future(now) { " in the future," } else { "" };
    let _ = writeln!(
        out,
        "{} is requested{future} until {}, {} environments{reason}",
        shown_id(id),
        seconds(request.until),
        request.concurrency
    );
}

fn show_backlog(out: &mut String, id: &Identity, backlog: &Backlog, now: DateTime<Utc>) {
    let reason = backlog.reason.as_ref().map(|reason| format!(": {}", clean(reason))).unwrap_or_default();
    let pipeline = backlog.pipeline.as_ref().map(|name| format!(" of the pipeline {}", clean(name)));
    let future = if backlog.is_future(now) { ", in the future" } else { "" };
    let _ = writeln!(
        out,
        "{} is requested for a backlog{}{future} until {}, {} environments, {} of {} left{reason}",
        shown_id(id),
        pipeline.unwrap_or_default(),
        seconds(backlog.until),
        backlog.number(now, backlog.most),
        grouped(backlog.left(now).into()),
        count(backlog.messages.into(), "request"),
    );
}

/// Formats the time since `at`.
fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match now.signed_duration_since(at).num_seconds() {
        ..0 => "in the future".to_owned(),
        seconds @ 0..120 => format!("{seconds} s ago"),
        seconds => format!("{} min ago", seconds / 60),
    }
}
