//! Changes of the configuration, pauses and Warm Requests.

use warmd::domain::events::{Need, Subject, WarmRequest};
use warmd::domain::function::FunctionRef;
use warmd::service::Trigger;

use super::*;

const FUNCTIONS: &str = "functions: { f: { aliases: { live: 7, v2: 8 }, prepare: 60s }, g: {} }";
const WINDOW: &str = "{ days: daily, hours: \"09:00-21:00\", concurrency: 10 }";
const PINGED: &str = "functions: { g: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] } }";

impl Rig {
    /// Describes what exists: scalable targets, and environments requested on the qualifiers of f.
    fn state(&self) -> String {
        let of = ["live", "v2"].map(|qualifier| self.account.emulator.requested(REGION, "f", qualifier));
        format!("live {}, v2 {}; {}", of[0], of[1], self.targets().join(", "))
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_configuration_names_replaces_what_it_named() {
    let on_v2 = |config: String| config.replace("f:live", "f:v2");
    let direct = || provisioned("by: direct", WINDOW);
    let scaled = || provisioned("max: 20", WINDOW);
    let pings = || direct().replace("    strategy: provisioned\n    provisioned: { by: direct }\n", "");
    let mut rows = Vec::new();
    let mut costs = Vec::new();
    let mut rig = Rig::new(FUNCTIONS, &direct()).await;
    for (minute, (name, config)) in [
        ("direct", direct()),
        ("direct on v2", on_v2(direct())),
        ("autoscaling on v2", on_v2(scaled())),
        ("autoscaling", scaled()),
        ("direct", direct()),
        ("autoscaling", scaled()),
        ("pings", pings()),
        ("autoscaling", scaled()),
        ("removed", PINGED.to_owned()),
        ("direct", direct()),
        ("pings", pings()),
    ]
    .into_iter()
    .enumerate()
    {
        rig = rig.restarted(&config);
        let reports = rig.run(&format!("2026-11-20T09:{:02}", 5 + minute * 5)).await;
        let first = reports[0].capacity.iter().map(capacity).collect::<Vec<_>>().join(", ");
        let last = reports.last().unwrap().capacity.iter().map(capacity).collect::<Vec<_>>().join(", ");
        rows.push(format!("{name}: {first}\n  then {last}: {}", rig.state()));
        costs.extend(reports);
    }
    insta::assert_snapshot!(rows.join("\n"), @"
    direct: f:live 0/0 of 10 in-progress
      then f:live 10/10 of 10 ready: live 10, v2 0; 
    direct on v2: f:v2 0/0 of 10 in-progress, f:live 10/10 of 0 in-progress (left-over)
      then f:v2 10/10 of 10 ready: live 0, v2 10; 
    autoscaling on v2: f:v2 10/10 of 10 in-progress
      then f:v2 10/10 of 10 ready: live 0, v2 10; function:f:v2 10..20
    autoscaling: f:live 0/0 of 10 in-progress, f:v2 10/10 of 0 in-progress (left-over)
      then f:live 10/10 of 10 ready: live 10, v2 0; function:f:live 10..20
    direct: f:live 10/10 of 10 in-progress
      then f:live 10/10 of 10 ready: live 10, v2 0; 
    autoscaling: f:live 10/10 of 10 in-progress
      then f:live 10/10 of 10 ready: live 10, v2 0; function:f:live 10..20
    pings: f:live 10/10 of 0 in-progress (left-over)
      then : live 0, v2 0; 
    autoscaling: f:live 0/0 of 10 in-progress
      then f:live 10/10 of 10 ready: live 10, v2 0; function:f:live 10..20
    removed: f:live 10/10 of 0 in-progress (left-over)
      then : live 0, v2 0; 
    direct: f:live 0/0 of 10 in-progress
      then f:live 10/10 of 10 ready: live 10, v2 0; 
    pings: f:live 10/10 of 0 in-progress (left-over)
      then : live 0, v2 0;
    ");
    let bill = rig.bill("f:live") + rig.bill("f:v2");
    // The number of openings, with a step of five minutes for each environment.
    let cost = seconds(&costs);
    assert!(cost.abs_diff(bill) <= 7 * 300 * 10, "{cost} instead of {bill}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_freezes_capacity_and_its_end_resumes() {
    let mut rows = Vec::new();
    for way in ["by: direct", "max: 20"] {
        let rig = Rig::new(
            FUNCTIONS,
            &provisioned(way, "{ days: daily, hours: \"09:00-09:30\", concurrency: 10 }"),
        )
        .await;
        let mut reports = rig.run("2026-11-20T09:10").await;
        let pause = json!({ "until": at("2026-11-20T10:00"), "reason": "deployment" });
        rig.account.write("pauses", json!({ "all": pause, "functions": {} }).to_string()).await;
        for time in ["2026-11-20T09:12", "2026-11-20T10:00", "2026-11-20T10:05"] {
            reports.extend(rig.run(time).await);
            rows.push(format!("{way} {time}: {}: {}", line(reports.last().unwrap()), rig.state()));
        }
        let (cost, bill) = (seconds(&reports), rig.bill("f:live"));
        assert!(cost.abs_diff(bill) <= 300 * 10, "{way}: {cost} {bill}");
    }
    insta::assert_snapshot!(rows.join("\n"), @"
    by: direct 2026-11-20T09:12: f:live 10/10 of 10 paused: live 10, v2 0; 
    by: direct 2026-11-20T10:00: f:live 10/10 of 0 paused: live 10, v2 0; 
    by: direct 2026-11-20T10:05: f:live 0/0 of 0 closed: live 0, v2 0; 
    max: 20 2026-11-20T09:12: f:live 10/10 of 10 paused: live 10, v2 0; function:f:live 10..20 suspended
    max: 20 2026-11-20T10:00: f:live 10/10 of 0 paused: live 10, v2 0; function:f:live 10..20 suspended
    max: 20 2026-11-20T10:05: f:live 0/0 of 0 closed: live 0, v2 0; function:f:live 0..0
    ");
}

#[tokio::test(start_paused = true)]
async fn a_warm_request_raises_the_minimum_in_its_trigger() {
    let mut rows = Vec::new();
    for way in ["by: direct", "max: 60"] {
        let config = provisioned(way, "{ days: daily, hours: \"09:00-09:30\", concurrency: 10 }")
            + "    on_request: { max_concurrency: 30, max_for: 1h }\n";
        let rig = Rig::new(FUNCTIONS, &config).await;
        let mut reports = rig.run("2026-11-20T09:10").await;
        for (time, concurrency) in [("2026-11-20T09:10", 500), ("2026-11-20T10:10", 20)] {
            reports.extend(rig.run(time).await);
            let request = WarmRequest {
                id: Some(format!("event-{concurrency}")),
                at: Some(rig.account.clock.now()),
                subject: Subject::Function(
                    FunctionRef::parse("f:live").unwrap(),
                    Need::Environments(concurrency),
                ),
                region: None,
                keep_for: Some(Duration::from_secs(600)),
                reason: None,
            };
            let report = rig.process.serve(Trigger::Request(request)).await.report;
            rows.push(format!("{way} {time}: {} | {}", line(&report), rig.state()));
            reports.push(report);
            for later in [4, 9, 16] {
                let until = at(time) + chrono::TimeDelta::minutes(later);
                reports.extend(rig.run(&until.format("%Y-%m-%dT%H:%M").to_string()).await);
                rows.push(format!("  {}: {}", line(reports.last().unwrap()), rig.state()));
            }
        }
        reports.extend(rig.run("2026-11-20T11:00").await);
        let (cost, bill) = (seconds(&reports), rig.bill("f:live"));
        assert_eq!(rig.requested("f:live"), 0);
        assert!(cost.abs_diff(bill) <= 2 * 300 * 30, "{way}: {cost} {bill}");
    }
    insta::assert_snapshot!(rows.join("\n"), @"
    by: direct 2026-11-20T09:10: f:live 10/10 of 30 in-progress, f:live: 30 reached 0+30 | live 30, v2 0; 
      f:live 30/30 of 30 ready: live 30, v2 0; 
      f:live 30/30 of 30 ready: live 30, v2 0; 
      f:live 10/10 of 10 ready: live 10, v2 0; 
    by: direct 2026-11-20T10:10: f:live 0/0 of 20 in-progress, f:live: 20 reached 0+20 | live 20, v2 0; 
      f:live 20/20 of 20 ready: live 20, v2 0; 
      f:live 20/20 of 20 ready: live 20, v2 0; 
      f:live 0/0 of 0 closed: live 0, v2 0; 
    max: 60 2026-11-20T09:10: f:live 10/10 of 30 in-progress, f:live: 30 reached 0+30 | live 30, v2 0; function:f:live 30..60
      f:live 30/30 of 30 ready: live 30, v2 0; function:f:live 30..60
      f:live 30/30 of 30 ready: live 30, v2 0; function:f:live 30..60
      f:live 30/30 of 10 ready: live 30, v2 0; function:f:live 10..60
    max: 60 2026-11-20T10:10: f:live 0/0 of 20 in-progress, f:live: 20 reached 0+20 | live 20, v2 0; function:f:live 20..60
      f:live 20/20 of 20 ready: live 20, v2 0; function:f:live 20..60
      f:live 20/20 of 20 ready: live 20, v2 0; function:f:live 20..60
      f:live 0/0 of 0 closed: live 0, v2 0; function:f:live 0..0
    ");
}
