//! Plans, comparisons, differences and explanations of capacity.

use chrono::{NaiveTime, TimeDelta};

use super::super::{compare, diff, explain};
use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::capacity::{By, Fallback, Managed, Provisioned, default_lead_minutes, outlook};
use crate::domain::cost::PriceBook;
use crate::domain::cost::assume::Traffic;
use crate::domain::difference::difference;
use crate::domain::fleet::Fleet;
use crate::domain::plan::{Scope, fleet_cost};
use crate::domain::schedule::{Minute, explain as explanation};

const AUTOSCALING: Strategy = Strategy::Provisioned(Provisioned {
    by: By::Autoscaling { max: 50, utilization: 70 },
    fallback: Fallback::Pings,
});

fn minute(text: &str) -> Minute {
    Minute::of(text.parse().unwrap())
}

/// Returns a target with ten environments on weekdays from 08:00 to 18:00 in London.
fn target(strategy: Strategy) -> Target {
    use chrono::Weekday::{Fri, Mon, Thu, Tue, Wed};
    let days = [Mon, Tue, Wed, Thu, Fri].into_iter().fold(DaySet::default(), DaySet::with);
    let hour = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
    let hours = Hours::Between { start: hour(8), end: Some(hour(18)) };
    let lead = if strategy.is_capacity() { default_lead_minutes(10) } else { 0 };
    let window = Window::new("office", Tz::Europe__London, Opening::Weekly(days, hours), 10);
    let window = Window { lead: TimeDelta::minutes(lead.into()), ..window };
    Target {
        windows: vec![window],
        strategy,
        ..Target::example("checkout-api:live", "us-east-1", Vec::new())
    }
}

/// Returns the period from Thursday to Tuesday with the end of summer time in between.
fn autumn() -> Period {
    Period { from: minute("2026-10-22T23:00:00Z"), until: minute("2026-10-27T00:00:00Z") }
}

fn planned(target: &Target, period: Period) -> String {
    let fleet = Fleet::new(vec![target.clone()]);
    let plans = [TargetPlan::new(target, period, &fleet.prices)];
    let cost = fleet_cost(&fleet, &plans, period, Scope::Function);
    plan(&plans, &[], &cost, period, None, Style::default())
}

