//! Reads the arrivals of a burst from a CSV file.

use std::ops::Range;
use std::path::Path;

use chrono::DateTime;

use super::files;
use super::problem::{Problem, Problems};
use super::source::{SourceFile, SourceText, Span};
use crate::domain::burst::{Arrivals, MOST_SECONDS, parse_count};
use crate::domain::parse::{TextError, quoted};

/// Reads a CSV file: a number of requests in each line, or a time and a number. A time is a number of seconds or RFC
/// 3339, later than that of the line before; times without a line have no requests. Each number is that of `every`
/// seconds. The first line may be a heading. White space and empty lines are ignored. The file has at most 8 MB.
///
/// # Errors
/// All errors of the file, with their lines and columns.
pub fn load_arrivals(path: &Path, every: u64) -> Result<Arrivals, Problems> {
    let fail = |(message, hint)| Problem::of_file(path.to_string_lossy(), message).maybe_hint(hint);
    let text = files::read_text(path).map_err(|(message, hint)| {
        // The hint of a configuration does not fit.
        fail((message, hint.filter(|hint| *hint != files::SPLIT)))
    })?;
    read_arrivals(&SourceFile { path: path.to_string_lossy().into_owned(), text }, every)
}

/// A field of a line with its bytes in the file.
#[derive(Clone)]
struct Field<'t> {
    text: &'t str,
    at: Range<usize>,
}

/// A line that is read: the time in seconds, if it has one, and the number of requests.
struct Line {
    time: Option<i64>,
    number: u64,
}

