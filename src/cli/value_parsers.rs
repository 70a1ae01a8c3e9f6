//! What flags take beyond plain text, each with a message that says what was expected.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::builder::PossibleValuesParser;
use rust_decimal::Decimal;

use crate::config;
pub use crate::config::{Regions, duration, region, regions};
use crate::domain::calendar::text::{TextError, parse_zone};
use crate::domain::cost::{BadRoute, Item, Route};
use crate::domain::events;
use crate::domain::fleet::{Architecture, Hold};
use crate::domain::function::FunctionRef;
use crate::domain::protocol::Protocol;
pub use crate::lambda::log_filter;

/// An instant in RFC 3339, such as `2026-11-20T09:00:00Z`.
///
/// # Errors
/// The expected form.
pub fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).map_err(|error| {
        format!("{error}; expected RFC 3339, such as 2026-11-20T09:00:00Z or 2026-11-20T10:00:00+01:00")
    })
}

/// A duration as [`duration`] takes it, above zero.
///
/// # Errors
/// What is wrong with it.
pub fn some_time(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time.is_zero() { Err("expected more than 0".to_owned()) } else { Ok(time) }
}

/// The time that a stopping process leaves to what is in flight: 1 s to 15 minutes.
///
/// # Errors
/// The expected form.
pub fn grace(text: &str) -> Result<Duration, String> {
    let grace = duration(text)?;
    if (Duration::from_secs(1)..=Duration::from_secs(900)).contains(&grace) {
        Ok(grace)
    } else {
        Err("expected 1s to 15m".to_owned())
    }
}

/// A hold: `auto`, or a duration of at most 900 s, the longest that Lambda lets an invocation run.
///
/// # Errors
/// The expected form.
pub fn hold(text: &str) -> Result<Hold, String> {
    if text == "auto" {
        return Ok(Hold::Auto);
    }
    let hold = duration(text).map_err(|expected| format!("{expected}, or `auto`"))?;
    if hold > Duration::from_secs(900) {
        return Err("a hold above 900s outlives Lambda's longest timeout".to_owned());
    }
    Ok(Hold::Fixed(hold))
}

/// A function: `name[:qualifier]` or an ARN.
///
/// # Errors
/// Which part is wrong.
pub fn function(text: &str) -> Result<FunctionRef, String> {
    FunctionRef::parse(text).map_err(|error| error.to_string())
}

/// A reason, for people: not blank, and as events may have it.
///
/// # Errors
/// The expected form.
pub fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it is for whoever finds the fleet cold: say why, such as 'change freeze'".to_owned()),
        reason => events::reason(reason),
    }
}

/// The names of the protocols.
pub fn protocols() -> PossibleValuesParser {
    PossibleValuesParser::new(Protocol::NAMES.iter().copied().chain(["custom"]))
}

/// A schedule of the `cron` crate, seconds first.
///
/// # Errors
/// What is wrong with it.
pub fn cron(text: &str) -> Result<cron::Schedule, String> {
    let expected = "expected six fields, seconds first, in UTC: \"0 * * * * *\" is every minute";
    cron::Schedule::from_str(text).map_err(|error| {
        let fields = text.split_whitespace().count();
        if fields < 6 {
            return format!("found {fields} {}; {expected}", if fields == 1 { "field" } else { "fields" });
        }
        // The parser draws the text with a caret, and gives its reason, if any, in the last line.
        match error.to_string().lines().last().map(str::trim) {
            Some(reason) if !reason.is_empty() && !reason.contains('^') => format!("{reason} {expected}"),
            _ => expected.to_owned(),
        }
    })
}

/// A zone of the embedded IANA database.
///
/// # Errors
/// Which name is unknown, and what was probably meant.
pub fn zone(text: &str) -> Result<chrono_tz::Tz, String> {
    parse_zone(text).map_err(|error| match &error.hint {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    })
}

/// An instruction set: `x86_64` or `arm64`.
///
/// # Errors
/// The expected form.
pub fn architecture(text: &str) -> Result<Architecture, String> {
    [Architecture::X86_64, Architecture::Arm64]
        .into_iter()
        .find(|architecture| architecture.as_str() == text)
        .ok_or_else(|| "expected x86_64 or arm64".to_owned())
}

/// A function's memory, as the configuration writes it: `1024MB`.
///
/// # Errors
/// The expected form.
pub fn memory(text: &str) -> Result<u32, String> {
    config::parse_memory(text).map_err(told)
}

/// Ephemeral storage in the same form, 512 MB to 10,240 MB.
///
/// # Errors
/// The expected form.
pub fn ephemeral(text: &str) -> Result<u32, String> {
    match config::parse_memory(text) {
        Ok(mb @ 512..) => Ok(mb),
        _ => Err("ephemeral storage is 512MB to 10240MB".to_owned()),
    }
}

/// A size, as the configuration writes it: `220MB` or `210MiB`.
///
/// # Errors
/// The expected form.
pub fn size(text: &str) -> Result<u64, String> {
    config::parse_size(text).map_err(told)
}

