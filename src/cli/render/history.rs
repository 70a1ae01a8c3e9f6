//! Renders the history as a table and as comma-separated values.

use chrono::{DateTime, Utc};

use super::table::{Column, NO_SIGN, figures, table as columns, words};
use super::text::{bytes, grouped, money};
use super::{Style, Tone};
use crate::domain::clean::clean;
use crate::domain::cost::Route;
use crate::domain::coverage::Minutes;
use crate::domain::function::Identity;
use crate::domain::history::{COST_ITEMS, History, Row, ShortReason};

const COLUMNS: [Column; 13] = [
    words("HOUR (UTC)"),
    words("FUNCTION"),
    words("REGION"),
    figures("WINDOW"),
    figures("WARM"),
    figures("UNKNOWN"),
    figures("CAPPED"),
    figures("REACHED"),
    figures("PINGS"),
    figures("COLD"),
    figures("SHORT"),
    figures("EGRESS"),
    figures("COST"),
];

/// Returns all rows with the beginning of their hour, in order.
pub fn rows(history: &History) -> impl Iterator<Item = (DateTime<Utc>, &Identity, &Row)> {
    history.hours.iter().flat_map(|(hour, rows)| {
        let begins = DateTime::from_timestamp(hour.saturating_mul(3_600), 0).unwrap_or_default();
        rows.iter().map(move |(id, row)| (begins, id, row))
    })
}

/// Renders a row for each target and hour, and the totals. Ends with a line feed.
pub fn table(history: &History, (from, until): (DateTime<Utc>, DateTime<Utc>), style: Style) -> String {
    let day = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M").to_string();
    let mut total = Row::default();
    let mut shown = Vec::new();
    for (hour, id, row) in rows(history) {
        total.add(row);
        let reached = row.reached.map_or_else(|| "?".to_owned(), |reached| reached.to_string());
        let reached = if row.target > 0 { format!("{reached}/{}", row.target) } else { String::new() };
        let is_short = row.minutes.warm < row.minutes.window;
        let sign = if is_short { ('!', Tone::Warning) } else { NO_SIGN };
        shown.push((sign, cells([day(hour), id.shown(), id.region.to_string()], row, reached)));
    }
    let period = format!("from {} to {} UTC", day(from), day(until));
    if shown.is_empty() {
        return format!("no history {period}\n");
    }
    shown.push((NO_SIGN, cells(["total".to_owned(), String::new(), String::new()], &total, String::new())));
    let Minutes { window, warm, unknown, .. } = total.minutes;
    let coverage = match window {
        0 => "no window minutes".to_owned(),
        _ => format!("{} of {} window minutes", percent(warm, window), grouped(window)),
    };
    let unknown = match unknown {
        0 => String::new(),
        unknown => format!(", {} more unknown", grouped(unknown)),
    };
    format!("{}\ncoverage {period}: {coverage}{unknown}\n", columns(&COLUMNS, 1, &shown, style))
}

