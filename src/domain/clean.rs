//! Escaping of untrusted text for terminals, text logs and Markdown.
//!
//! Owners, reasons, names, messages of functions and services, file names and state documents are untrusted. JSON
//! output needs no escaping here, because its encoder escapes.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes a line of untrusted text.
///
/// Control characters, line ends, bidirectional controls and invisible characters become Rust escapes (`\n`,
/// `\u{202e}`). Workflow commands of GitHub Actions are disabled. Other text is returned unchanged.
pub fn clean(text: &str) -> Cow<'_, str> {
    let text = escaped(text, is_hidden);
    // A runner interprets `::name::` at the beginning of a line, after white space, and `##[name]` anywhere in it.
    let text = match text.trim_start().strip_prefix("::") {
        Some(rest) => Cow::Owned(format!("\\u{{3a}}:{rest}")),
        None => text,
    };
    match text.contains("##[") {
        true => Cow::Owned(text.replace("##[", "#\\u{23}[")),
        false => text,
    }
}

/// Applies [`clean`] to every line of a text that may have several lines.
pub fn clean_lines(text: &str) -> Cow<'_, str> {
    if !text.contains('\n') {
        return clean(text);
    }
    Cow::Owned(text.split('\n').map(clean).collect::<Vec<_>>().join("\n"))
}

/// Escapes a complete output that may contain untrusted text. Line feeds and colours (`ESC [ … m`) are kept, other
/// characters that [`clean`] escapes are not.
///
/// This is a second safeguard. Untrusted line feeds must be escaped by [`clean`] before.
pub fn clean_output(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| is_hidden(c) && c != '\n') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match color(rest) {
            0 => c.len_utf8(),
            length => length,
        };
        let (head, tail) = rest.split_at(length);
        if c == '\n' || length > c.len_utf8() {
            out.push_str(head);
        } else {
            out.push_str(&escaped(head, is_hidden));
        }
        rest = tail;
    }
    Cow::Owned(out)
}

/// Escapes a cell of a Markdown table. Letters, digits, spaces and hyphens are kept. Text with other ASCII characters
/// becomes inline code with numeric references for them, so it cannot contain links, images, mentions, HTML or cells.
///
/// The code is inline HTML, because a backslash or a bar in backticks would end the cell.
pub fn markdown(text: &str) -> String {
    let text = clean(text);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '-' || !c.is_ascii();
    if text.chars().all(is_plain) {
        return text.into_owned();
    }
    let mut out = "<code>".to_owned();
    for c in text.chars() {
        match is_plain(c) {
            true => out.push(c),
            false => _ = write!(out, "&#{};", u32::from(c)),
        }
    }
    out.push_str("</code>");
    out
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_escaped(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Returns true if a character changes how the text around it is shown, or is not shown itself.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Soft hyphen, Arabic letter mark, Mongolian vowel separator.
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            // Zero-width space, direction marks. The joiners in between occur in words and emoji.
            | '\u{200b}' | '\u{200e}' | '\u{200f}'
            // Line and paragraph separators, embeddings and overrides.
            | '\u{2028}'..='\u{202e}'
            // Word joiner, invisible operators, isolates, deprecated format characters.
            | '\u{2060}'..='\u{206f}'
            // Byte-order mark, interlinear annotations, tags.
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns the length of the colour sequence at the beginning of `text`, or 0.
fn color(text: &str) -> usize {
    let Some(rest) = text.strip_prefix("\x1b[") else { return 0 };
    let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
    match rest.as_bytes().get(digits) {
        Some(b'm') => "\x1b[".len() + digits + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_text_is_unchanged() {
        for text in ["", "search", "équipe 日本 👩‍💻", "a: b::c #1 [x](y) @z", "C:\\x", "می‌خواهم"]
        {
            assert!(matches!(clean(text), Cow::Borrowed(same) if same == text), "{text}");
            assert_eq!(clean_output(text), text);
        }
    }

    #[test]
    fn special_characters_are_escaped() {
        let cases = [
            ("\x1b[2J\x1b]0;x\x07", "\\u{1b}[2J\\u{1b}]0;x\\u{7}"),
            ("a\nb\r\nc\td", "a\\nb\\r\\nc\\td"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("a\u{202e}b\u{2066}c\u{200f}d", "a\\u{202e}b\\u{2066}c\\u{200f}d"),
            ("a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f", "a\\u{2028}b\\u{2029}c\\u{85}d\\u{b}e\\u{c}f"),
            ("\u{feff}a\u{200b}b\u{e0041}", "\\u{feff}a\\u{200b}b\\u{e0041}"),
            ("  ::add-mask::x", "\\u{3a}:add-mask::x"),
            ("x ##[error]y", "x #\\u{23}[error]y"),
        ];
        for (text, shown) in cases {
            assert_eq!(clean(text), shown);
        }
        assert_eq!(clean_lines("a\u{202e}\n::b\n"), "a\\u{202e}\n\\u{3a}:b\n");
    }

    #[test]
    fn output_keeps_lines_and_colours_only() {
        assert_eq!(
            clean_output("\x1b[1;31m✗\x1b[0m a\r\x1b[2J\u{202e}\n\x1b"),
            "\x1b[1;31m✗\x1b[0m a\\r\\u{1b}[2J\\u{202e}\n\\u{1b}"
        );
    }

    #[test]
    fn markdown_cell_is_plain_text() {
        assert_eq!(markdown("team-a 1"), "team-a 1");
        assert_eq!(
            markdown("![x](https://e.com) @all|`"),
            "<code>&#33;&#91;x&#93;&#40;https&#58;&#47;&#47;e&#46;com&#41; &#64;all&#124;&#96;</code>"
        );
        assert_eq!(markdown("</code>\\|\n"), "<code>&#60;&#47;code&#62;&#92;&#124;&#92;n</code>");
    }

    proptest! {
        #[test]
        fn any_text_is_escaped(text in any::<String>()) {
            let shown = clean(&text);
            prop_assert!(!shown.chars().any(is_hidden));
            prop_assert_eq!(clean(&shown), shown.as_ref());
            prop_assert!(!shown.trim_start().starts_with("::") && !shown.contains("##["));
            let output = clean_output(&text);
            prop_assert_eq!(output.matches('\n').count(), text.matches('\n').count());
            prop_assert_eq!(clean_output(&output), output.as_ref());
            let cell = markdown(&text);
            let inner = cell.trim_start_matches("<code>").trim_end_matches("</code>");
            prop_assert!(!inner.contains(['|', '<', '>', '[', ']', '(', ')', '@', '`', '*', '_', '\\', ':', '.']));
        }
    }
}
