//! What is wrong with a configuration: for people, and for machines.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};

use super::source::{Source, Span, floor_char_boundary};
use crate::domain::clean::{clean, clean_lines};

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is taken; something in it is probably not meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as it was given.
    pub path: String,
    /// The line, from 1; 0 when the whole file is meant.
    pub line: u32,
    /// The column in characters, from 1; 0 when the whole file is meant.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.path),
            _ => write!(f, "{}:{}:{}", self.path, self.line, self.column),
        }
    }
}

/// One mistake, or one thing that is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// The column after the last character that is meant, on the same line; 0 when the whole file is meant.
    pub end_column: u32,
    /// What is wrong: one sentence, without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The other place that it has to do with, such as where a name was defined first.
    pub related: Option<Place>,
    /// The line, for [`Problem::render_text`].
    excerpt: Option<Excerpt>,
}

/// A line of a file, or the part around what is meant when it is very long.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    text: String,
    covered: Range<usize>,
    /// Whether `text` does not begin where the line does.
    cropped: bool,
}

/// Longer lines are cropped around what is meant.
const LONGEST_EXCERPT: usize = 1_000;
/// Bytes kept on either side of it.
const EXCERPT_MARGIN: usize = 200;

impl Excerpt {
    fn of(line: &str, covered: Range<usize>) -> Self {
        if line.len() <= LONGEST_EXCERPT {
            return Self { text: line.to_owned(), covered, cropped: false };
        }
        let from = floor_char_boundary(line, covered.start.saturating_sub(EXCERPT_MARGIN));
        let end = covered.end.min(covered.start + EXCERPT_MARGIN);
        let to = floor_char_boundary(line, end + EXCERPT_MARGIN);
        let end = floor_char_boundary(line, end);
        let text = line.get(from..to).unwrap_or_default().to_owned();
        Self { text, covered: covered.start - from..end - from, cropped: true }
    }
}

impl Problem {
    /// A mistake at `span` of `source`.
    pub(super) fn error(source: &Source<'_>, span: Span, message: impl Into<String>) -> Self {
        let located = source.locate(span);
        Self {
            severity: Severity::Error,
            place: Place { path: source.path.to_owned(), line: located.line, column: located.column },
            end_column: located.column.saturating_add(located.characters.max(1)),
            message: message.into(),
            hint: None,
            related: None,
            excerpt: Some(Excerpt::of(located.text, located.covered)),
        }
    }

    /// A mistake of a whole file or directory.
    pub fn of_file(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place: Place { path: path.into(), line: 0, column: 0 },
            end_column: 0,
            message: message.into(),
            hint: None,
            related: None,
            excerpt: None,
        }
    }

    /// Stands in for a problem that is counted, not kept. Finding its place and words would take time, and a file
    /// may have a million of them.
    pub(super) fn counted() -> Self {
        Self::of_file("", "")
    }

    /// The same as a warning.
    #[must_use]
    pub(super) fn into_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The same with a hint.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a hint, when there is one.
    #[must_use]
    pub(super) fn maybe_hint(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// The same with the other place that it has to do with.
    #[must_use]
    pub(super) fn related(mut self, place: Place) -> Self {
        self.related = Some(place);
        self
    }

    /// The problem for people: what is wrong, `--> path:line:column`, the line with carets under what is meant, and
    /// a hint. With `color`, in ANSI colours. Ends without a line end.
    pub fn render_text(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let (path, message) = (clean(&self.place.path), clean_lines(&self.message));
        let whole = || Origin::path(path.as_ref());
        let mut group = level.primary_title(message.as_ref()).elements(None::<Element<'_>>);
        match &self.excerpt {
            None => group = group.element(whole()),
            Some(excerpt) => {
                let mut snippet = Snippet::source(excerpt.text.as_str())
                    .line_start(self.place.line as usize)
                    .annotation(AnnotationKind::Primary.span(excerpt.covered.clone()));
                if excerpt.cropped {
                    // The renderer would count columns from the cut, so they are told beforehand.
                    let (line, column) = (self.place.line as usize, self.place.column as usize);
                    group = group.element(whole().line(line).char_column(column));
                } else {
                    snippet = snippet.path(path.as_ref());
                }
                group = group.element(snippet);
            }
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.with_name("hint").message(clean_lines(hint)));
        }
        if let Some(place) = &self.related {
            group = group
                .element(Level::NOTE.message(format!("the other place is {}", clean(&place.to_string()))));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

/// More problems than this are counted, not kept: nobody reads them, and a hostile file could make millions.
pub const MOST_PROBLEMS: usize = 200;

/// All that is wrong with a configuration. Not empty when it is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// The problems, in the order of files and lines, at most [`MOST_PROBLEMS`].
    pub list: Vec<Problem>,
    /// How many more there are.
    pub omitted: usize,
    /// Whether there is nothing wrong with the configuration that is known: where it is could not be reached.
    pub unreached: bool,
}

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        if self.list.len() < MOST_PROBLEMS {
            self.list.push(problem);
        } else {
            self.omitted += 1;
        }
    }

    /// Puts `others` after these.
    pub(super) fn append(&mut self, others: Self) {
        let Self { list, omitted, unreached } = others;
        self.unreached |= unreached;
        list.into_iter().for_each(|problem| self.push(problem));
        self.omitted += omitted;
    }

    /// Whether further problems are only counted, so that their texts need not be made.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MOST_PROBLEMS
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.list.len() + self.omitted
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All problems for people, a blank line between two.
    pub fn render_text(&self, color: bool) -> String {
        let mut texts: Vec<String> = self.list.iter().map(|problem| problem.render_text(color)).collect();
        if self.omitted > 0 {
            texts.push(format!("and {} more", self.omitted));
        }
        texts.join("\n\n")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render_text(false))
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { list: vec![problem], ..Self::default() }
    }
}
