//! Parsers of the values of flags and variables: the domain's parsers, with errors on one line.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

pub use crate::config::{Regions, duration, region, regions};
use crate::domain::burst::Rate;
use crate::domain::calendar::parse_zone;
use crate::domain::capacity::Owner;
use crate::domain::cost::{BadRoute, Item, Route};
use crate::domain::coverage::Slo;
use crate::domain::events;
use crate::domain::fleet::Hold;
use crate::domain::function::{Architecture, FunctionRef, Qualifier, Tenant};
use crate::domain::parse::{TextError, quoted};
use crate::domain::protocol::Protocol;
use crate::domain::quantity::{DurationRange, parse_memory, parse_size};
use crate::domain::text::count;
pub use crate::lambda::log_filter;

/// Parses the owner of alarms and capacity.
///
/// # Errors
/// Another text.
pub fn owner(text: &str) -> Result<Owner, String> {
    let expected = "1 to 64 letters, digits, -, _ and .";
    Owner::parse(text).ok_or_else(|| TextError::expected(expected, text).into_line())
}

/// Parses an instant in RFC 3339, such as `2026-11-20T09:00:00Z`.
///
/// # Errors
/// The text has another form.
pub fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let expected = |_| TextError::expected("RFC 3339 such as 2026-11-20T09:00:00Z", text).into_line();
    DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).map_err(expected)
}

/// Parses a duration above zero.
///
/// # Errors
/// The text has another form, or the duration is zero.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    DurationRange::POSITIVE.parse(text).map_err(TextError::into_line)
}

/// Parses whole seconds, at least `MIN` and at most a day.
///
/// # Errors
/// The text has another form, or the duration is not in the range.
pub fn whole_seconds<const MIN: u64>(text: &str) -> Result<Duration, String> {
    DurationRange { min: MIN * 1_000, max: 86_400_000, step: 1_000 }.parse(text).map_err(TextError::into_line)
}

/// Returns a parser of the names of values.
pub fn named<T: Copy + Send + Sync + 'static>(
    names: &'static [(T, &'static str)],
) -> impl TypedValueParser<Value = T> {
    let parser = PossibleValuesParser::new(names.iter().map(|(_, name)| *name));
    parser.try_map(move |text| {
        let found = names.iter().find(|(_, name)| *name == text);
        found.map(|(value, _)| *value).ok_or_else(|| format!("unknown name {}", quoted(&text)))
    })
}

/// Parses the grace period of a process that stops: 1 s to 15 minutes.
///
/// # Errors
/// The text has another form, or the duration is not in the range.
pub fn grace(text: &str) -> Result<Duration, String> {
    DurationRange { min: 1_000, max: 900_000, step: 1 }.parse(text).map_err(TextError::into_line)
}

/// Parses a hold: `auto`, or a duration of at most 15 minutes, Lambda's longest timeout.
///
/// # Errors
/// The text has another form, or the duration is too long.
pub fn hold(text: &str) -> Result<Hold, String> {
    if text == "auto" {
        return Ok(Hold::Auto);
    }
    let range = DurationRange { min: 0, max: 900_000, step: 1 };
    range.parse(text).map(Hold::Fixed).map_err(|error| format!("{}; or write `auto`", error.into_line()))
}

/// Parses a qualifier: an alias, a version number or `$LATEST`.
pub fn qualifier(text: &str) -> Result<Qualifier, String> {
    Qualifier::parse(text).map_err(|error| error.to_string())
}

/// Parses a function: `name[:qualifier]` or an ARN.
///
/// # Errors
/// The part that is wrong.
pub fn function(text: &str) -> Result<FunctionRef, String> {
    FunctionRef::parse(text).map_err(|error| error.to_string())
}

/// Parses the name of a pipeline: one line.
///
/// # Errors
/// The text is blank, too long, or has control characters.
pub fn pipeline(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("expected the name of a pipeline, found a blank text".to_owned()),
        name => events::reason(name),
    }
}

/// Parses the id of a tenant.
///
/// # Errors
/// The form of an id.
pub fn tenant(text: &str) -> Result<Tenant, String> {
    Tenant::parse(text).map_err(|error| error.to_string())
}

/// Parses a reason: not blank, and within the limits of events.
///
/// # Errors
/// The text is blank, too long, or has control characters.
pub fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("expected a reason, found a blank text; write one, such as 'change freeze'".to_owned()),
        reason => events::reason(reason),
    }
}

/// Returns a parser of the names of protocols.
pub fn protocols() -> PossibleValuesParser {
    PossibleValuesParser::new(Protocol::NAMES.iter().copied().chain(["custom"]))
}

/// Parses a schedule of the `cron` crate, seconds first.
///
/// # Errors
/// The number of fields, or the field that is wrong.
pub fn cron(text: &str) -> Result<cron::Schedule, String> {
    let expected = "expected six fields, seconds first, in UTC";
    let hint = "write `0 * * * * *` for every minute";
    cron::Schedule::from_str(text).map_err(|error| {
        let fields = text.split_whitespace().count();
        if fields < 6 {
            return format!("{expected}, found {}; {hint}", count(fields as u64, "field"));
        }
        // The error of the parser has several lines. The last is the reason, or a caret below the text.
        match error.to_string().lines().last().map(str::trim) {
            Some(reason) if !reason.is_empty() && !reason.contains('^') => format!("{expected}: {reason}"),
            _ => format!("{expected}; {hint}"),
        }
    })
}

