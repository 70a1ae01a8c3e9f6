//! The coverage over the periods of the objectives.

use std::fmt::Write as _;

use serde::Serialize;

use super::known::{Coverage, shown_id};
use crate::domain::clean::clean;
use crate::domain::coverage::{Minutes, Slo};
use crate::domain::history::{Attained, FleetAttained};
use crate::domain::text::{count, grouped};

/// Minutes with their objective.
#[derive(Serialize)]
pub(super) struct CoverageObject {
    window_minutes: u64,
    warm_minutes: u64,
    unknown_minutes: u64,
    capped_minutes: u64,
    /// Null without known minutes.
    coverage: Option<f64>,
    slo: SloObject,
    /// The share of the error budget, negative when it is exceeded; null without known minutes.
    budget_left: Option<f64>,
}

#[derive(Serialize)]
struct SloObject {
    coverage: f64,
    over_days: u32,
}

/// The coverage of the fleet.
#[derive(Serialize)]
pub(super) struct FleetObject {
    #[serde(flatten)]
    coverage: CoverageObject,
    burn_rate_3d: Option<f64>,
}

impl CoverageObject {
    fn new(minutes: Minutes, objective: f64, over_days: u32, budget_left: Option<f64>) -> Self {
        let Minutes { window, warm, unknown, capped } = minutes;
        Self {
            window_minutes: window,
            warm_minutes: warm,
            unknown_minutes: unknown,
            capped_minutes: capped,
            coverage: minutes.coverage().map(rounded),
            slo: SloObject { coverage: rounded(objective), over_days },
            budget_left: budget_left.map(rounded),
        }
    }

    /// Converts the coverage of a function.
    pub(super) fn of(Attained { slo, minutes }: &Attained) -> Self {
        Self::new(*minutes, slo.coverage(), slo.over_days, slo.budget_left(*minutes))
    }
}

impl FleetObject {
    /// Converts the coverage of the fleet.
    pub(super) fn new(fleet: &FleetAttained) -> Self {
        let FleetAttained { over_days, minutes, objective, budget_left, slow_burn } = *fleet;
        let coverage = CoverageObject::new(minutes, objective, over_days, Some(budget_left));
        Self { coverage, burn_rate_3d: slow_burn.map(rounded) }
    }
}

/// Rounds to six decimals: a share of coverage is exact to a millionth.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// Shows the coverage of functions with an objective, and of the fleet.
pub(super) fn show(out: &mut String, Coverage { objectives, unread }: &Coverage) {
    for (id, Attained { slo: slo @ Slo { over_days, .. }, minutes }) in objectives.targets() {
        let name = shown_id(id);
        show_one(out, &name, *minutes, slo.coverage(), *over_days, slo.budget_left(*minutes));
    }
    if let Some(fleet) = objectives.fleet() {
        let FleetAttained { over_days, minutes, objective, budget_left, slow_burn } = fleet;
        show_one(out, "fleet", minutes, objective, over_days, Some(budget_left));
        if let Some(rate) = slow_burn.filter(|rate| *rate > 1.0) {
            let _ = writeln!(
                out,
                "slow burn: in the last 3 days the fleet used up its error budget {rate:.1} times as fast as it may"
            );
        }
    }
    for document in unread {
        let _ = writeln!(out, "coverage without {}", clean(document));
    }
}

fn show_one(
    out: &mut String,
    name: &str,
    minutes: Minutes,
    objective: f64,
    over_days: u32,
    budget_left: Option<f64>,
) {
    let days = count(over_days.into(), "day");
    let of = match minutes.coverage() {
        Some(coverage) => {
            format!("{} of {}", percent(coverage), count(minutes.window, "window minute"))
        }
        None => "unknown".to_owned(),
    };
    let unknown = match minutes.unknown {
        0 => String::new(),
        unknown => format!(", {} unknown", grouped(unknown)),
    };
    let left = match budget_left {
        Some(left) if left >= 0.0 => format!(", {} of the error budget left", percent(left)),
        Some(left) => format!(", the error budget is exceeded by {}", percent(-left)),
        None => String::new(),
    };
    let _ =
        writeln!(out, "coverage: {name}: {of} over {days}{unknown}, objective {}{left}", percent(objective));
}