/// Formats a share with two decimals, rounded down, so that 100 % means all.
fn percent(part: u64, whole: u64) -> String {
    let hundredths = u128::from(part) * 10_000 / u128::from(whole.max(1));
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

fn cells([hour, function, region]: [String; 3], row: &Row, reached: String) -> Vec<String> {
    let number = |number: u64| if number == 0 { String::new() } else { grouped(number) };
    let Minutes { window, warm, unknown, capped } = row.minutes;
    let egress = sum(row.egress.values().copied());
    let usd = row.known_usd();
    let known = if usd.is_zero() { String::new() } else { money(usd) };
    vec![
        hour,
        function,
        region,
        number(window),
        if window == 0 { String::new() } else { grouped(warm) },
        number(unknown),
        number(capped),
        reached,
        number(row.pings),
        number(row.cold),
        number(sum(row.short.values().copied())),
        if egress == 0 { String::new() } else { bytes(egress) },
        if row.cost_unknown > 0 { format!("{known}+?") } else { known },
    ]
}

fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

/// Renders comma-separated values with a fixed header, see RFC 4180.
pub fn csv(history: &History) -> String {
    let under = |name: &str| name.replace('-', "_");
    let mut header: Vec<String> =
        "hour,function,region,tenant,owner,window_minutes,warm_minutes,unknown_minutes,\
         capped_minutes,target,reached,rounds,pings,cold_starts,semi_cold,restored,preinitialized,\
         capacity_desired,capacity_available,cost_unknown,known_usd"
            .split(',')
            .map(str::to_owned)
            .collect();
    header.extend(COST_ITEMS.map(|item| format!("cost_{item}_usd")));
    header.push("egress_bytes".to_owned());
    header.extend(Route::NAMES.map(|route| format!("egress_{}_bytes", under(route))));
    header.push("short_rounds".to_owned());
    header.extend(ShortReason::ALL.map(|reason| format!("short_{}", under(reason.name()))));
    let mut out = header.join(",") + "\r\n";
    for (hour, id, row) in rows(history) {
        out.push_str(&fields(hour, id, row).join(","));
        out.push_str("\r\n");
    }
    out
}

fn fields(hour: DateTime<Utc>, id: &Identity, row: &Row) -> Vec<String> {
    let optional = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    let Minutes { window, warm, unknown, capped } = row.minutes;
    let tenant = id.tenant.as_ref().map(|tenant| tenant.as_str()).unwrap_or_default();
    let mut fields = vec![
        hour.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        text(&id.label()),
        id.region.to_string(),
        text(tenant),
        text(row.owner.as_deref().unwrap_or_default()),
    ];
    fields.extend([window, warm, unknown, capped, row.target.into()].map(|number| number.to_string()));
    fields.push(optional(row.reached));
    let counts = [row.rounds, row.pings, row.cold, row.semi_cold, row.restored, row.preinitialized];
    fields.extend(counts.map(|number| number.to_string()));
    fields.push(optional(row.capacity.map(|capacity| capacity.desired)));
    fields.push(optional(row.capacity.and_then(|capacity| capacity.available)));
    fields.extend([row.cost_unknown.to_string(), row.known_usd().normalize().to_string()]);
    let cost = |item: &str| row.cost.get(item).copied().unwrap_or_default().normalize().to_string();
    fields.extend(COST_ITEMS.map(cost));
    fields.push(sum(row.egress.values().copied()).to_string());
    let egress = |route: &str| row.egress.get(route).copied().unwrap_or_default().to_string();
    fields.extend(Route::NAMES.map(egress));
    fields.push(sum(row.short.values().copied()).to_string());
    let short = |reason| row.short.get(&reason).copied().unwrap_or_default().to_string();
    fields.extend(ShortReason::ALL.map(short));
    fields
}

/// Returns a field of text. A spreadsheet would take text that begins with one of these for a formula.
fn text(text: &str) -> String {
    let text = clean(text);
    let guard = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    match guard.is_empty() && !text.contains([',', '"']) {
        true => text.into_owned(),
        false => format!("\"{guard}{}\"", text.replace('"', "\"\"")),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::domain::function::{FunctionRef, Region};
    use crate::domain::history::CapacityHour;

    fn history(owner: &str) -> History {
        let region = Region::parse("eu-west-2").unwrap();
        let id = |name: &str| FunctionRef::parse(name).unwrap().identity(region);
        let row = Row {
            owner: Some(owner.to_owned()),
            minutes: Minutes { window: 60, warm: 55, unknown: 0, capped: 2 },
            target: 10,
            reached: Some(9),
            rounds: 12,
            pings: 1_200,
            cold: 3,
            semi_cold: 1,
            short: [(ShortReason::Throttled, 1), (ShortReason::TooFew, 2)].into(),
            egress: [("nat-gateway".to_owned(), 2_200_000), ("a-newer-route".to_owned(), 1)].into(),
            cost: [("requests".to_owned(), "0.000240".parse().unwrap())].into(),
            cost_unknown: 1,
            ..Row::default()
        };
        let capacity = Row {
            minutes: Minutes { window: 60, warm: 60, unknown: 0, capped: 0 },
            target: 4,
            reached: Some(4),
            capacity: Some(CapacityHour { desired: 4, available: None }),
            cost: [("capacity".to_owned(), "0.12".parse().unwrap())].into(),
            ..Row::default()
        };
        let unknown =
            Row { minutes: Minutes { unknown: 7, ..Minutes::default() }, target: 1, ..Row::default() };
        let hour = 1_795_165_200 / 3_600;
        History {
            hours: [
                (hour, [(id("checkout"), row)].into()),
                (hour + 1, [(id("checkout"), unknown), (id("nlp-inference:live"), capacity)].into()),
            ]
            .into(),
            unread: Vec::new(),
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_table_has_a_row_for_each_target_and_hour() {
        let period = (at("2026-11-20T00:00:00Z"), at("2026-11-21T00:00:00Z"));
        assert_snapshot!(table(&history("payments"), period, Style::default()), @"
          HOUR (UTC)        FUNCTION            REGION     WINDOW  WARM  UNKNOWN  CAPPED  REACHED  PINGS  COLD  SHORT   EGRESS         COST
        ! 2026-11-20 09:00  checkout            eu-west-2      60    55                2     9/10  1,200     3      3  2.20 MB  $0.000240+?
          2026-11-20 10:00  checkout            eu-west-2                      7              ?/1
          2026-11-20 10:00  nlp-inference:live  eu-west-2      60    60                       4/4                                 $0.120000
          total                                               120   115        7       2           1,200     3      3  2.20 MB  $0.120240+?

        coverage from 2026-11-20 00:00 to 2026-11-21 00:00 UTC: 95.83 % of 120 window minutes, 7 more unknown
        ");
        assert_snapshot!(table(&History::default(), period, Style::default()), @"no history from 2026-11-20 00:00 to 2026-11-21 00:00 UTC");
        assert_eq!(
            [(99_999, 100_000), (57, 100), (1, 1)].map(|(part, whole)| percent(part, whole)),
            ["99.99 %", "57.00 %", "100.00 %"]
        );
    }

    #[test]
    fn values_are_separated_by_commas() {
        assert_snapshot!(csv(&history("payments")).replace("\r\n", "\n"), @"
        hour,function,region,tenant,owner,window_minutes,warm_minutes,unknown_minutes,capped_minutes,target,reached,rounds,pings,cold_starts,semi_cold,restored,preinitialized,capacity_desired,capacity_available,cost_unknown,known_usd,cost_requests_usd,cost_compute_usd,cost_s3_requests_usd,cost_s3_egress_usd,cost_tenant_environments_usd,cost_capacity_usd,egress_bytes,egress_same_region_bytes,egress_nat_gateway_bytes,egress_interface_endpoint_bytes,egress_inter_region_bytes,egress_internet_bytes,short_rounds,short_unsafe,short_denied,short_not_found,short_throttled,short_function_errors,short_timed_out,short_failed,short_too_few,short_other
        2026-11-20T09:00:00Z,checkout,eu-west-2,,payments,60,55,0,2,10,9,12,1200,3,1,0,0,,,1,0.00024,0.00024,0,0,0,0,0,2200001,0,2200000,0,0,0,3,0,0,0,1,0,0,0,2,0
        2026-11-20T10:00:00Z,checkout,eu-west-2,,,0,0,7,0,1,,0,0,0,0,0,0,,,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
        2026-11-20T10:00:00Z,nlp-inference:live,eu-west-2,,,60,60,0,0,4,4,0,0,0,0,0,0,4,,0,0.12,0,0,0,0,0,0.12,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
        ");
        let lines = csv(&history("payments"));
        let lines: Vec<_> = lines.strip_suffix("\r\n").unwrap().split("\r\n").collect();
        let columns: Vec<_> = lines.iter().map(|line| line.split(',').count()).collect();
        assert_eq!(columns, [columns[0]; 4]);
    }

    #[test]
    fn text_is_neither_a_formula_nor_another_field() {
        let owner = |owner: &str| {
            let csv = csv(&history(owner));
            let line = csv.split("\r\n").nth(1).unwrap();
            let field = line.strip_prefix("2026-11-20T09:00:00Z,checkout,eu-west-2,,").unwrap();
            field
                .strip_suffix(line.split_once(",60,55,").unwrap().1)
                .unwrap()
                .strip_suffix(",60,55,")
                .unwrap()
                .to_owned()
        };
        assert_eq!(owner("payments"), "payments");
        assert_eq!(owner("=HYPERLINK(\"https://x\")"), "\"'=HYPERLINK(\"\"https://x\"\")\"");
        for formula in ["+1", "-1", "@SUM(A1)"] {
            assert_eq!(owner(formula), format!("\"'{formula}\""));
        }
        assert_eq!(owner("a, b"), "\"a, b\"");
        assert_eq!(owner("a\r\n=1"), "a\\r\\n=1");
        assert_eq!(owner("\t=1"), "\\t=1");
    }
}
