//! Formatting of numbers, durations and text for users.

use std::time::Duration;

use rust_decimal::{Decimal, RoundingStrategy};

/// Formats US dollars with six decimals, which the cost of a tick requires, and with two from $100 on.
pub fn money(amount: Decimal) -> String {
    let smallest = Decimal::new(1, 6);
    if amount > Decimal::ZERO && amount < smallest {
        return format!("<${smallest}");
    }
    let decimals = if amount >= Decimal::ONE_HUNDRED { 2 } else { 6 };
    let rounded = amount.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero);
    format!("${rounded:.0$}", decimals as usize)
}

/// Returns the 64-bit FNV-1a hash of a text. It is the same on every machine and in every version.
pub fn fnv1a(text: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Formats bytes in decimal units with three digits, such as `2.20 GB`.
pub fn bytes(count: u64) -> String {
    scaled(count, 1_000, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// Formats bytes in binary units with three digits, such as `2.05 GiB`. AWS bills data in these units.
pub fn binary_bytes(count: u64) -> String {
    scaled(count, 1_024, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

fn scaled(count: u64, base: u16, units: &[&str]) -> String {
    if count < u64::from(base) {
        return format!("{count} B");
    }
    let mut value = count as f64;
    let mut unit = "B";
    for larger in units.iter().skip(1) {
        // A rounded value never reaches the base.
        if unit != "B" && value < f64::from(base) - 0.5 {
            break;
        }
        value /= f64::from(base);
        unit = larger;
    }
    format!("{} {unit}", three_digits(value))
}

/// Formats milliseconds with one decimal below 10, and as seconds from 10,000 on, such as `3.1 ms`, `25 ms`, `12.0 s`.
pub fn millis(ms: f64) -> String {
    if ms >= 9_999.5 {
        format!("{:.1} s", ms / 1_000.0)
    } else if ms >= 9.95 || ms.fract() == 0.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{ms:.1} ms")
    }
}

/// Formats a duration in its two largest units, such as `7d`, `1h 30m`, `1m 30s`, `250ms`.
pub fn elapsed(duration: Duration) -> String {
    const UNITS: [(u128, &str); 5] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let mut left = duration.as_millis();
    let mut parts = Vec::with_capacity(2);
    for (size, unit) in UNITS {
        let count = left / size;
        left %= size;
        if count > 0 && parts.len() < 2 {
            parts.push(format!("{count}{unit}"));
        } else if !parts.is_empty() {
            break;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// Formats a number with a noun, such as `1 ping` or `12,000 pings`.
pub fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Formats a number with groups of three digits, such as `12,000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Shortens `text` to `width` characters in the middle, because names differ at their ends.
pub fn shortened(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let head: String = text.chars().take(kept - kept / 2).collect();
    let tail: String = text.chars().skip(length - kept / 2).collect();
    format!("{head}…{tail}")
}

/// Wraps `text` at spaces into lines of at most `width` visible columns. The lines after the first are indented by two.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if visible(line) + 1 + visible(word) <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("  {word}"));
        }
    }
    lines
}

/// Counts the characters without ANSI sequences.
fn visible(text: &str) -> usize {
    let mut columns = 0;
    let mut escaped = false;
    for character in text.chars() {
        match character {
            '\x1b' => escaped = true,
            'm' if escaped => escaped = false,
            _ if escaped => {}
            _ => columns += 1,
        }
    }
    columns
}

fn three_digits(value: f64) -> String {
    if value >= 99.95 {
        format!("{value:.0}")
    } else if value >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_precision_for_ticks() {
        let shown: Vec<_> = ["0", "0.0000002", "0.0000104", "0.1024999", "12.5", "99.9999999", "1234.567"]
            .map(|amount| money(amount.parse().unwrap()))
            .to_vec();
        assert_eq!(
            shown,
            ["$0.000000", "<$0.000001", "$0.000010", "$0.102500", "$12.500000", "$100.000000", "$1234.57"]
        );
    }

    #[test]
    fn bytes_have_three_digits() {
        let shown =
            [0, 999, 1_000, 999_499, 999_500, 220_000_000, 2_200_000_000, 1_892_000_000_000, u64::MAX]
                .map(bytes);
        assert_eq!(
            shown,
            ["0 B", "999 B", "1.00 kB", "999 kB", "1.00 MB", "220 MB", "2.20 GB", "1.89 TB", "18.4 EB"]
        );
        let shown = [1_023, 1_024, (1 << 20) - 1, 11_000_000_000, 1 << 40, u64::MAX].map(binary_bytes);
        assert_eq!(shown, ["1023 B", "1.00 KiB", "1.00 MiB", "10.2 GiB", "1.00 TiB", "16.0 EiB"]);
    }

    #[test]
    fn formats_times_and_counts() {
        assert_eq!(
            [0.04, 3.12, 9.96, 25.0, 9_999.4, 12_000.0].map(millis),
            ["0.0 ms", "3.1 ms", "10 ms", "25 ms", "9999 ms", "12.0 s"]
        );
        let of = |ms| elapsed(Duration::from_millis(ms));
        assert_eq!(
            [0, 250, 90_000, 5_400_000, 604_800_000, 86_461_000].map(of),
            ["0s", "250ms", "1m 30s", "1h 30m", "7d", "1d"]
        );
        assert_eq!(
            [1, 2, 12_000, 1_234_567].map(|n| count(n, "ping")),
            ["1 ping", "2 pings", "12,000 pings", "1,234,567 pings"]
        );
        assert_eq!(shortened("arn:aws:lambda:eu-west-2:1:function:nlp", 11), "arn:a…n:nlp");
        assert_eq!(shortened("nlp", 3), "nlp");
        assert_eq!(shortened("inference", 1), "…");
    }

    #[test]
    fn wraps_at_spaces_and_ignores_colour() {
        assert_eq!(wrapped("one two three", 7), ["one two", "  three"]);
        assert_eq!(wrapped("\x1b[32mone\x1b[0m two three", 7), ["\x1b[32mone\x1b[0m two", "  three"]);
        assert_eq!(wrapped("unbreakable", 3), ["unbreakable"]);
    }
}
