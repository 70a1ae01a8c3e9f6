//! The text of a file, and the conversion of byte offsets to lines and columns.

use std::cell::OnceCell;
use std::ops::Range;

/// A file: its path and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The path, as messages show it. Paths in the file are relative to it.
    pub path: String,
    /// The text.
    pub text: String,
}

/// A range of bytes in the text of a file. Files are at most 8 MB, so 32 bits suffice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// The beginning of a file: the position of errors about the whole file.
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
pub(super) struct SourceText<'a> {
    pub path: &'a str,
    /// The text, without a byte-order mark.
    pub text: &'a str,
    index: OnceCell<Index>,
}

/// Makes the lookup of lines and columns cheap, also in a line of 8 MB: a file may have an error in every few bytes.
#[derive(Debug)]
struct Index {
    /// The first byte of each line.
    lines: Vec<usize>,
    /// The number of characters that begin before each multiple of [`STRIDE`] bytes.
    characters: Vec<usize>,
}

/// Bytes between two counts of characters.
const STRIDE: usize = 1_024;

impl Index {
    fn new(text: &str) -> Self {
        let mut count = 0;
        let characters = text.as_bytes().chunks(STRIDE).map(|chunk| {
            let before = count;
            count += count_characters(chunk);
            before
        });
        Self { characters: characters.collect(), lines: line_starts(text) }
    }

    /// Returns the number of characters of `text` that begin before byte `at`.
    fn characters_before(&self, text: &str, at: usize) -> usize {
        let stride = (at / STRIDE).min(self.characters.len().saturating_sub(1));
        let counted = self.characters.get(stride).copied().unwrap_or_default();
        counted + count_characters(text.as_bytes().get(stride * STRIDE..at).unwrap_or_default())
    }
}

/// Counts the characters that begin in these bytes of UTF-8: all bytes but continuations, which are `10xxxxxx`.
fn count_characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count()
}

/// The line of a span, and the part of the line that the span covers.
pub(super) struct Located<'a> {
    /// The line's number, from 1.
    pub line: u32,
    /// The column of the first character, from 1.
    pub column: u32,
    /// The number of characters of the line that the span covers.
    pub characters: u32,
    /// The line's text, without its end.
    pub text: &'a str,
    /// The bytes of `text` that the span covers.
    pub covered: Range<usize>,
}

impl<'a> SourceText<'a> {
    pub fn new(file: &'a SourceFile) -> Self {
        let text = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
        Self { path: &file.path, text, index: OnceCell::new() }
    }

    /// Returns the text that `span` covers; empty when the span lies outside of the file.
    pub fn slice(&self, span: Span) -> &'a str {
        self.text.get(span.start()..span.end()).unwrap_or_default()
    }

    /// Returns the span of the character at a line and column, both from 1, the column in characters.
    pub fn span_at(&self, line: u64, column: u64) -> Span {
        let starts = &self.index().lines;
        let index = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(begin) = starts.get(index(line)).copied() else {
            return Span::new(self.text.len()..self.text.len());
        };
        let rest = self.text.get(begin..).unwrap_or_default();
        let at = rest.char_indices().map(|(at, _)| at).nth(index(column)).unwrap_or(rest.len());
        let width = rest.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        Span::new(begin + at..begin + at + width)
    }

    /// Returns the span of the first tab on the line of `span`, at or before it.
    pub fn tab_before(&self, span: Span) -> Option<Span> {
        let located = self.locate(span);
        let begin = span.start() - located.covered.start;
        let tab = located.text.find('\t').filter(|tab| *tab <= located.covered.start)?;
        Some(Span::new(begin + tab..begin + tab + 1))
    }

    /// Returns the line of `span`. A span over several lines is cut at the end of its first line.
    pub fn locate(&self, span: Span) -> Located<'a> {
        let index = self.index();
        let start = self.text.floor_char_boundary(span.start());
        let line = index.lines.partition_point(|begin| *begin <= start).saturating_sub(1);
        let begin = index.lines.get(line).copied().unwrap_or_default();
        let end = index.lines.get(line + 1).copied().unwrap_or(self.text.len());
        let text = self.text.get(begin..end).unwrap_or_default().trim_end_matches(['\n', '\r']);
        let from = (start - begin).min(text.len());
        let to = text.floor_char_boundary(span.end().saturating_sub(begin)).max(from);
        let before = |at: usize| index.characters_before(self.text, begin + at);
        Located {
            line: saturate(line + 1),
            column: saturate(before(from) - before(0) + 1),
            characters: saturate(before(to) - before(from)),
            text,
            covered: from..to,
        }
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(self.text))
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

fn saturate(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let file = SourceFile { path: "f".into(), text: "\u{feff}a: é\r\nb: [日本, x]\rc\n".into() };
        let source = SourceText::new(&file);
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

    #[test]
    fn columns_in_a_long_line_are_exact() {
        let file =
            SourceFile { path: "f".into(), text: format!("é\n{}\n日", "aé日b\u{1f980}".repeat(1_000)) };
        let source = SourceText::new(&file);
        let line = source.text.lines().nth(1).unwrap();
        for (column, (at, character)) in line.char_indices().enumerate() {
            let begin = "é\n".len() + at;
            let located = source.locate(Span::new(begin..begin + character.len_utf8()));
            assert_eq!((located.line, located.column as usize, located.characters), (2, column + 1, 1));
            assert_eq!(located.covered, at..at + character.len_utf8());
        }
        let last = source.locate(Span::new(source.text.len() - "日".len()..source.text.len()));
        assert_eq!((last.line, last.column, last.characters, last.text), (3, 1, 1, "日"));
    }
}