#[test]
fn the_week_of_provisioned_concurrency_shows_steps_through_a_clock_change() {
    insta::assert_snapshot!(planned(&target(AUTOSCALING), autumn()), @"
    plan from 2026-10-22 23:00 UTC until 2026-10-27 00:00 UTC

    checkout-api:live (us-east-1), times in Europe/London: provisioned by autoscaling up to 50 at 70%, otherwise pings
      LOCAL TIME                    UTC                   DESIRED  STRATEGY
      Fri 23 Oct 07:56 – 18:00 BST  23 Oct 06:56 – 17:00       10  provisioned
    ! clocks go back 1h on Sun 25 Oct: 02:00 BST becomes 01:00 GMT
      Mon 26 Oct 07:56 – 18:00 GMT  26 Oct 07:56 – 18:00       10  provisioned
                  00    03    06    09    12    15    18    21
      Fri 23 Oct  ··············██████████████████████············
      Sat 24 Oct  ················································
      Sun 25 Oct  ················································
      Mon 26 Oct  ··············██████████████████████············
      cost $0.41*: 201.7 environment-hours, 120 created in advance, 0 B from S3
      without pings that replace it while it is not available
        ITEM                                  QUANTITY  UNIT                 PRICE  AMOUNT
        Provisioned concurrency x86_64          90,750  GB-s         $0.0000041667   $0.38
        Provisioned initialisation                 150  GB-s         $0.0000097222   $0.00
        CloudWatch alarms of target tracking     0.266  alarm-month           $0.1   $0.03
      * assumed: recycle_after 2h, init_duration 10s, memory 128MB, architecture x86_64
    ");
}

#[test]
fn findings_about_load_follow_the_week() {
    let mut rated = target(AUTOSCALING);
    let traffic = Traffic { requests_per_second: 750.into(), duration: Duration::from_millis(50) };
    rated.assume.traffic = Some(traffic);
    for window in &mut rated.windows {
        (window.concurrency, window.load_needs) = (60, Some(3));
    }
    let findings = |target: &Target| {
        let text = planned(target, autumn());
        let lines = text.lines().skip_while(|line| !line.contains("Mon 26 Oct  "));
        lines.skip(1).take_while(|line| !line.contains("ITEM")).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(findings(&rated), @"
    - office: up to 600 requests/s need 60 environments at 10 a second; the load alone needs 3
    ! office: 60 environments serve up to 600 requests/s; of the assumed 750 the rest runs on demand,
      with cold starts
    cost $2.31*: 1,210 environment-hours, 720 created in advance, 0 B from S3
    without pings that replace it while it is not available
    ");
    let managed = target(Strategy::Managed(Managed { floor: 3, max: 100 }));
    insta::assert_snapshot!(findings(&managed), @"
    ! from 3 to 10 environments at Fri 23 Oct 07:56 BST (and 1 time more): load that more than doubles
      within five minutes is throttled; add `ramp_up: 15m`
    cost $59.73*: 431.9 environment-hours, 0 B from S3
    ");
    let closed = target(Strategy::Managed(Managed { floor: 0, max: 100 }));
    insta::assert_snapshot!(findings(&closed), @"
    ! from 0 to 10 environments at Fri 23 Oct 07:56 BST (and 1 time more): load that more than doubles
      within five minutes is throttled; no ramp from 0 avoids it: raise `floor`
    cost $12.40*: 201.3 environment-hours, 0 B from S3
    ");
}

#[test]
fn a_comparison_names_the_cheaper_strategy() {
    let compared = |target: &Target, days: i64| {
        let period = Period { from: autumn().from, until: autumn().from.plus(days * 1_440) };
        let prices = PriceBook::embedded();
        let plans = [TargetPlan::new(target, period, &prices)];
        let comparisons = [plans[0].compare(&prices)];
        compare::compare(&plans, &comparisons, period, Style::default())
    };
    let advice = |text: String| {
        let lines = text.lines().filter(|line| line.contains("strategy"));
        lines.map(str::trim).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(compared(&target(AUTOSCALING), 30), @"
    30d from 2026-10-22 23:00 UTC until 2026-11-21 23:00 UTC

    checkout-api:live (us-east-1): up to 10 environments, strategy provisioned
      OPTION                   COLD STARTS     TOTAL  NOTE
    > pings                          1,050    $0.03*  cheapest
      provisioned, in windows            0    $4.19*  1,260 environments created in advance
      provisioned, always                0   $13.54*  3,600 environments created in advance
      managed instances                  0  $443.39*  3 × c7i.xlarge
      EC2 instances                      0  $385.56*  3 × c7i.xlarge
      no warming                   unknown   unknown  needs assume: { requests_per_second, duration }
      provisioned concurrency breaks even when its environments are busy 60 % of the time
      strategy: pings   # $0.03 instead of $4.19 a month
      * assumed: idle_life 5m, recycle_after 2h, ping_duration 5ms, init_duration 10s,
        log_bytes_per_ping 400, memory 128MB, architecture x86_64
    ");
    insta::assert_snapshot!(advice(compared(&target(AUTOSCALING), 7)), @"
    checkout-api:live (us-east-1): up to 10 environments, strategy provisioned
    strategy: pings   # $0.01 instead of $1.00 in 7d
    ");
    insta::assert_snapshot!(advice(compared(&target(Strategy::Pings), 30)), @"strategy pings is already the cheaper of pings and provisioned, in windows");
    let region = target(Strategy::Pings).region();
    let bare = crate::domain::function::FunctionRef::parse("checkout-api").unwrap();
    let unqualified = Target { id: bare.identity(region), ..target(Strategy::Pings) };
    insta::assert_snapshot!(advice(compared(&unqualified, 30)), @"no advice on the strategy: provisioned concurrency needs an alias or a version");
}

#[test]
fn a_change_of_strategy_shows_both_costs() {
    let [before, after] = [Strategy::Pings, AUTOSCALING].map(|strategy| Fleet::new(vec![target(strategy)]));
    let difference = difference(&before, &after, autumn());
    insta::assert_snapshot!(diff::table(&difference, autumn(), Style::default()), @"
      FUNCTION           REGION     HIGHEST      PINGS             COST  OTHER
    ~ checkout-api:live  us-east-1       10  2,400 → 0  $0.00* → $0.41*  strategy pings → provisioned by autoscaling up to 50 at 70%, otherwise pings

    1 target: 0 added, 1 changed, 0 removed; pings of these in the 4d 1h from 2026-10-22 23:00 UTC: 2,400 → 0

      OWNER         COST BEFORE  COST AFTER
      payments           $0.00*      $0.41*
      warmd itself       $1.45*      $1.60*
      total              $1.45*      $2.01*

      estimates at list prices, without free tiers; * depends on assumptions, which `warmd plan` lists
    ");
}

#[test]
fn an_explanation_shows_bounds_and_scheduled_actions() {
    let explained = |target: &Target, at: &str| {
        let at = minute(at);
        let outlook = outlook(target, &Fleet::new(Vec::new()).owner, at);
        explain::explain(target, at, &explanation(target, at), outlook.as_ref(), Style::default())
    };
    insta::assert_snapshot!(explained(&target(AUTOSCALING), "2026-10-23T07:58:00Z"), @"
    checkout-api:live (us-east-1) at Fri 23 Oct 2026 08:58 BST (07:58 UTC)
    desired: 10, at least 10 and at most 50
    strategy: provisioned by autoscaling up to 50 at 70%, otherwise pings
    scheduled actions: 9, next 0 to 0 at Fri 23 Oct 18:00 BST, last 0 to 0 at Thu 29 Oct 18:00 GMT

      WINDOW  STATE  OPENS                 CLOSES                DESIRED
    ✓ office  open   Fri 23 Oct 08:00 BST  Fri 23 Oct 18:00 BST       10

    next change: to 0 at Fri 23 Oct 18:00 BST
    ");
    let managed = target(Strategy::Managed(Managed { floor: 3, max: 100 }));
    insta::assert_snapshot!(explained(&managed, "2026-10-24T08:00:00Z"), @"
    checkout-api:live (us-east-1) at Sat 24 Oct 2026 09:00 BST (08:00 UTC)
    desired: 3, at least 3 and at most 100
    strategy: managed from 3 up to 100

      WINDOW  STATE   OPENS                 CLOSES                DESIRED
    - office  closed  Mon 26 Oct 08:00 GMT  Mon 26 Oct 18:00 GMT        0

    next change: to 10 at Mon 26 Oct 07:56 GMT
    ");
    let direct = Strategy::Provisioned(Provisioned { by: By::Direct, fallback: Fallback::None });
    let first = explained(&target(direct), "2026-10-24T08:00:00Z");
    insta::assert_snapshot!(first.lines().take(3).collect::<Vec<_>>().join("\n"), @"
    checkout-api:live (us-east-1) at Sat 24 Oct 2026 09:00 BST (08:00 UTC)
    desired: 0, at least 0 and at most 0
    strategy: provisioned by direct
    ");
}