fn told(error: TextError) -> String {
    match &error.hint {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

/// The way of bytes from S3; `inter-region` with the bucket's region after a colon.
///
/// # Errors
/// The expected form.
pub fn route(text: &str) -> Result<Route, String> {
    Route::parse(text).map_err(|error| match &error {
        BadRoute::Unknown { nearest: Some(nearest), .. } => format!("{error}; did you mean `{nearest}`?"),
        BadRoute::Unknown { nearest: None, .. } => {
            format!(
                "{error}; expected one of {}",
                Route::NAMES.join(", ").replace("inter-region", "inter-region:REGION")
            )
        }
        BadRoute::NoRegion | BadRoute::Region(_) => error.to_string(),
    })
}

/// An EC2 instance type, such as `m7g.xlarge`.
///
/// # Errors
/// The expected form.
pub fn instance(text: &str) -> Result<String, String> {
    match Item::parse(&format!("ec2.{text}")) {
        Some(Item::Instance(name)) => Ok(name),
        _ => Err("expected an instance type such as m7g.xlarge".to_owned()),
    }
}

/// An exact number from 0 to 10^12.
///
/// # Errors
/// The expected form.
pub fn amount(text: &str) -> Result<Decimal, String> {
    let fits = |number: &Decimal| (Decimal::ZERO..=Decimal::from(1_000_000_000_000_u64)).contains(number);
    let number = Decimal::from_str_exact(text).ok().filter(fits);
    number.ok_or_else(|| "expected a number from 0 on, in plain digits such as 2000 or 0.0457".to_owned())
}

/// A JSON text.
///
/// # Errors
/// Where it is malformed.
pub fn json(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::Targets;

    use super::*;
    use crate::domain::function::Region;

    #[test]
    fn durations_take_one_unit_and_a_whole_number() {
        assert_eq!(duration("75ms"), Ok(Duration::from_millis(75)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for bad in ["", "5", "m", "-5m", "1.5h", "5 m", "5w", "99999999999999999999d", "9999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hold_is_auto_or_no_longer_than_an_invocation() {
        assert_eq!(hold("auto"), Ok(Hold::Auto));
        assert_eq!(hold("75ms"), Ok(Hold::Fixed(Duration::from_millis(75))));
        assert!(hold("901s").is_err());
        assert!(hold("Auto").unwrap_err().contains("`auto`"));
    }

    #[test]
    fn a_cron_expression_that_is_none_is_told_in_one_line() {
        insta::assert_snapshot!(cron("* * * * *").unwrap_err(), @r#"found 5 fields; expected six fields, seconds first, in UTC: "0 * * * * *" is every minute"#);
        insta::assert_snapshot!(cron("hourly").unwrap_err(), @r#"found 1 field; expected six fields, seconds first, in UTC: "0 * * * * *" is every minute"#);
        insta::assert_snapshot!(cron("0 61 * * * *").unwrap_err(), @r#"Minutes must be less than 59. ('61' specified.) expected six fields, seconds first, in UTC: "0 * * * * *" is every minute"#);
        assert!(cron("0 */5 8-17 * * Mon-Fri").is_ok());
    }

    #[test]
    fn sizes_are_those_of_the_configuration() {
        assert_eq!(size("63488GiB"), Ok(63_488 << 30));
        assert_eq!(size("0B"), Ok(0));
        assert_eq!(memory("1536MB"), Ok(1_536));
        assert_eq!(ephemeral("2048MB"), Ok(2_048));
        assert!(ephemeral("256MB").is_err());
        insta::assert_snapshot!(size("220mb").unwrap_err(), @"`220mb` is not a size; write `220MB`");
        insta::assert_snapshot!(memory("1536").unwrap_err(), @"`1536` has no unit; write `1536MB`");
        insta::assert_snapshot!(route("inter-region").unwrap_err(), @"`inter-region` needs the bucket's region, as in `inter-region:us-east-1`");
        insta::assert_snapshot!(route("nat").unwrap_err(), @"unknown route `nat`; expected one of same-region, nat-gateway, interface-endpoint, inter-region:REGION, internet");
        assert!(amount("-1").is_err() && amount("1e9").is_err() && amount("0.0457").is_ok());
        assert!(instance("m7g").is_err());
    }

    #[test]
    fn messages_say_what_was_expected() {
        insta::assert_snapshot!(instant("yesterday").unwrap_err(), @"premature end of input; expected RFC 3339, such as 2026-11-20T09:00:00Z or 2026-11-20T10:00:00+01:00");
        insta::assert_snapshot!(region("eu-wset-2").unwrap_err(), @"unknown region `eu-wset-2`; did you mean `eu-west-2`?");
        insta::assert_snapshot!(region("london").unwrap_err(), @"unknown region `london`; expected a name such as eu-west-2");
        assert_eq!(regions(" all "), Ok(Regions::All));
        assert_eq!(regions(""), Ok(Regions::All));
        let two = ["eu-west-1", "us-east-1"].map(|name| Region::parse(name).unwrap());
        assert_eq!(regions("eu-west-1, us-east-1,"), Ok(Regions::Only(two.to_vec())));
        assert!(regions("eu-west-1,all").is_err());
        assert!(cron("* * * * *").unwrap_err().contains("seconds first"));
        assert!(json("{").unwrap_err().contains("line 1 column 1"));
        assert!(log_filter("warmd=loud").is_err());
    }

    #[test]
    fn a_log_filter_is_what_it_looks_like() {
        let shown = |text: &str| log_filter(text).map(|filter| filter.to_string());
        for same in ["info", " info", "info,", ",info ,,"] {
            assert_eq!(shown(same), Ok("info".to_owned()), "{same}");
        }
        assert_eq!(log_filter("warn, warmd=debug"), log_filter("warn,warmd=debug"));
        insta::assert_snapshot!(shown("warn,warmd[tick]=debug").unwrap_err(), @"`warmd[tick]=debug` is no directive; expected error, warn, info, debug, trace, or directives such as info,warmd=debug");
        for none in ["", " , "] {
            assert_eq!(log_filter(none), Ok(Targets::new()));
        }
        for wrong in ["warmd = debug", "info warn"] {
            assert!(shown(wrong).unwrap_err().contains("expected error, warn"), "{wrong}");
        }
    }
}
