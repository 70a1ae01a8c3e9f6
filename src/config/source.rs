//! One file's text, and where a byte of it stands.

use std::cell::OnceCell;
use std::ops::Range;

/// A file as it was read: its path as people see it, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The path, as it is shown in messages. Files that it names are looked up beside it.
    pub path: String,
    /// The text.
    pub text: String,
}

/// A stretch of a file's text, in bytes. Files are at most 8 MB, so 32 bits are plenty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// The first byte of a file: where a mistake of the whole file is shown.
    pub const START: Self = Self { start: 0, len: 0 };

    pub fn new(range: Range<usize>) -> Self {
        let start = u32::try_from(range.start).unwrap_or(u32::MAX);
        let len = u32::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
        Self { start, len }
    }

    pub fn start(self) -> usize {
        self.start as usize
    }

    pub fn end(self) -> usize {
        self.start as usize + self.len as usize
    }
}

/// A [`SourceFile`] with an index of its lines.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub path: &'a str,
    /// The text, without a byte-order mark.
    pub text: &'a str,
    line_starts: OnceCell<Vec<usize>>,
}

/// A line of a file, and what of it a span covers.
pub(super) struct Located<'a> {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// The line's text, without its end.
    pub text: &'a str,
    /// The bytes of `text` that the span covers.
    pub covered: Range<usize>,
}

impl<'a> Source<'a> {
    pub fn new(file: &'a SourceFile) -> Self {
        let text = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
        Self { path: &file.path, text, line_starts: OnceCell::new() }
    }

    /// The text that `span` covers; empty when it lies outside.
    pub fn slice(&self, span: Span) -> &'a str {
        self.text.get(span.start()..span.end()).unwrap_or_default()
    }

    /// The character at a line and column, both from 1, the column in characters.
    pub fn span_at(&self, line: u64, column: u64) -> Span {
        let starts = self.line_starts.get_or_init(|| line_starts(self.text));
        let index = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(begin) = starts.get(index(line)).copied() else {
            return Span::new(self.text.len()..self.text.len());
        };
        let rest = self.text.get(begin..).unwrap_or_default();
        let at = rest.char_indices().map(|(at, _)| at).nth(index(column)).unwrap_or(rest.len());
        let width = rest.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        Span::new(begin + at..begin + at + width)
    }

    /// The first tab on the line of `span`, at or before it.
    pub fn tab_before(&self, span: Span) -> Option<Span> {
        let located = self.locate(span);
        let begin = span.start() - located.covered.start;
        let tab = located.text.find('\t').filter(|tab| *tab <= located.covered.start)?;
        Some(Span::new(begin + tab..begin + tab + 1))
    }

    /// Where `span` stands. A span over several lines is cut at the end of its first one.
    pub fn locate(&self, span: Span) -> Located<'a> {
        let starts = self.line_starts.get_or_init(|| line_starts(self.text));
        let start = floor_char_boundary(self.text, span.start());
        let index = starts.partition_point(|begin| *begin <= start).saturating_sub(1);
        let begin = starts.get(index).copied().unwrap_or_default();
        let next = starts.get(index + 1).copied().unwrap_or(self.text.len());
        let text = self.text.get(begin..next).unwrap_or_default().trim_end_matches(['\n', '\r']);
        let from = (start - begin).min(text.len());
        let to = floor_char_boundary(text, span.end().saturating_sub(begin)).max(from);
        Located {
            line: saturate(index + 1),
            column: saturate(text.get(..from).unwrap_or_default().chars().count() + 1),
            text,
            covered: from..to,
        }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut starts = vec![0];
    for (index, byte) in bytes.iter().enumerate() {
        let ends = match byte {
            b'\n' => true,
            b'\r' => bytes.get(index + 1) != Some(&b'\n'),
            _ => false,
        };
        if ends {
            starts.push(index + 1);
        }
    }
    starts
}

/// The nearest character boundary at or before `index`.
pub(super) fn floor_char_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

pub(super) fn saturate(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let file = SourceFile { path: "f".into(), text: "\u{feff}a: é\r\nb: [日本, x]\rc\n".into() };
        let source = Source::new(&file);
        let at = |needle: &str| {
            let start = source.text.find(needle).unwrap();
            let located = source.locate(Span::new(start..start + needle.len()));
            (located.line, located.column, located.text.get(located.covered).unwrap().to_owned())
        };
        assert_eq!(at("é"), (1, 4, "é".into()));
        assert_eq!(at("x"), (2, 9, "x".into()));
        assert_eq!(at("c"), (3, 1, "c".into()));
        assert_eq!(at("x]\rc"), (2, 9, "x]".into()));
        let end = source.locate(Span::new(source.text.len()..source.text.len()));
        assert_eq!((end.line, end.column, end.covered), (4, 1, 0..0));
    }
}
