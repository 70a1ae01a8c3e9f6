//! Conversion of results to text for people. Pure; the commands print it.

pub mod budget;
pub mod burst;
pub mod burst_yaml;
pub mod canary;
pub mod capacity;
pub mod chain;
pub mod check;
pub mod compare;
pub mod cost;
pub mod diff;
pub mod dry_run;
pub mod explain;
pub mod guards;
mod heat;
pub mod history;
pub mod live;
pub mod plan;
pub mod price;
pub mod probe;
pub mod report;
mod table;
pub mod tick;
mod windows;
mod zoned;

// The renderers use it as `super::text`.
use crate::domain::text;

/// The width of text in columns, and of tables on a terminal of unknown width. It also fits a code block in a chat.
pub const WIDTH: usize = 100;
/// The minimum width of a layout, in columns.
const MIN_WIDTH: usize = 60;

/// Style of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Use ANSI colours. Signs carry the same information without them.
    pub color: bool,
    /// Handling of long names.
    pub fit: Fit,
}

/// Handling of names and payloads that are too long for a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fit {
    /// In full, for files and pipes: programs may search for the name.
    #[default]
    Whole,
    /// Shortened to the width of a terminal in columns, at least [`MIN_WIDTH`].
    Terminal(usize),
}

impl Fit {
    /// Returns the handling on a terminal with so many columns; 0 or `None` if they are unknown.
    pub fn terminal(columns: Option<usize>) -> Self {
        let known = columns.filter(|columns| *columns > 0);
        Self::Terminal(known.map_or(WIDTH, |columns| columns.max(MIN_WIDTH)))
    }
}

/// The meaning of a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Warning,
    Bad,
    Quiet,
}

impl Style {
    /// Returns the width of text in columns, at most [`WIDTH`].
    pub(crate) fn width(self) -> usize {
        match self.fit {
            Fit::Whole => WIDTH,
            Fit::Terminal(columns) => columns.min(WIDTH),
        }
    }

    /// Returns `text` in the colour of `tone`.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "1;31",
            Tone::Quiet => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
