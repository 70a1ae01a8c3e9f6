//! A week of pings and of both ways of provisioned concurrency: the bill of the emulator, the cost of the ticks and the
//! price of the plan.

use warmd::domain::plan::{Period, TargetPlan};
use warmd::domain::schedule::phase;
use warmd::service::Trigger;

use super::*;

const NUMBER: u64 = 2;

/// Returns a function with a window of ten hours on five days, which is served each five minutes.
fn function(name: &str, strategy: &str) -> String {
    format!(
        "  {name}:live:
    memory: 1024MB
    architecture: arm64
    interval: 5m
{strategy}
    assume: {{ ping_duration: 150ms, init_duration: 1s, recycle_after: 168h }}
    windows: [{{ days: mon-fri, hours: \"08:00-18:00\", concurrency: {NUMBER} }}]
"
    )
}

impl Rig {
    /// Returns the bill of the invocations of a function, and their number.
    fn invoked(&self, function: &str) -> (Decimal, usize) {
        let observed = self.account.emulator.observe();
        let billed = |of: &warmd::emulator::Invocation| {
            let occupied = of.occupied.unwrap();
            u64::try_from((occupied.until - occupied.from).as_millis()).unwrap()
        };
        let (prices, region) = (PriceBook::embedded(), Region::parse(REGION).unwrap());
        let price = |item| prices.price(&item, region).unwrap();
        let (number, ms) = (observed.of(function).count(), observed.of(function).map(billed).sum::<u64>());
        let compute = Decimal::from(ms) / Decimal::ONE_THOUSAND * price(Item::Duration(Architecture::Arm64));
        (compute + Decimal::from(number as u64) * price(Item::Requests), number)
    }
}

#[tokio::test(start_paused = true)]
async fn the_bills_of_a_week_agree() {
    let functions = "default: { aliases: { live: 7 }, prepare: 90s, ping: 100ms, init: 1s..1s, network: { median: 0ms } }";
    let [pinged, direct, scaled] = [
        ("pinged", "    lead: 4m"),
        ("direct", "    strategy: provisioned\n    provisioned: { by: direct }"),
        ("scaled", "    strategy: provisioned"),
    ]
    .map(|(name, strategy)| function(name, strategy));
    let rig = Rig::new(functions, &format!("functions:\n{pinged}{direct}{scaled}")).await;
    let (from, until) = (minute("2026-11-23T00:00"), minute("2026-11-30T00:00"));
    // Each minute around the changes. Otherwise each five minutes in the windows, when pings are due, and else each half
    // an hour: 10,080 ticks would take minutes.
    let phase = i64::from(phase(&rig.fleet.targets[0].id, 5));
    let is_served = |at: Minute| {
        let (day, minute) = ((at.epoch() - from.epoch()) / 1440, at.epoch().rem_euclid(1440));
        let is_near = |change: i64| (change - 8..change + 8).contains(&minute);
        let step = if day < 5 && (8 * 60..18 * 60).contains(&minute) { 5 } else { 30 };
        is_near(8 * 60) || is_near(18 * 60) || at.epoch().rem_euclid(step) == phase
    };
    let (mut previous, mut ticks, mut pings, mut cost) =
        (from.plus(-1), 0, Decimal::ZERO, [Decimal::ZERO; 2]);
    for at in (from.epoch()..until.epoch()).map(Minute::from_epoch).filter(|at| is_served(*at)) {
        let left = at.instant() - rig.account.clock.now();
        tokio::time::sleep(left.to_std().unwrap()).await;
        let report = rig.process.serve(Trigger::Schedule { at: at.instant(), previous }).await.report;
        (previous, ticks) = (at, ticks + 1);
        for round in &report.rounds {
            let cost = round.cost();
            pings += cost.requests.unwrap() + cost.compute.unwrap();
        }
        for (cost, capacity) in cost.iter_mut().zip(&report.capacity) {
            *cost += capacity.cost_usd.unwrap();
        }
    }
    let prices = PriceBook::embedded();
    let plans: Vec<_> = rig
        .fleet
        .targets
        .iter()
        .map(|target| TargetPlan::new(target, Period { from, until }, &prices))
        .collect();
    let (invoked, number) = rig.invoked("pinged");
    let usd = |cost: Decimal| format!("${}", cost.round_dp(6).normalize());
    let plan: Decimal = plans[0].cost.bill.lines.iter().map(|line| line.exact().unwrap()).sum();
    // The plan rests on assumptions about the pings, which are those of the emulator.
    for other in [pings, plan] {
        assert!(((invoked - other) / invoked).abs() < Decimal::new(1, 1), "{invoked} {pings} {plan}");
    }
    let mut rows = vec![
        format!("{ticks} ticks, {number} pings; planned {}", plans[0].pings()),
        format!("pings: emulator {}, ticks {}, plan {}", usd(invoked), usd(pings), usd(plan)),
    ];
    for (index, name) in ["direct:live", "scaled:live"].into_iter().enumerate() {
        let (billed, held) = (rig.bill(name), plans[index + 1].cost.held.unwrap().seconds);
        let ticked = (cost[index] / price()).round().to_u64().unwrap();
        // A step of five minutes for each environment at each of the five openings.
        for other in [ticked, held] {
            assert!(billed.abs_diff(other) <= 5 * 300 * NUMBER, "{name}: {billed} {ticked} {held}");
        }
        rows.push(format!(
            "{name}: emulator {billed} s {}, ticks {ticked} s {}, plan {held} s {} of {}",
            usd(Decimal::from(billed) * price()),
            usd(cost[index]),
            usd(Decimal::from(held) * price()),
            usd(plans[index + 1].cost.bill.total().unwrap()),
        ));
    }
    insta::assert_snapshot!(rows.join("\n"), @"
    1036 ticks, 1210 pings; planned 1210
    pings: emulator $0.002841, ticks $0.002821, plan $0.003065
    direct:live: emulator 363000 s $1.402741, ticks 363000 s $1.402741, plan 363000 s $1.402741 of $1.4
    scaled:live: emulator 363000 s $1.402741, ticks 363000 s $1.402741, plan 363000 s $1.402741 of $1.45
    ");
}
