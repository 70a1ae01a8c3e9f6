//! Time zones of the embedded IANA database.

use chrono_tz::{TZ_VARIANTS, Tz};

use super::Part;
use crate::domain::parse::{TextError, nearest, quoted};

/// Common names that are not IANA names, with the zones that they may refer to.
///
/// Abbreviations that are IANA names themselves (`UTC GMT CET EET WET MET EST MST HST`) are accepted and not listed.
const ALIASES: &[(&str, &[&str])] = &[
    ("ACDT", &["Australia/Adelaide"]),
    ("ACST", &["Australia/Adelaide", "Australia/Darwin"]),
    ("ADT", &["America/Halifax"]),
    ("AEDT", &["Australia/Sydney"]),
    ("AEST", &["Australia/Sydney", "Australia/Brisbane"]),
    ("AKDT", &["America/Anchorage"]),
    ("AKST", &["America/Anchorage"]),
    ("ART", &["America/Argentina/Buenos_Aires"]),
    ("AST", &["America/Halifax", "America/Puerto_Rico", "Asia/Riyadh"]),
    ("AWST", &["Australia/Perth"]),
    ("BRT", &["America/Sao_Paulo"]),
    ("BST", &["Europe/London", "Asia/Dhaka", "Pacific/Bougainville"]),
    ("CAT", &["Africa/Maputo"]),
    ("CDT", &["America/Chicago", "America/Havana"]),
    ("CEST", &["Europe/Paris", "Europe/Berlin"]),
    ("CLT", &["America/Santiago"]),
    ("COT", &["America/Bogota"]),
    ("CST", &["America/Chicago", "Asia/Shanghai", "America/Havana"]),
    ("CT", &["America/Chicago"]),
    ("EAT", &["Africa/Nairobi"]),
    ("EDT", &["America/New_York"]),
    ("EEST", &["Europe/Athens", "Europe/Kyiv"]),
    ("ET", &["America/New_York"]),
    ("GST", &["Asia/Dubai"]),
    ("HKT", &["Asia/Hong_Kong"]),
    ("ICT", &["Asia/Bangkok"]),
    ("IDT", &["Asia/Jerusalem"]),
    ("IST", &["Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"]),
    ("JST", &["Asia/Tokyo"]),
    ("KST", &["Asia/Seoul"]),
    ("MDT", &["America/Denver"]),
    ("MSK", &["Europe/Moscow"]),
    ("MT", &["America/Denver", "America/Phoenix"]),
    ("NPT", &["Asia/Kathmandu"]),
    ("NST", &["America/St_Johns"]),
    ("NZDT", &["Pacific/Auckland"]),
    ("NZST", &["Pacific/Auckland"]),
    ("PDT", &["America/Los_Angeles"]),
    ("PHT", &["Asia/Manila"]),
    ("PKT", &["Asia/Karachi"]),
    ("PST", &["America/Los_Angeles", "Asia/Manila"]),
    ("PT", &["America/Los_Angeles"]),
    ("SAST", &["Africa/Johannesburg"]),
    ("SGT", &["Asia/Singapore"]),
    ("SST", &["Pacific/Pago_Pago", "Asia/Singapore"]),
    ("WAT", &["Africa/Lagos"]),
    ("WEST", &["Europe/Lisbon"]),
    ("WIB", &["Asia/Jakarta"]),
    ("Z", &["UTC"]),
    // Cities that the database lists under another city.
    ("Bangalore", &["Asia/Kolkata"]),
    ("Beijing", &["Asia/Shanghai"]),
    ("Bengaluru", &["Asia/Kolkata"]),
    ("Boston", &["America/New_York"]),
    ("Dallas", &["America/Chicago"]),
    ("Delhi", &["Asia/Kolkata"]),
    ("Frankfurt", &["Europe/Berlin"]),
    ("Hyderabad", &["Asia/Kolkata"]),
    ("Milan", &["Europe/Rome"]),
    ("Montreal", &["America/Toronto"]),
    ("Mumbai", &["Asia/Kolkata"]),
    ("Osaka", &["Asia/Tokyo"]),
    ("San_Francisco", &["America/Los_Angeles"]),
    ("Seattle", &["America/Los_Angeles"]),
    ("Washington", &["America/New_York"]),
];

/// Parses the exact name of a zone in the embedded IANA database.
///
/// # Errors
/// Any other text, including abbreviations and offsets. The hint names the zone that was probably meant.
pub fn parse_zone(text: &str) -> Result<Tz, TextError> {
    let part = Part::of(text).trim();
    part.text.parse().map_err(|_| unknown(part))
}

fn unknown(part: Part<'_>) -> TextError {
    let error = |message| TextError::new(part.at(), message);
    if part.text.is_empty() {
        return error("missing time zone".to_owned()).hint("write an IANA name such as `Europe/London`");
    }
    let plain = format!("unknown time zone {}", quoted(part.text));
    let key = part.text.replace(' ', "_");
    if let Some((_, zones)) = ALIASES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key)) {
        return match zones {
            [only] => error(plain).hint(format!("write `{only}`")),
            several => error(format!("ambiguous time zone {}", quoted(part.text)))
                .hint(format!("write {}", one_of(several))),
        };
    }
    if let Some(hint) = offset_hint(part.text) {
        return error(plain).hint(hint);
    }
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    let city = |name: &&str| name.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(&key));
    let near = names()
        .find(|name| name.eq_ignore_ascii_case(&key))
        .or_else(|| names().find(city))
        .or_else(|| nearest(&key, names()))
        .or_else(|| nearest_city(&key));
    match near {
        Some(name) => error(plain).hint(format!("did you mean `{name}`?")),
        None => error(plain).hint("write an IANA name such as `Europe/London` or `America/New_York`"),
    }
}

/// Returns the zone with the city nearest to `given`, such as `Europe/London` for `Lodnon`.
fn nearest_city(given: &str) -> Option<&'static str> {
    let cities = TZ_VARIANTS.iter().filter_map(|zone| zone.name().rsplit_once('/').map(|(_, city)| city));
    let city = nearest(given, cities)?;
    TZ_VARIANTS
        .iter()
        .map(|zone| zone.name())
        .find(|name| name.rsplit_once('/').is_some_and(|(_, c)| c == city))
}

fn one_of(zones: &[&str]) -> String {
    let quoted: Vec<String> = zones.iter().map(|zone| format!("`{zone}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// Returns a hint for an offset such as `+01:00`, `UTC+1` or `GMT-05:30`.
fn offset_hint(text: &str) -> Option<String> {
    let upper = text.to_uppercase();
    let rest = upper.strip_prefix("UTC").or_else(|| upper.strip_prefix("GMT")).unwrap_or(&upper).trim();
    let (sign, digits) = match rest.strip_prefix('+') {
        // The Etc zones count westwards, so the sign is inverted.
        Some(digits) => ('-', digits),
        None => ('+', rest.strip_prefix(['-', '−'])?),
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(both) => both,
        None if digits.is_ascii() && digits.len() == 4 => digits.split_at(2),
        None => (digits, "0"),
    };
    let (hours, minutes) = (hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?);
    let name = format!("Etc/GMT{sign}{hours}");
    Some(match name.parse::<Tz>() {
        Ok(_) if minutes == 0 => {
            format!("write a city, such as `Europe/Paris`, to follow its clock changes; or `{name}`")
        }
        _ => "write a city, such as `Asia/Kolkata`".to_owned(),
    })
}
