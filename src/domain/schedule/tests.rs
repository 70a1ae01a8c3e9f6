//! Tests of the schedule against the reference model, and by hand.

mod agreement;
mod by_hand;
mod clock_changes;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

use super::Minute;
use crate::domain::calendar::{DateSet, DaySet, Hours, Opening, Window, parse_cron};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{Architecture, FunctionRef, Region};

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn minute(text: &str) -> Minute {
    Minute::of(instant(text))
}

fn dates(texts: &[&str]) -> BTreeSet<NaiveDate> {
    texts.iter().map(|text| date(text)).collect()
}

fn calendar(texts: &[&str]) -> Arc<DateSet> {
    Arc::new(DateSet { name: "holidays".to_owned(), dates: dates(texts), ranges: Vec::new() })
}

fn window(zone: Tz, opening: Opening, concurrency: u32) -> Window {
    Window::new("windows[0]", zone, opening, concurrency)
}

fn weekly(zone: Tz, days: &str, hours: &str, concurrency: u32) -> Window {
    window(zone, Opening::Weekly(DaySet::parse(days).unwrap(), Hours::parse(hours).unwrap()), concurrency)
}

fn on_dates(zone: Tz, days: &[&str], hours: &str, concurrency: u32) -> Window {
    window(zone, Opening::Dates(dates(days), Hours::parse(hours).unwrap()), concurrency)
}

fn cron(zone: Tz, text: &str, minutes: i64, concurrency: u32) -> Window {
    let schedule = Box::new(parse_cron(text).unwrap());
    window(zone, Opening::Cron(schedule, TimeDelta::minutes(minutes)), concurrency)
}

fn ramped(window: Window, lead: i64, up: i64, down: i64) -> Window {
    Window {
        lead: TimeDelta::minutes(lead),
        ramp_up: TimeDelta::minutes(up),
        ramp_down: TimeDelta::minutes(down),
        ..window
    }
}

fn function(interval_minutes: u32, windows: Vec<Window>) -> Target {
    let name = FunctionRef::parse("nlp-inference:live").unwrap();
    Target {
        architecture: Architecture::Arm64,
        interval_minutes,
        windows,
        ..Target::bare(&name, Region::parse("eu-west-2").unwrap())
    }
}
