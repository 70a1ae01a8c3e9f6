//! Objectives, budgets, owners, and the time for which the history is kept.

use super::*;
use crate::domain::budget::{Budget, OnExceed};
use crate::domain::coverage::Slo;

const WINDOWS: &str = "region: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }]";

fn usd(text: &str) -> rust_decimal::Decimal {
    text.parse().unwrap()
}

#[test]
fn objectives_and_budgets_of_functions_owners_and_the_fleet() {
    let loaded = valid(&format!(
        "version: 1\nlimits: {{ keep_history: 30d }}\ndefaults: {{ owner: nlp, slo: {{ coverage: 99.95%, over: 30d }} }}\n\
         budget: {{ monthly_usd: 250.5 }}\nowners:\n  nlp: {{ budget: {{ monthly_usd: 25, on_exceed: reduce }} }}\nfunctions:\n  \
         f: {{ {WINDOWS} }}\n  g: {{ {WINDOWS}, slo: {{ coverage: 90 % }}, budget: {{ monthly_usd: \"0.5\", on_exceed: stop, stop_capacity: true }} }}\n"
    ));
    let [f, g] = &loaded.fleet.targets[..] else { panic!("two targets") };
    assert_eq!(f.slo, Some(Slo { coverage_ppm: 999_500, over_days: 30 }));
    assert_eq!(g.slo, Some(Slo { coverage_ppm: 900_000, over_days: 28 }), "not the time of the defaults");
    assert_eq!(f.budget, None);
    let own = Budget { monthly_usd: usd("0.5"), on_exceed: OnExceed::Stop, stop_capacity: true };
    assert_eq!(g.budget, Some(own));
    let whole = loaded.fleet.budget.unwrap();
    assert_eq!((whole.monthly_usd, whole.on_exceed), (usd("250.5"), OnExceed::Warn));
    assert_eq!(loaded.fleet.owner_budgets["nlp"].on_exceed, OnExceed::Reduce);
    assert_eq!(loaded.fleet.limits.keep_history_days, 30);
    assert!(loaded.warnings.is_empty());
    let bare = valid(&format!("version: 1\nfunctions:\n  f: {{ {WINDOWS} }}\n")).fleet;
    assert_eq!((bare.targets[0].slo, bare.budget, bare.limits.keep_history_days), (None, None, 400));
}

