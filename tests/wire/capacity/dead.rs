//! The time without warmd: scheduled actions open and close.

use warmd::domain::capacity::steps;

use super::*;

const FUNCTIONS: &str = "functions: { f: { aliases: { live: 7 }, prepare: 90s } }";
/// The Monday after the start is a holiday.
const CONFIG: &str = "
calendars: { bank: { dates: [2026-11-23] } }
functions:
  f:live:
    memory: 1024MB
    architecture: arm64
    strategy: provisioned
    windows:
      - { days: mon-fri, hours: \"08:00-18:00\", timezone: Europe/Berlin, except: [bank], concurrency: 10, ramp_up: 20m }
      - { days: sat, hours: \"22:00-02:00\", timezone: Europe/Berlin, concurrency: 3 }
";

impl Rig {
    /// Asserts that in each minute of [`from`, `until`) the number that is requested is that of the windows, and the
    /// available one after the time of preparation. Returns the steps as text.
    fn follows(&self, from: &str, until: &str) -> Vec<String> {
        let until = minute(until);
        let steps = steps(&self.fleet.targets[0], minute(from), until);
        for (index, step) in steps.iter().enumerate() {
            let end = steps.get(index + 1).map_or(until, |next| next.at);
            for past in 0..end.epoch() - step.at.epoch() {
                let at = step.at.plus(past).instant();
                let (requested, available) = self.level("live", at);
                assert_eq!(requested, step.desired, "{at}");
                assert!(past < 2 && index > 0 || available == step.desired, "{at} {available} {step:?}");
            }
        }
        let shown = |step: &warmd::domain::capacity::Step| {
            format!("{} {}", step.at.instant().format("%a %H:%M"), step.desired)
        };
        steps.iter().map(shown).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn capacity_follows_the_windows_and_its_cost_is_known_afterwards() {
    let mut rows = Vec::new();
    for back in ["2026-11-22T09:20", "2026-11-22T12:00", "2026-11-24T12:03", "2026-11-24T21:00"] {
        let rig = Rig::new(FUNCTIONS, CONFIG).await;
        let mut reports = rig.run("2026-11-20T09:20").await;
        rig.account.emulator.reset();
        rig.wait(back).await;
        let steps = rig.follows("2026-11-20T09:20", back);
        reports.extend(rig.run(back).await);
        let gap = seconds(reports.last());
        let (cost, bill) = (seconds(&reports), rig.bill("f:live"));
        // The most environments of a step.
        assert!(cost.abs_diff(bill) <= 300 * 10, "{back}: {cost} instead of {bill}");
        let last = capacity(&reports.last().unwrap().capacity[0]);
        rows.push(format!("{}\nback {back}: {last}; {gap} of {cost} s, billed {bill} s", steps.join(", ")));
    }
    insta::assert_snapshot!(rows.join("\n"), @"
    Fri 09:20 10, Fri 17:00 0, Sat 20:56 3, Sun 01:00 0
    back 2026-11-22T09:20: f:live 0/0 of 0 closed; 320100 of 332100 s, billed 332100 s
    Fri 09:20 10, Fri 17:00 0, Sat 20:56 3, Sun 01:00 0
    back 2026-11-22T12:00: f:live 0/0 of 0 closed; 320100 of 332100 s, billed 332100 s
    Fri 09:20 10, Fri 17:00 0, Sat 20:56 3, Sun 01:00 0, Tue 06:37 3, Tue 06:43 6, Tue 06:49 9, Tue 06:55 10
    back 2026-11-24T12:03: f:live 10/10 of 10 ready; 512400 of 524400 s, billed 525300 s
    Fri 09:20 10, Fri 17:00 0, Sat 20:56 3, Sun 01:00 0, Tue 06:37 3, Tue 06:43 6, Tue 06:49 9, Tue 06:55 10, Tue 17:00 0
    back 2026-11-24T21:00: f:live 0/0 of 0 closed; 691200 of 703200 s, billed 703200 s
    ");
}

#[tokio::test(start_paused = true)]
async fn capacity_ends_after_seven_days() {
    let rig = Rig::new(FUNCTIONS, CONFIG).await;
    let mut reports = rig.run("2026-11-20T09:20").await;
    rig.wait("2026-12-01T12:00").await;
    // The seventh day ends within a window.
    let steps = rig.follows("2026-11-20T09:20", "2026-11-27T09:00");
    assert!(steps.last().unwrap().ends_with(" 10"), "{steps:?}");
    assert_eq!(rig.level("live", at("2026-11-27T08:59")), (10, 10));
    for hour in 0..4 * 24 {
        let at = at("2026-11-27T09:00") + chrono::TimeDelta::hours(hour);
        assert_eq!(rig.level("live", at), (0, 0), "{at}");
    }
    assert_eq!((rig.targets(), rig.requested("f:live")), (vec!["function:f:live 0..0".to_owned()], 0));
    let back = rig.run("2026-12-01T12:04").await;
    insta::assert_snapshot!(lines(&back), @"
    12:00 f:live 0/0 of 10 in-progress, f:live: 10 reached 0+10
    12:01 f:live 0/10 of 10 in-progress, f:live: 10 reached 0+10
    12:02 f:live 10/10 of 10 ready, f:live: 10 reached 0+10
    12:03 f:live 10/10 of 10 ready
    ");
    reports.extend(back);
    let (cost, bill) = (seconds(&reports), rig.bill("f:live"));
    assert!(cost.abs_diff(bill) <= 300 * 10, "{cost} instead of {bill}");
}