/// Parses an address to listen at: an IP address and a port, or a port of loopback.
///
/// # Errors
/// The text has another form.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix("localhost:").or(text.strip_prefix(':')).unwrap_or(text);
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    port.parse().map(loopback).or_else(|_| text.parse()).map_err(|_| {
        TextError::expected("an IP address and a port such as 127.0.0.1:9464, or a port", text).into_line()
    })
}

/// Parses the name of a time zone of the embedded IANA database.
///
/// # Errors
/// The name is unknown; the message suggests the nearest one.
pub fn zone(text: &str) -> Result<chrono_tz::Tz, String> {
    parse_zone(text).map_err(TextError::into_line)
}

/// Parses an instruction set: `x86_64` or `arm64`.
///
/// # Errors
/// The text is neither.
pub fn architecture(text: &str) -> Result<Architecture, String> {
    [Architecture::X86_64, Architecture::Arm64]
        .into_iter()
        .find(|architecture| architecture.as_str() == text)
        .ok_or_else(|| TextError::expected("x86_64 or arm64", text).into_line())
}

/// Parses the memory of a function, such as `1024MB`; returns MB.
///
/// # Errors
/// The text has another form, or the memory is not in Lambda's range.
pub fn memory(text: &str) -> Result<u32, String> {
    parse_memory(text).map_err(TextError::into_line)
}

/// Parses ephemeral storage, 512 MB to 10,240 MB; returns MB.
///
/// # Errors
/// The text has another form, or the storage is not in Lambda's range.
pub fn ephemeral(text: &str) -> Result<u32, String> {
    parse_memory(text)
        .ok()
        .filter(|mb| *mb >= 512)
        .ok_or_else(|| TextError::expected("ephemeral storage from 512MB to 10240MB", text).into_line())
}

/// Parses a size, such as `220MB` or `210MiB`; returns bytes.
///
/// # Errors
/// The text has another form.
pub fn size(text: &str) -> Result<u64, String> {
    parse_size(text).map_err(TextError::into_line)
}

/// Parses the route of bytes from S3; `inter-region` takes the bucket's region after a colon.
///
/// # Errors
/// The route is unknown, or its region is missing or unknown.
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

/// Parses an EC2 instance type, such as `m7g.xlarge`.
///
/// # Errors
/// The text has another form.
pub fn instance(text: &str) -> Result<String, String> {
    match Item::parse(&format!("ec2.{text}")) {
        Some(Item::Instance(name)) => Ok(name),
        _ => Err(TextError::expected("an instance type such as m7g.xlarge", text).into_line()),
    }
}

/// Parses an exact number from 0 to 10^12.
///
/// # Errors
/// The text has another form, or the number is not in the range.
pub fn amount(text: &str) -> Result<Decimal, String> {
    let fits = |number: &Decimal| (Decimal::ZERO..=Decimal::from(1_000_000_000_000_u64)).contains(number);
    let number = Decimal::from_str_exact(text).ok().filter(fits);
    let expected = || TextError::expected("a number of 0 or more, such as 2000 or 0.0457", text).into_line();
    number.ok_or_else(expected)
}

/// Parses an objective for coverage in percent, such as `99`, `99.9` or `99.95%`, over the default days.
///
/// # Errors
/// The text has another form, or the percentage is not in the range.
pub fn objective(text: &str) -> Result<Slo, String> {
    let expected = "a percentage from 1 to below 100 with at most four decimals, such as 99.9";
    let number = text.strip_suffix('%').unwrap_or(text);
    let ppm = Decimal::from_str_exact(number).ok().and_then(|it| it.checked_mul(Decimal::from(10_000)));
    match ppm.filter(Decimal::is_integer).and_then(|ppm| ppm.to_u32()) {
        Some(coverage_ppm @ 10_000..1_000_000) => Ok(Slo { coverage_ppm, ..Slo::DEFAULT }),
        _ => Err(TextError::expected(expected, text).into_line()),
    }
}

/// Parses requests a second, such as `300` or `2.5`.
///
/// # Errors
/// The text has another form, or the rate is not in the range.
pub fn rate(text: &str) -> Result<Rate, String> {
    Rate::parse(text).map_err(TextError::into_line)
}

/// Parses the time in which a backlog is worked off, at most a day.
///
/// # Errors
/// The text has another form, or the duration is not in the range.
pub fn drain(text: &str) -> Result<Duration, String> {
    events::DRAIN.parse(text).map_err(TextError::into_line)
}