pub(super) fn read_arrivals(file: &SourceFile, every: u64) -> Result<Arrivals, Problems> {
    let source = SourceText::new(file);
    let mut problems = Problems::default();
    let fail = |at: Range<usize>, error: TextError| {
        Problem::error(&source, Span::new(at), error.message).maybe_hint(error.hint)
    };
    let (mut numbers, mut first, mut columns) = (Vec::new(), None::<i64>, None::<usize>);
    let mut start = 0;
    let mut is_first = true;
    for line in source.text.split_inclusive('\n') {
        let fields = fields(line, start);
        start += line.len();
        let Some(last) = fields.last().filter(|_| !line.trim().is_empty()).cloned() else { continue };
        let whole = fields[0].at.start..last.at.end;
        if std::mem::take(&mut is_first) && is_heading(&fields) {
            continue;
        }
        let expected = *columns.get_or_insert(fields.len().clamp(1, 2));
        let steps = numbers.len() as i64;
        match read(&fields, expected, whole) {
            Err((at, error)) => problems.push(fail(at, error)),
            Ok(Line { time, number }) => {
                if let Some(time) = time {
                    let begin = *first.get_or_insert(time);
                    let passed = time.saturating_sub(begin);
                    let every = i64::try_from(every).unwrap_or(i64::MAX).max(1);
                    let place = passed / every;
                    let error = if passed % every != 0 {
                        let expected = format!("a time whole steps of {every} s after the first");
                        let error = TextError::expected(&expected, fields[0].text);
                        Some(error.hint("set --every to the step of the file"))
                    } else if place < steps {
                        Some(
                            TextError::expected("a later time than in the line before", fields[0].text)
                                .hint("sort the lines, and add up the numbers of the same time"),
                        )
                    } else if place > MOST_SECONDS as i64 {
                        Some(TextError::expected("a time within a day of the first", fields[0].text))
                    } else {
                        None
                    };
                    if let Some(error) = error {
                        problems.push(fail(fields[0].at.clone(), error));
                        continue;
                    }
                    numbers.resize(usize::try_from(place).unwrap_or(0), 0);
                }
                numbers.push(number);
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let path = || file.path.clone();
    Arrivals::new(&numbers, every).map_err(|message| Problem::of_file(path(), message).into())
}

/// Splits a line at commas, semicolons and tabs, and trims the fields.
fn fields(line: &str, start: usize) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    let mut at = start;
    for part in line.split([',', ';', '\t']) {
        let text = part.trim();
        let begin = at + (part.len() - part.trim_start().len());
        fields.push(Field { text, at: begin..begin + text.len() });
        at += part.len() + 1;
    }
    fields
}

/// Returns true for a line of names.
fn is_heading(fields: &[Field<'_>]) -> bool {
    fields.iter().all(|field| field.text.starts_with(|first: char| first.is_alphabetic() || first == '"'))
}

fn read(
    fields: &[Field<'_>],
    expected: usize,
    whole: Range<usize>,
) -> Result<Line, (Range<usize>, TextError)> {
    if fields.len() != expected {
        let found = match fields.len() {
            1 => "1 field".to_owned(),
            number => format!("{number} fields"),
        };
        let (form, hint) = match expected {
            1 => ("1 field", "write a number of requests in each line"),
            _ => ("2 fields", "write a time and a number of requests in each line"),
        };
        return Err((whole, TextError::new(0..0, format!("expected {form}, found {found}")).hint(hint)));
    }
    let number = &fields[expected - 1];
    let requests = parse_count(number.text).map_err(|error| (number.at.clone(), error))?;
    let time = match expected {
        1 => None,
        _ => Some(time(fields[0].text).map_err(|error| (fields[0].at.clone(), error))?),
    };
    Ok(Line { time, number: requests })
}

/// Parses a whole number of seconds, or RFC 3339 on a whole second.
fn time(text: &str) -> Result<i64, TextError> {
    if let Ok(second) = text.parse::<u32>() {
        return Ok(second.into());
    }
    let at = DateTime::parse_from_rfc3339(text).ok().filter(|at| at.timestamp_subsec_nanos() == 0);
    at.map(|at| at.timestamp()).ok_or_else(|| {
        let message = format!("expected a time, found {}", quoted(text));
        TextError::new(0..0, message)
            .hint("write whole seconds such as `12`, or RFC 3339 such as `2026-11-27T09:00:12Z`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, every: u64) -> Result<Arrivals, Problems> {
        read_arrivals(&SourceFile { path: "burst.csv".to_owned(), text: text.to_owned() }, every)
    }

    fn arrivals(numbers: &[u64], every: u64) -> Arrivals {
        Arrivals::new(numbers, every).unwrap()
    }

    #[test]
    fn one_column_has_numbers_and_two_have_times() {
        let expected = arrivals(&[5_000, 0, 2_500_000], 1);
        for text in [
            "5k\n0\n2.5M\n",
            "\u{feff}requests\r\n5000\r\n\r\n0\r\n2.5M",
            "second,requests\n7, 5k\n9, 2.5M\n",
            "7\t5k\n8;0\n9,2500000",
            "\"time\";\"n\"\n2026-11-27T09:00:07Z;5k\n2026-11-27T10:00:09+01:00;2.5M\n",
        ] {
            assert_eq!(read(text, 1).unwrap(), expected, "{text}");
        }
        assert_eq!(read("0,10\n5,11\n15,2", 5).unwrap(), arrivals(&[10, 11, 0, 2], 5));
    }

    #[test]
    fn all_bad_lines_are_reported_with_their_places() {
        let text = "second,requests\n0,5k\n1,5K\nx,12\n2\n3,1,2\n3,-4\n3,7\n3,8\n99999999,1\n4,0.5\n";
        insta::assert_snapshot!(read(text, 1).unwrap_err(), @r#"
        error: expected a number of requests, found "5K"
         --> burst.csv:3:3
          |
        3 | 1,5K
          |   ^^
          |
          = hint: write `5k`

        error: expected a time, found "x"
         --> burst.csv:4:1
          |
        4 | x,12
          | ^
          |
          = hint: write whole seconds such as `12`, or RFC 3339 such as `2026-11-27T09:00:12Z`

        error: expected 2 fields, found 1 field
         --> burst.csv:5:1
          |
        5 | 2
          | ^
          |
          = hint: write a time and a number of requests in each line

        error: expected 2 fields, found 3 fields
         --> burst.csv:6:1
          |
        6 | 3,1,2
          | ^^^^^
          |
          = hint: write a time and a number of requests in each line

        error: expected a number of requests, found "-4"
         --> burst.csv:7:3
          |
        7 | 3,-4
          |   ^^
          |
          = hint: write a whole number, such as `500`, `5k` (5,000) or `2.5M` (2,500,000)

        error: expected a later time than in the line before, found "3"
         --> burst.csv:9:1
          |
        9 | 3,8
          | ^
          |
          = hint: sort the lines, and add up the numbers of the same time

        error: expected a time within a day of the first, found "99999999"
          --> burst.csv:10:1
           |
        10 | 99999999,1
           | ^^^^^^^^

        error: expected a whole number of requests, found "0.5"
          --> burst.csv:11:3
           |
        11 | 4,0.5
           |   ^^^
           |
           = hint: write a whole number, such as `500`, `5k` (5,000) or `2.5M` (2,500,000)
        "#);
        insta::assert_snapshot!(read("0,1\n7,2\n", 5).unwrap_err(), @r#"
        error: expected a time whole steps of 5 s after the first, found "7"
         --> burst.csv:2:1
          |
        2 | 7,2
          | ^
          |
          = hint: set --every to the step of the file
        "#);
    }

    #[test]
    fn a_file_needs_requests_and_is_bounded() {
        insta::assert_snapshot!(read("", 1).unwrap_err(), @"
        error: expected at least one request, found none
        --> burst.csv
        ");
        insta::assert_snapshot!(read("requests\n0\n", 1).unwrap_err(), @"
        error: expected at least one request, found none
        --> burst.csv
        ");
        insta::assert_snapshot!(read(&"1\n".repeat(86_401), 1).unwrap_err(), @"
        error: expected arrivals of at most a day, found 86401 seconds
        --> burst.csv
        ");
        assert_eq!(read(&"x\n".repeat(300), 1).unwrap_err().count(), 299, "the first line is a heading");
        let missing = load_arrivals(Path::new("/nonexistent/burst.csv"), 1).unwrap_err();
        insta::assert_snapshot!(missing, @"
        error: cannot read: no such file or directory
        --> /nonexistent/burst.csv
        ");
    }
}
