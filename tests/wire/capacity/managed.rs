//! Managed instances.

use super::*;

const FUNCTIONS: &str = "
functions:
  f: { aliases: { live: 7 }, prepare: 90s, at_once: 10, configuration: { CapacityProviderConfig: {} } }
";
const CONFIG: &str = "
functions:
  f:live:
    strategy: managed
    managed: { floor: 3, max: 50 }
    windows: [{ days: daily, hours: \"10:00-12:00\", concurrency: 10 }]
";

impl Rig {
    /// Describes the requested and the applied numbers of the versions.
    fn versions(&self) -> String {
        let of = |version| {
            let numbers = |numbers: Option<(u32, u32)>| match numbers {
                Some((min, max)) => format!("{min}..{max}"),
                None => "none".to_owned(),
            };
            let [requested, applied] = self.account.emulator.scaling(REGION, "f", version).map(numbers);
            format!("{version}: {requested}, applied {applied}")
        };
        ["7", "8"].map(of).join("; ")
    }

    fn row(&self, report: &TickReport) -> String {
        format!("{} {} | {}", report.tick.format("%H:%M"), line(report), self.versions())
    }

    /// Serves ticks, and returns those after which something has changed.
    async fn rows(&self, until: &str) -> Vec<String> {
        let mut rows: Vec<String> = Vec::new();
        while Minute::of(self.account.clock.now()).plus(1) < minute(until) {
            let row = self.row(&self.tick().await);
            if rows.last().is_none_or(|last| last[6..] != row[6..]) {
                rows.push(row);
            }
        }
        rows
    }
}

#[tokio::test(start_paused = true)]
async fn managed_instances_follow_windows_and_the_alias() {
    let rig = Rig::new(FUNCTIONS, CONFIG).await;
    let mut rows = rig.rows("2026-11-20T11:00").await;
    rig.account.emulator.update_alias(REGION, "f", "live", Some("8"), None).unwrap();
    rows.push("the alias moves".to_owned());
    rows.extend(rig.rows("2026-11-20T12:10").await);
    insta::assert_snapshot!(rows.join("\n"), @"
    09:00 f:live 0/0 of 3 in-progress | 7: 3..50, applied none; 8: none, applied none
    09:01 f:live 0/3 of 3 in-progress | 7: 3..50, applied none; 8: none, applied none
    09:02 f:live 3/3 of 3 ready | 7: 3..50, applied 3..50; 8: none, applied none
    09:56 f:live 3/3 of 10 in-progress | 7: 10..50, applied 3..50; 8: none, applied none
    09:57 f:live 3/10 of 10 in-progress | 7: 10..50, applied 3..50; 8: none, applied none
    09:58 f:live 10/10 of 10 ready | 7: 10..50, applied 10..50; 8: none, applied none
    the alias moves
    11:00 f:live 0/0 of 10 in-progress | 7: 10..50, applied 10..50; 8: 10..50, applied none
    11:01 f:live 0/10 of 10 in-progress | 7: 10..50, applied 10..50; 8: 10..50, applied none
    11:02 f:live 10/10 of 10 in-progress | 7: 3..50, applied 10..50; 8: 10..50, applied 10..50
    11:03 f:live 10/10 of 10 ready | 7: 3..50, applied 10..50; 8: 10..50, applied 10..50
    11:04 f:live 10/10 of 10 ready | 7: 3..50, applied 3..50; 8: 10..50, applied 10..50
    12:00 f:live 10/10 of 3 in-progress | 7: 3..50, applied 3..50; 8: 3..50, applied 10..50
    12:01 f:live 10/3 of 3 ready | 7: 3..50, applied 3..50; 8: 3..50, applied 10..50
    12:02 f:live 3/3 of 3 ready | 7: 3..50, applied 3..50; 8: 3..50, applied 3..50
    ");
    // They are never pinged.
    assert_eq!(rig.account.count("f").executions(), 0);
    let released = rig.order(Order::Release).await;
    assert!(released.iter().all(|report| report.changes.is_empty()), "the floor stays: {released:?}");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_configuration_is_a_conflict_until_it_is_adopted() {
    let rig = Rig::new(FUNCTIONS, CONFIG).await;
    rig.account.emulator.put_scaling(REGION, "f", "7", (5, 20)).unwrap();
    let mut rows = rig.rows("2026-11-20T10:05").await;
    let adopted = rig.order(Order::Adopt).await;
    rows.extend(adopted.iter().map(|report| format!("adopt: {}", capacity(report))));
    rows.extend(rig.rows("2026-11-20T10:10").await);
    let released = rig.order(Order::Release).await;
    rows.extend(released.iter().map(|report| format!("release: {} {:?}", capacity(report), report.changes)));
    rows.push(rig.versions());
    insta::assert_snapshot!(rows.join("\n"), @r#"
    09:00 f:live 0/5 of 3 conflict (foreign-configuration) | 7: 5..20, applied none; 8: none, applied none
    09:02 f:live 5/5 of 3 conflict (foreign-configuration) | 7: 5..20, applied 5..20; 8: none, applied none
    09:56 f:live 5/5 of 10 conflict (foreign-configuration) | 7: 5..20, applied 5..20; 8: none, applied none
    adopt: f:live 5/5 of 10 in-progress
    10:05 f:live 5/5 of 10 in-progress | 7: 10..50, applied 5..20; 8: none, applied none
    10:06 f:live 5/10 of 10 in-progress | 7: 10..50, applied 5..20; 8: none, applied none
    10:07 f:live 10/10 of 10 ready | 7: 10..50, applied 10..50; 8: none, applied none
    release: f:live 10/10 of 0 in-progress (left-over) ["put scaling configuration 5 to 20 on version 7"]
    7: 5..20, applied 10..50; 8: none, applied none
    "#);
}