/// Parses JSON.
///
/// # Errors
/// The position of the error.
pub fn json(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).map_err(|error| format!("expected JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::Targets;

    use super::*;
    use crate::domain::function::Region;

    #[test]
    fn durations_have_their_limits() {
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        insta::assert_snapshot!(duration("5 apples").unwrap_err(), @r#"expected a duration, found "5 apples"; write a whole number and a unit, such as `75ms`, `90s`, `5m`, `2h` or `7d`"#);
        insta::assert_snapshot!(positive_duration("0s").unwrap_err(), @r#"expected a duration above zero, found "0s""#);
        insta::assert_snapshot!(grace("16m").unwrap_err(), @r#"expected a duration from 1s to 15m, found "16m""#);
    }

    #[test]
    fn a_hold_is_auto_or_no_longer_than_an_invocation() {
        assert_eq!(hold("auto"), Ok(Hold::Auto));
        assert_eq!(hold("75ms"), Ok(Hold::Fixed(Duration::from_millis(75))));
        insta::assert_snapshot!(hold("901s").unwrap_err(), @r#"expected a duration from 0s to 15m, found "901s"; or write `auto`"#);
        assert!(hold("Auto").unwrap_err().ends_with("; or write `auto`"));
    }

    #[test]
    fn a_port_alone_is_one_of_loopback() {
        for (text, address) in [
            ("9464", "127.0.0.1:9464"),
            (":0", "127.0.0.1:0"),
            ("localhost:80", "127.0.0.1:80"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::]:80", "[::]:80"),
        ] {
            assert_eq!(listen_address(text).map(|address| address.to_string()), Ok(address.to_owned()));
        }
        for wrong in ["", ":", "65536", "0.0.0.0", "::1", "warmd.example:80", "127.0.0.1:80:80"] {
            assert!(listen_address(wrong).is_err(), "{wrong}");
        }
        insta::assert_snapshot!(listen_address("*:9464").unwrap_err(), @r#"expected an IP address and a port such as 127.0.0.1:9464, or a port, found "*:9464""#);
    }

    #[test]
    fn errors_of_cron_expressions_are_one_line() {
        insta::assert_snapshot!(cron("* * * * *").unwrap_err(), @"expected six fields, seconds first, in UTC, found 5 fields; write `0 * * * * *` for every minute");
        insta::assert_snapshot!(cron("hourly").unwrap_err(), @"expected six fields, seconds first, in UTC, found 1 field; write `0 * * * * *` for every minute");
        insta::assert_snapshot!(cron("0 61 * * * *").unwrap_err(), @"expected six fields, seconds first, in UTC: Minutes must be less than 59. ('61' specified.)");
        assert!(cron("0 */5 8-17 * * Mon-Fri").is_ok());
    }

    #[test]
    fn sizes_are_those_of_the_configuration() {
        assert_eq!(size("63488GiB"), Ok(63_488 << 30));
        assert_eq!(size("0B"), Ok(0));
        assert_eq!(memory("1536MB"), Ok(1_536));
        assert_eq!(ephemeral("2048MB"), Ok(2_048));
        insta::assert_snapshot!(size("220mb").unwrap_err(), @r#"expected a size, found "220mb"; write `220MB`"#);
        insta::assert_snapshot!(memory("1536").unwrap_err(), @r#"expected a memory size with a unit, found "1536"; write `1536MB`"#);
        insta::assert_snapshot!(ephemeral("256MB").unwrap_err(), @r#"expected ephemeral storage from 512MB to 10240MB, found "256MB""#);
        insta::assert_snapshot!(route("inter-region").unwrap_err(), @"`inter-region` needs the bucket's region, as in `inter-region:us-east-1`");
        insta::assert_snapshot!(route("nat").unwrap_err(), @r#"unknown route "nat"; expected one of same-region, nat-gateway, interface-endpoint, inter-region:REGION, internet"#);
        assert!(amount("-1").is_err() && amount("1e9").is_err() && amount("0.0457").is_ok());
        assert!(instance("m7g").is_err());
    }

    #[test]
    fn errors_name_the_expected_form() {
        insta::assert_snapshot!(instant("yesterday").unwrap_err(), @r#"expected RFC 3339 such as 2026-11-20T09:00:00Z, found "yesterday""#);
        insta::assert_snapshot!(region("eu-wset-2").unwrap_err(), @r#"unknown region "eu-wset-2"; did you mean `eu-west-2`?"#);
        insta::assert_snapshot!(region("london").unwrap_err(), @r#"unknown region "london"; write the code of an AWS region, such as `eu-west-2`"#);
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
    fn a_log_filter_ignores_white_space_and_empty_directives() {
        let shown = |text: &str| log_filter(text).map(|filter| filter.to_string());
        for same in ["info", " info", "info,", ",info ,,"] {
            assert_eq!(shown(same), Ok("info".to_owned()), "{same}");
        }
        assert_eq!(log_filter("warn, warmd=debug"), log_filter("warn,warmd=debug"));
        insta::assert_snapshot!(shown("warn,warmd[tick]=debug").unwrap_err(), @r#"expected error, warn, info, debug, trace, or directives such as info,warmd=debug, found "warmd[tick]=debug""#);
        for none in ["", " , "] {
            assert_eq!(log_filter(none), Ok(Targets::new()));
        }
        for wrong in ["warmd = debug", "info warn"] {
            assert!(shown(wrong).unwrap_err().contains("expected error, warn"), "{wrong}");
        }
    }
}
