//! What people see. Pure: data in, text out; `cli` prints it.

pub mod check;
pub mod compare;
pub mod cost;
pub mod diff;
pub mod dry_run;
pub mod explain;
mod heat;
pub mod live;
pub mod plan;
pub mod price;
mod table;
pub mod tick;
mod zoned;

// The renderers use it as `super::text`.
use crate::domain::text;

/// How wide what is shown on a terminal may be, columns: it fits a code block in a chat too. Prose is broken there
/// anywhere.
pub const WIDTH: usize = 100;

/// How text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// With ANSI colours. Without them nothing is lost: signs carry the same.
    pub color: bool,
    /// Whether it has to fit a terminal.
    pub fit: Fit,
}

/// How names and payloads that are too long for [`WIDTH`] are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fit {
    /// In full: a file or a pipe has no width, and a name that was cut finds nothing.
    #[default]
    Whole,
    /// Shortened.
    Terminal,
}

/// A colour with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Warning,
    Bad,
    Quiet,
}

impl Style {
    /// `text` in the colour of `tone`.
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