#[test]
fn mistakes_in_objectives_and_budgets() {
    let cases = r#"
    slo: {}
         ^ missing key "coverage"
    slo: { coverage: 100% }
                     ^^^^ expected a percentage from 1% to below 100%, found "100%"
                     = hint: write it with at most four decimals, such as `99%` or `99.95%`
    slo: { coverage: 0.99, over: 1h }
                     ^^^^ expected a percentage from 1% to below 100%, found 0.99
                     = hint: write it with at most four decimals, such as `99%` or `99.95%`
                                 ^^ expected a duration from 1d to 400d, found "1h"
    slo: { coverage: 99.99999%, over: 36h }
                     ^^^^^^^^^ expected a percentage from 1% to below 100%, found "99.99999%"
                     = hint: write it with at most four decimals, such as `99%` or `99.95%`
                                      ^^^ expected whole days, found "36h"
                                      = hint: write `1d` or `2d`
    slo: { coverage: -5%, over: 28 }
                     ^^^ expected a percentage from 1% to below 100%, found "-5%"
                     = hint: write it with at most four decimals, such as `99%` or `99.95%`
                                ^^ expected a duration with a unit, found "28"
                                = hint: write `28d`
    budget: { monthly_usd: 0, on_exceed: halt }
                           ^ expected a number above 0, found 0
                           = hint: write plain digits, such as 50 or 0.045, up to 1000000000
                                         ^^^^ expected one of "warn", "reduce", "stop", found "halt"
    budget: { monthly_usd: 5, on_exceed: reduce, stop_capacity: true }
                                                                ^^^^ "stop_capacity" requires `on_exceed: stop`
                                                                = hint: set `on_exceed: stop`, or remove it
    budget: { usd: 5 }
            ^ missing key "monthly_usd"
              ^^^ unknown key "usd"
              = hint: use one of monthly_usd, on_exceed, stop_capacity
    "#;
    check_cases(IN_FUNCTION, cases);
    let cases = r#"
    slo: none
         ^^^^ expected a map, found "none"
         = hint: write `slo: { coverage: 99% }`, or `slo: off` for no objective
    budget: { monthly_usd: 99999999999999999999999999999999 }
                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected a number of at most 1000000000, found 99999999999999999999999999999999
                           = hint: write plain digits, such as 50 or 0.045, up to 1000000000
    "#;
    check_cases(IN_FUNCTION, cases);
    let cases = r#"
    limits: { keep_history: 4001d }
                            ^^^^^ expected a duration from 1d to 4000d, found "4001d"
    defaults: { budget: { monthly_usd: 5 } }
                ^^^^^^ unknown key "budget"
                = hint: use one of region, regions, timezone, interval, protocol, payload, hold, owner, lead, spare, architecture, memory, timeout, trace, canary, canary_max, role_arn, external_id, strategy, provisioned, managed, assume, slo, stagger
    owners: { nlp: {} }
                   ^ missing key "budget"
    budget: 25
            ^^ expected a map, found 25
            = hint: indent its keys below it, or write them in braces: `{ key: value }`
    "#;
    check_cases(IN_FILE, cases);
    let document = r#"
    version: 1
    limits: { keep_history: 7d }
    defaults: { slo: { coverage: 99%, over: 8d } }
                                            ^^ 8d exceed "limits.keep_history" (7d)
                                            = hint: write `over: 7d` or less, or raise "limits.keep_history"
    functions:
      f: { region: eu-west-2, slo: { coverage: 99% }, on_request: { max_concurrency: 1, max_for: 1h } }
                                   ^ 28d exceed "limits.keep_history" (7d)
                                   = hint: write `over: 7d` or less, or raise "limits.keep_history"
    "#;
    check_document(document);
}

#[test]
fn an_objective_is_off_despite_the_defaults_and_is_one_that_alarms_can_watch() {
    let loaded = valid(&format!(
        "version: 1\ndefaults: {{ slo: {{ coverage: 99% }} }}\nfunctions:\n  f: {{ {WINDOWS}, slo: off }}\n  \
         g: {{ {WINDOWS}, slo: {{ coverage: 80% }} }}\n  h: {{ {WINDOWS}, slo: {{ coverage: 83% }} }}\n"
    ));
    let slos: Vec<Option<u32>> =
        loaded.fleet.targets.iter().map(|target| target.slo.map(|slo| slo.coverage_ppm)).collect();
    assert_eq!(slos, [None, Some(800_000), Some(830_000)]);
    let [warning] = &loaded.warnings[..] else { panic!("{:?}", loaded.warnings) };
    assert_eq!(
        warning.message,
        "no alarm can be raised for the objective 80% over 28d: its error budget burns at most 5.0 times too fast"
    );
    assert_eq!(
        warning.hint.as_deref(),
        Some("alarms are raised at 5.6 times too fast, which needs a coverage above 82.14%")
    );
}

#[test]
fn a_budget_of_the_fleet_and_of_an_owner_has_one_definition() {
    let [one, other] = ["one.yaml", "two.yaml"].map(|path| {
        (path, "version: 1\nbudget: { monthly_usd: 5 }\nowners:\n  nlp: { budget: { monthly_usd: 1 } }\n")
    });
    let shown = errors_of(&[one, other]);
    assert!(shown.contains("duplicate key \"budget\" in a second file"), "{shown}");
    assert!(shown.contains("duplicate owner \"nlp\""), "{shown}");
    assert!(shown.contains("all files share the owners"), "{shown}");
    let loaded = valid(&format!(
        "version: 1\nowners:\n  nlpp: {{ budget: {{ monthly_usd: 1 }} }}\nfunctions:\n  f: {{ owner: nlp, {WINDOWS} }}\n"
    ));
    let [warning] = &loaded.warnings[..] else { panic!("{:?}", loaded.warnings) };
    assert_eq!(warning.message, "no function has the owner \"nlpp\"");
    assert_eq!(warning.hint.as_deref(), Some("did you mean `nlp`?"));
}
