//! Reads dates from iCalendar files (RFC 5545): the all-day events, each from DTSTART to the day before DTEND.
//!
//! Supports what lists of holidays contain. Rejects events that repeat by a rule or that do not last whole days.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, NaiveDate};

use super::problem::{Problem, Problems};
use super::source::{SourceText, Span};
use crate::domain::parse::quoted;

/// The days of events: single dates, and ranges with both ends included.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct EventDays {
    pub dates: BTreeSet<NaiveDate>,
    pub ranges: Vec<(NaiveDate, NaiveDate)>,
}

/// An unfolded content line.
struct ContentLine {
    /// The property's name in upper case.
    name: String,
    /// Its value.
    value: String,
    /// The first of its physical lines.
    span: Span,
}

/// An event that is being read.
#[derive(Default)]
struct CalendarEvent {
    begin: Span,
    summary: Option<String>,
    start: Option<(String, Span)>,
    end: Option<(String, Span)>,
    duration: Option<(String, Span)>,
    repeats: Option<Span>,
    cancelled: bool,
}

/// Reads the days of all events of `source`. Returns `None` after it has added errors to `problems`.
pub(super) fn parse(source: &SourceText<'_>, problems: &mut Problems) -> Option<EventDays> {
    let mut days = EventDays::default();
    let mut valid = true;
    let mut fail = |problem: Problem| {
        problems.push(problem);
        valid = false;
    };
    let mut event: Option<CalendarEvent> = None;
    // Components inside an event (alarms) have properties of the same names with other meanings.
    let mut depth: u32 = 0;
    let mut events = 0;
    for line in lines(source) {
        let component = line.value.trim().to_ascii_uppercase();
        match (line.name.as_str(), &mut event) {
            ("BEGIN", None) if component == "VEVENT" => {
                event = Some(CalendarEvent { begin: line.span, ..CalendarEvent::default() });
                depth = 0;
            }
            ("BEGIN", Some(_)) => depth += 1,
            ("END", Some(_)) if depth > 0 => depth -= 1,
            ("END", Some(_)) if component == "VEVENT" => {
                if let Some(done) = event.take() {
                    events += 1;
                    if let Err(problem) = add_event(source, done, &mut days) {
                        fail(*problem);
                    }
                }
            }
            (name, Some(event)) if depth == 0 => {
                let at = line.span;
                match name {
                    "SUMMARY" => event.summary = Some(line.value),
                    "DTSTART" => event.start = Some((line.value, at)),
                    "DTEND" => event.end = Some((line.value, at)),
                    "DURATION" => event.duration = Some((line.value, at)),
                    "RRULE" | "RDATE" => event.repeats = Some(at),
                    "STATUS" => event.cancelled = line.value.trim().eq_ignore_ascii_case("CANCELLED"),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    if let Some(open) = event {
        fail(Problem::error(source, open.begin, "missing END:VEVENT for this event"));
    } else if events == 0 {
        fail(Problem::error(source, Span::START, "no event in this file").hint("add a VEVENT for each date"));
    }
    valid.then_some(days)
}

/// Adds the days of one event.
fn add_event(
    source: &SourceText<'_>,
    event: CalendarEvent,
    days: &mut EventDays,
) -> Result<(), Box<Problem>> {
    if event.cancelled {
        return Ok(());
    }
    let name =
        event.summary.as_deref().map_or("the event".to_owned(), |name| format!("the event {}", quoted(name)));
    let error = |span: Span, message: String| Box::new(Problem::error(source, span, message));
    if let Some(rule) = event.repeats {
        return Err(Box::new(
            error(rule, format!("{name} repeats by a rule")).hint("add an event for each date"),
        ));
    }
    let date = |(text, span): &(String, Span)| {
        parse_date(text).ok_or_else(|| {
            Box::new(
                error(*span, format!("{name} does not last whole days"))
                    .hint("use an all-day event: `DTSTART;VALUE=DATE:20261225`"),
            )
        })
    };
    let Some(start) = &event.start else {
        return Err(error(event.begin, format!("{name} has no DTSTART")));
    };
    let first = date(start)?;
    let last = match (&event.end, &event.duration) {
        // DTEND is the day after the last one; some programs write the same day.
        (Some(end), _) => match date(end)? {
            end if end == first => first,
            end if end > first => end.pred_opt().unwrap_or(first),
            _ => {
                return Err(error(
                    event.end.map_or(event.begin, |(_, span)| span),
                    format!("{name} ends before it starts"),
                ));
            }
        },
        (None, Some((text, span))) => parse_days(text)
            .and_then(|count| first.checked_add_days(Days::new(count.saturating_sub(1))))
            .ok_or_else(|| error(*span, format!("{name} does not last whole days")))?,
        (None, None) => first,
    };
    if first == last {
        days.dates.insert(first);
    } else {
        days.ranges.push((first, last));
    }
    Ok(())
}

/// Parses a date such as `20261225`, from 1970 to 2999.
fn parse_date(text: &str) -> Option<NaiveDate> {
    let text = text.trim();
    let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    let date = digits.then(|| NaiveDate::parse_from_str(text, "%Y%m%d").ok()).flatten()?;
    (1970..=2999).contains(&date.year()).then_some(date)
}

/// Parses a duration such as `P1D` or `P2W`; returns 1 to 366 days.
fn parse_days(text: &str) -> Option<u64> {
    let text = text.trim().trim_start_matches('+').strip_prefix('P')?;
    let (number, unit) = match (text.strip_suffix('D'), text.strip_suffix('W')) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, 7),
        (None, None) => return None,
    };
    let days = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (1..=366).contains(&days).then_some(days)
}

/// Returns the content lines. A line that begins with a space or a tab continues the one before.
fn lines(source: &SourceText<'_>) -> Vec<ContentLine> {
    let mut folded: Vec<(String, Span)> = Vec::new();
    let mut start = 0;
    for raw in source.text.split('\n') {
        let line = raw.strip_suffix('\r').unwrap_or(raw);
        match (line.strip_prefix([' ', '\t']), folded.last_mut()) {
            (Some(rest), Some((text, _))) => text.push_str(rest),
            _ => folded.push((line.to_owned(), Span::new(start..start + line.len()))),
        }
        start += raw.len() + 1;
    }
    folded.into_iter().filter_map(|(text, span)| split_line(&text, span)).collect()
}

/// Splits `NAME;PARAMETER="a:b":VALUE`: the value begins after the first colon outside of quotes.
fn split_line(text: &str, span: Span) -> Option<ContentLine> {
    let mut quoted = false;
    let colon = text.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == ':' && !quoted).then_some(at)
    })?;
    let (head, value) = text.split_at(colon);
    let name = head.split(';').next().unwrap_or_default().trim().to_ascii_uppercase();
    Some(ContentLine { name, value: value.strip_prefix(':').unwrap_or_default().to_owned(), span })
}
