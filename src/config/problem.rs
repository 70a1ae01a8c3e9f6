//! Errors and warnings about a configuration, as data and as text.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};

use super::source::{SourceText, Span};
use crate::domain::clean::{clean, clean_lines};

/// The severity of a [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration is rejected.
    Error,
    /// The configuration is accepted; part of it is probably a mistake.
    Warning,
}

impl Severity {
    /// Returns `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A position in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The file, as it was given.
    pub path: String,
    /// The line, from 1; 0 for the whole file.
    pub line: u32,
    /// The column in characters, from 1; 0 for the whole file.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.path),
            _ => write!(f, "{}:{}:{}", self.path, self.line, self.column),
        }
    }
}

/// An error or a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The severity.
    pub severity: Severity,
    /// The position of its first character.
    pub position: Position,
    /// The column after its last character, on the same line; 0 for the whole file.
    pub end_column: u32,
    /// The problem: one sentence, without a full stop.
    pub message: String,
    /// An instruction that solves it.
    pub hint: Option<String>,
    /// A related position, such as that of an earlier definition.
    pub related: Option<Position>,
    /// The source line, for [`Problem::render_text`].
    excerpt: Option<Excerpt>,
}

/// A source line, or the part around the problem when the line is very long.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    text: String,
    covered: Range<usize>,
    /// `text` begins after the beginning of the line.
    cropped: bool,
}

/// The bytes of the longest line that is shown whole.
const LONGEST_EXCERPT: usize = 1_000;
/// The bytes that are shown on either side of the problem in a longer line.
const EXCERPT_MARGIN: usize = 200;

impl Excerpt {
    fn of(line: &str, covered: Range<usize>) -> Self {
        if line.len() <= LONGEST_EXCERPT {
            return Self { text: line.to_owned(), covered, cropped: false };
        }
        let from = line.floor_char_boundary(covered.start.saturating_sub(EXCERPT_MARGIN));
        let end = covered.end.min(covered.start + EXCERPT_MARGIN);
        let to = line.floor_char_boundary(end + EXCERPT_MARGIN);
        let end = line.floor_char_boundary(end);
        let text = line.get(from..to).unwrap_or_default().to_owned();
        Self { text, covered: covered.start - from..end - from, cropped: true }
    }
}

impl Problem {
    /// Creates an error at `span` of `source`.
    pub(super) fn error(source: &SourceText<'_>, span: Span, message: impl Into<String>) -> Self {
        let located = source.locate(span);
        Self {
            severity: Severity::Error,
            position: Position { path: source.path.to_owned(), line: located.line, column: located.column },
            end_column: located.column.saturating_add(located.characters.max(1)),
            message: message.into(),
            hint: None,
            related: None,
            excerpt: Some(Excerpt::of(located.text, located.covered)),
        }
    }

    /// Creates an error about a whole file or directory.
    pub fn of_file(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            position: Position { path: path.into(), line: 0, column: 0 },
            end_column: 0,
            message: message.into(),
            hint: None,
            related: None,
            excerpt: None,
        }
    }

    /// Creates an empty problem, to be counted by a full [`Problems`]. The position and the message of a real one take
    /// time, and a file may have a million errors.
    pub(super) fn placeholder() -> Self {
        Self::of_file("", "")
    }

    /// Changes the severity to a warning.
    #[must_use]
    pub(super) fn into_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Adds a hint.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a hint, if any.
    #[must_use]
    pub(super) fn maybe_hint(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// Adds a related position.
    #[must_use]
    pub(super) fn related(mut self, position: Position) -> Self {
        self.related = Some(position);
        self
    }

    /// Renders the problem as text: the message, `--> path:line:column`, the source line with carets, and the hint.
    /// `color` adds ANSI colours. The text has no line end at its end.
    pub fn render_text(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let (path, message) = (clean(&self.position.path), clean_lines(&self.message));
        let whole = || Origin::path(path.as_ref());
        let mut group = level.primary_title(message.as_ref()).elements(None::<Element<'_>>);
        match &self.excerpt {
            None => group = group.element(whole()),
            Some(excerpt) => {
                let mut snippet = Snippet::source(excerpt.text.as_str())
                    .line_start(self.position.line as usize)
                    .annotation(AnnotationKind::Primary.span(excerpt.covered.clone()));
                if excerpt.cropped {
                    // The renderer would count columns from the cut.
                    let (line, column) = (self.position.line as usize, self.position.column as usize);
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
        if let Some(position) = &self.related {
            group = group.element(Level::NOTE.message(format!("see also {}", clean(&position.to_string()))));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

/// The maximum number of problems that are kept; further ones are only counted. A hostile file could have millions.
pub const MOST_PROBLEMS: usize = 200;

/// The problems of a configuration. Not empty when it is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// The problems, in the order of files and lines, at most [`MOST_PROBLEMS`].
    pub list: Vec<Problem>,
    /// The number of further problems.
    pub omitted: usize,
    /// The configuration's location could not be reached, so nothing is known about the configuration itself.
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

    /// Appends `others`.
    pub fn append(&mut self, others: Self) {
        let Self { list, omitted, unreached } = others;
        self.unreached |= unreached;
        list.into_iter().for_each(|problem| self.push(problem));
        self.omitted += omitted;
    }

    /// Returns `true` when further problems are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MOST_PROBLEMS
    }

    /// Returns the number of problems, further ones included.
    pub(super) fn count(&self) -> usize {
        self.list.len() + self.omitted
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Renders all problems as text, with a blank line between two.
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
