//! Durations and sizes as flags, variables, events and the configuration write them.

use std::time::Duration;

use rust_decimal::Decimal;

use super::parse::TextError;

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The durations that a setting accepts, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct DurationRange {
    /// The shortest.
    pub min: u64,
    /// The longest.
    pub max: u64,
    /// The unit of the setting: every duration is a multiple of it. At least 1.
    pub step: u64,
}

impl DurationRange {
    /// Every duration.
    pub const ALL: Self = Self { min: 0, max: u64::MAX, step: 1 };
    /// Every duration above zero.
    pub const POSITIVE: Self = Self { min: 1, ..Self::ALL };

    /// Parses a whole number and one unit, such as `75ms`, `90s`, `5m`, `2h` or `7d`.
    ///
    /// # Errors
    /// The text has another form, or the duration is not in the range.
    pub fn parse(self, text: &str) -> Result<Duration, TextError> {
        const FORM: &str = "write a whole number and a unit, such as `75ms`, `90s`, `5m`, `2h` or `7d`";
        let malformed = || TextError::expected("a duration", text).hint(FORM);
        let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
        if unit.is_empty() && !number.is_empty() {
            let unit = DURATION_UNITS.iter().rev().find(|(_, ms)| self.step.is_multiple_of(*ms));
            let hint = match unit {
                Some((unit, _)) if self.max < u64::MAX => format!("write `{number}{unit}`"),
                _ => FORM.to_owned(),
            };
            return Err(TextError::expected("a duration with a unit", text).hint(hint));
        }
        let unit = DURATION_UNITS.iter().find(|(name, _)| *name == unit.trim_start());
        let (_, unit_ms) = unit.ok_or_else(malformed)?;
        let number: u64 = number.parse().map_err(|_| malformed())?;
        let ms = number.saturating_mul(*unit_ms);
        if ms == u64::MAX || !(self.min..=self.max).contains(&ms) {
            let range = match (self.min, self.max) {
                (1, u64::MAX) if ms == 0 => "a duration above zero".to_owned(),
                (min, u64::MAX) if ms < min => format!("a duration of at least {}", format_ms(min)),
                (_, u64::MAX) => "a shorter duration".to_owned(),
                (min, max) => format!("a duration from {} to {}", format_ms(min), format_ms(max)),
            };
            return Err(TextError::expected(&range, text));
        }
        if !ms.is_multiple_of(self.step) {
            let expected = match self.step {
                step if step.is_multiple_of(86_400_000) => "whole days",
                step if step.is_multiple_of(60_000) => "whole minutes",
                _ => "whole seconds",
            };
            let below = ms - ms % self.step;
            let hint = match below {
                0 => format!("write `{}`", format_ms(self.step)),
                _ => format!(
                    "write `{}` or `{}`",
                    format_ms(below),
                    format_ms(below.saturating_add(self.step))
                ),
            };
            return Err(TextError::expected(expected, text).hint(hint));
        }
        Ok(Duration::from_millis(ms))
    }
}

/// Formats milliseconds in the largest unit that leaves no rest.
fn format_ms(ms: u64) -> String {
    let fits = |unit: &&(&str, u64)| ms > 0 && ms.is_multiple_of(unit.1);
    match DURATION_UNITS.iter().rev().find(fits) {
        Some((unit, length)) => format!("{}{unit}", ms / length),
        None => "0s".to_owned(),
    }
}

const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Parses a size with a decimal unit (`MB` is 10^6 bytes) or a binary one (`MiB` is 2^20 bytes); returns bytes.
///
/// # Errors
/// The text has another form, or the size is not a whole number of bytes.
pub fn parse_size(text: &str) -> Result<u64, TextError> {
    const FORM: &str = "write a number and a unit: `220MB` (10^6 bytes) or `210MiB` (2^20 bytes)";
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    if unit.is_empty() && !number.is_empty() {
        return Err(TextError::expected("a size with a unit", text).hint(FORM));
    }
    let malformed = || TextError::expected("a size", text);
    let Some((_, length)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(match SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
            Some((name, _)) => malformed().hint(format!("write `{number}{name}`")),
            None => malformed().hint(FORM),
        });
    };
    let number = Decimal::from_str_exact(number).map_err(|_| malformed().hint(FORM))?;
    let bytes = number.checked_mul(Decimal::from(*length)).filter(Decimal::is_integer);
    bytes
        .and_then(|bytes| u64::try_from(bytes).ok())
        .ok_or_else(|| TextError::expected("a whole number of bytes", text).hint(FORM))
}

