//! Dates from iCalendar files (RFC 5545): the all-day events, each from DTSTART to before DTEND.
//!
//! Only what a list of holidays needs. An event that repeats by a rule, or that does not last whole days, is
//! refused: dates that nobody wrote down would be guesses.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, NaiveDate};

use super::problem::{Problem, Problems};
use super::reader::quoted;
use super::source::{Source, Span};

/// Days of events: single ones, and stretches with both ends included.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct EventDays {
    pub dates: BTreeSet<NaiveDate>,
    pub ranges: Vec<(NaiveDate, NaiveDate)>,
}

/// A content line, unfolded.
struct Line {
    /// The property's name in upper case.
    name: String,
    /// Its value.
    value: String,
    /// The first physical line.
    span: Span,
}

/// An event on its way in.
#[derive(Default)]
struct Event {
    begin: Span,
    summary: Option<String>,
    start: Option<(String, Span)>,
    end: Option<(String, Span)>,
    duration: Option<(String, Span)>,
    repeats: Option<Span>,
    cancelled: bool,
}

/// Reads the days of all events of `source`; what is wrong goes to `problems`. None when anything was.
pub(super) fn parse(source: &Source<'_>, problems: &mut Problems) -> Option<EventDays> {
    let mut days = EventDays::default();
    let mut sound = true;
    let mut fail = |problem: Problem| {
        problems.push(problem);
        sound = false;
    };
    let mut event: Option<Event> = None;
    // Components inside an event (alarms) have properties of the same names, which mean other things.
    let mut inside: u32 = 0;
    let mut events = 0;
    for line in lines(source) {
        let component = line.value.trim().to_ascii_uppercase();
        match (line.name.as_str(), &mut event) {
            ("BEGIN", None) if component == "VEVENT" => {
                event = Some(Event { begin: line.span, ..Event::default() });
                inside = 0;
            }
            ("BEGIN", Some(_)) => inside += 1,
            ("END", Some(_)) if inside > 0 => inside -= 1,
            ("END", Some(_)) if component == "VEVENT" => {
                if let Some(done) = event.take() {
                    events += 1;
                    match finish(source, done, &mut days) {
                        Ok(()) => {}
                        Err(problem) => fail(*problem),
                    }
                }
            }
            (name, Some(event)) if inside == 0 => {
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
        fail(Problem::error(source, open.begin, "the event that begins here does not end"));
    } else if events == 0 {
        fail(
            Problem::error(source, Span::START, "there is no event in this file")
                .hint("an .ics file holds VEVENTs"),
        );
    }
    sound.then_some(days)
}

/// Adds the days of one event.
fn finish(source: &Source<'_>, event: Event, days: &mut EventDays) -> Result<(), Box<Problem>> {
    if event.cancelled {
        return Ok(());
    }
    let name = quoted(event.summary.as_deref().unwrap_or("without a summary"));
    let error = |span: Span, message: String| Box::new(Problem::error(source, span, message));
    let whole_days = |what: &str| format!("the event {name} {what}");
    if let Some(rule) = event.repeats {
        return Err(Box::new(
            error(rule, format!("the event {name} repeats by a rule"))
                .hint("write each date as an event of its own"),
        ));
    }
    let date = |(text, span): &(String, Span)| {
        parse_date(text).ok_or_else(|| {
            Box::new(
                error(*span, whole_days("does not last whole days"))
                    .hint("only all-day events are read: `DTSTART;VALUE=DATE:20261225`"),
            )
        })
    };
    let Some(start) = &event.start else {
        return Err(error(event.begin, whole_days("has no DTSTART")));
    };
    let first = date(start)?;
    let last = match (&event.end, &event.duration) {
        // The end is the day after; some programs write the same day.
        (Some(end), _) => match date(end)? {
            end if end == first => first,
            end if end > first => end.pred_opt().unwrap_or(first),
            _ => {
                return Err(error(
                    event.end.map_or(event.begin, |(_, span)| span),
                    whole_days("ends before it starts"),
                ));
            }
        },
        (None, Some((text, span))) => parse_days(text)
            .and_then(|count| first.checked_add_days(Days::new(count.saturating_sub(1))))
            .ok_or_else(|| error(*span, whole_days("does not last whole days")))?,
        (None, None) => first,
    };
    if first == last {
        days.dates.insert(first);
    } else {
        days.ranges.push((first, last));
    }
    Ok(())
}

/// `20261225`.
fn parse_date(text: &str) -> Option<NaiveDate> {
    let text = text.trim();
    let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    let date = digits.then(|| NaiveDate::parse_from_str(text, "%Y%m%d").ok()).flatten()?;
    (1970..=2999).contains(&date.year()).then_some(date)
}

/// `P1D`, `P2W`: a number of days from 1 to 366.
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

/// The content lines: a line that begins with a space or a tab goes on with the one before.
fn lines(source: &Source<'_>) -> Vec<Line> {
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

/// `NAME;PARAMETER="a:b":VALUE`: the value begins after the first colon outside of quotes.
fn split_line(text: &str, span: Span) -> Option<Line> {
    let mut quoted = false;
    let colon = text.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == ':' && !quoted).then_some(at)
    })?;
    let (head, value) = text.split_at(colon);
    let name = head.split(';').next().unwrap_or_default().trim().to_ascii_uppercase();
    Some(Line { name, value: value.strip_prefix(':').unwrap_or_default().to_owned(), span })
}