/// Formats a share with at most two decimals. It is rounded down, so that only a whole is 100 %. The part of a millionth
/// that floating-point numbers lose is added before.
fn percent(share: f64) -> String {
    let hundredths = (share * 10_000.0 + 1e-6).floor() / 100.0;
    format!("{hundredths} %")
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::domain::function::{FunctionRef, Identity, Region};
    use crate::domain::history::{Objectives, Row};

    fn coverage(minutes: [Minutes; 2]) -> Coverage {
        let id = |name: &str| -> Identity {
            FunctionRef::parse(name).unwrap().identity(Region::parse("eu-west-2").unwrap())
        };
        let now: DateTime<Utc> = "2026-11-20T09:30:00Z".parse().unwrap();
        let slo = Slo { coverage_ppm: 999_500, over_days: 7 };
        let mut objectives = Objectives::new(&[(id("nlp:live"), slo)].into(), now);
        let [own, other] = minutes.map(Row::of_minutes);
        objectives.add(now.timestamp() / 3_600, &[(id("nlp:live"), own), (id("g"), other)].into());
        Coverage { objectives, unread: Vec::new() }
    }

    fn shown(coverage: &Coverage) -> String {
        let mut out = String::new();
        show(&mut out, coverage);
        out
    }

    fn json(Coverage { objectives, .. }: &Coverage) -> String {
        let functions = objectives.targets().values().map(CoverageObject::of).collect::<Vec<_>>();
        serde_json::to_string(&(objectives.fleet().as_ref().map(FleetObject::new), functions)).unwrap()
    }

    #[test]
    fn coverage_is_shown_with_its_error_budget() {
        let own = Minutes { window: 16_800, warm: 16_799, unknown: 12, capped: 0 };
        let other = Minutes { window: 600, warm: 540, unknown: 0, capped: 60 };
        insta::assert_snapshot!(shown(&coverage([own, other])), @"
        coverage: nlp:live eu-west-2: 99.99 % of 16,800 window minutes over 7 days, 12 unknown, objective 99.95 %, 88.09 % of the error budget left
        coverage: fleet: 99.64 % of 17,400 window minutes over 7 days, 12 unknown, objective 99.91 %, the error budget is exceeded by 323.61 %
        slow burn: in the last 3 days the fleet used up its error budget 4.2 times as fast as it may
        ");
        insta::assert_snapshot!(shown(&coverage([Minutes::default(), other])), @"
        coverage: nlp:live eu-west-2: unknown over 7 days, objective 99.95 %
        coverage: fleet: 90 % of 600 window minutes over 7 days, objective 99 %, the error budget is exceeded by 900 %
        slow burn: in the last 3 days the fleet used up its error budget 10.0 times as fast as it may
        ");
        insta::assert_snapshot!(json(&coverage([own, other])), @r#"[{"window_minutes":17400,"warm_minutes":17339,"unknown_minutes":12,"capped_minutes":60,"coverage":0.996494,"slo":{"coverage":0.999172,"over_days":7},"budget_left":-3.236111,"burn_rate_3d":4.236111},[{"window_minutes":16800,"warm_minutes":16799,"unknown_minutes":12,"capped_minutes":0,"coverage":0.99994,"slo":{"coverage":0.9995,"over_days":7},"budget_left":0.880952}]]"#);
        assert_eq!(
            shown(&coverage([Minutes::default(); 2])),
            "coverage: nlp:live eu-west-2: unknown over 7 days, objective 99.95 %\n"
        );
    }

    #[test]
    fn only_a_whole_is_a_hundred_percent() {
        let shares = [1.0, 0.999_999, 0.99, 0.9995, 0.123_456, 0.0];
        assert_eq!(shares.map(percent), ["100 %", "99.99 %", "99 %", "99.95 %", "12.34 %", "0 %"]);
    }
}