/// Parses the memory of a function, 128 MB to 10,240 MB; returns Lambda's MB, which are 2^20 bytes each.
///
/// # Errors
/// The text has another form, or the memory is not in the range.
pub fn parse_memory(text: &str) -> Result<u32, TextError> {
    let number = text.strip_suffix("MB").or_else(|| text.strip_suffix("MiB")).map(str::trim_end);
    match number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit())).map(str::parse) {
        Some(Ok(mb)) if (128..=10_240).contains(&mb) => Ok(mb),
        _ if text.parse::<u32>().is_ok() => {
            Err(TextError::expected("a memory size with a unit", text).hint(format!("write `{text}MB`")))
        }
        _ => Err(TextError::expected("a memory size from 128MB to 10240MB", text)
            .hint("write the memory in Lambda's MB, such as `1024MB`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_take_one_unit_and_a_whole_number() {
        let ms = |text| DurationRange::ALL.parse(text).map(|duration| duration.as_millis());
        for (text, expected) in
            [("75ms", 75), ("90s", 90_000), ("5m", 300_000), ("5 m", 300_000), ("7d", 604_800_000)]
        {
            assert_eq!(ms(text), Ok(expected));
        }
        for bad in ["", "5", "m", "-5m", "+5m", "1.5h", "1h30m", "5w", "99999999999999999999d"] {
            assert!(ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn errors_of_durations_name_the_expected_form() {
        let error = |range: DurationRange, text| range.parse(text).unwrap_err().into_line();
        let minutes = DurationRange { min: 60_000, max: 86_400_000, step: 60_000 };
        insta::assert_snapshot!(error(DurationRange::ALL, "5 apples"), @r#"expected a duration, found "5 apples"; write a whole number and a unit, such as `75ms`, `90s`, `5m`, `2h` or `7d`"#);
        insta::assert_snapshot!(error(DurationRange::ALL, "9999999999999999d"), @r#"expected a shorter duration, found "9999999999999999d""#);
        insta::assert_snapshot!(error(DurationRange::ALL, "5"), @r#"expected a duration with a unit, found "5"; write a whole number and a unit, such as `75ms`, `90s`, `5m`, `2h` or `7d`"#);
        insta::assert_snapshot!(error(DurationRange::POSITIVE, "0s"), @r#"expected a duration above zero, found "0s""#);
        insta::assert_snapshot!(error(minutes, "5"), @r#"expected a duration with a unit, found "5"; write `5m`"#);
        insta::assert_snapshot!(error(minutes, "2d"), @r#"expected a duration from 1m to 1d, found "2d""#);
        insta::assert_snapshot!(error(minutes, "90s"), @r#"expected whole minutes, found "90s"; write `1m` or `2m`"#);
    }

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        for (text, bytes) in [("63488GiB", 63_488 << 30), ("0B", 0), ("1.5 KB", 1_500)] {
            assert_eq!(parse_size(text), Ok(bytes));
        }
        let error = |text| parse_size(text).unwrap_err().into_line();
        insta::assert_snapshot!(error("220mb"), @r#"expected a size, found "220mb"; write `220MB`"#);
        insta::assert_snapshot!(error("220"), @r#"expected a size with a unit, found "220"; write a number and a unit: `220MB` (10^6 bytes) or `210MiB` (2^20 bytes)"#);
        insta::assert_snapshot!(error("1.5B"), @r#"expected a whole number of bytes, found "1.5B"; write a number and a unit: `220MB` (10^6 bytes) or `210MiB` (2^20 bytes)"#);
    }

    #[test]
    fn memory_is_in_lambdas_megabytes() {
        assert_eq!((parse_memory("1536MB"), parse_memory("512 MiB")), (Ok(1_536), Ok(512)));
        let error = |text| parse_memory(text).unwrap_err().into_line();
        insta::assert_snapshot!(error("1536"), @r#"expected a memory size with a unit, found "1536"; write `1536MB`"#);
        insta::assert_snapshot!(error("64MB"), @r#"expected a memory size from 128MB to 10240MB, found "64MB"; write the memory in Lambda's MB, such as `1024MB`"#);
    }
}
