//! Openings and closings that the service delays or refuses.

use super::traffic::invoke;
use super::*;

/// The ways of provisioned concurrency.
const WAYS: [&str; 2] = ["by: direct", "by: autoscaling, max: 20"];
const WINDOW: &str = "{ days: daily, hours: \"10:00-12:00\", concurrency: 10 }";

fn deployed(settings: &str) -> String {
    format!(
        "functions: {{ f: {{ aliases: {{ live: 7 }}, ping: 50ms, init: 1s..1s, duration: 5s, {settings} }} }}"
    )
}

/// Serves ten users at the opening. Returns how many of them met a cold start.
async fn cold_users(rig: &Rig) -> u64 {
    let cold = || rig.account.count("f").environments.get("on-demand").copied().unwrap_or(0);
    let before = cold();
    invoke(rig, 10).await;
    cold() - before
}

#[tokio::test(start_paused = true)]
async fn pings_replace_capacity_that_is_prepared_too_slowly() {
    for way in WAYS {
        let rig = Rig::new(&deployed("prepare: 8m"), &provisioned(way, WINDOW)).await;
        let mut reports = rig.run("2026-11-20T10:00").await;
        reports.push(rig.tick().await);
        assert_eq!(cold_users(&rig).await, 0, "{way}");
        reports.extend(rig.run("2026-11-20T10:30").await);
        let shown = lines(&reports);
        match way {
            "by: direct" => insta::assert_snapshot!(shown, @"
            09:00 f:live 0/0 of 0 closed
            09:56 f:live 0/0 of 10 in-progress
            09:57 f:live 0/10 of 10 in-progress
            09:59 f:live 0/10 of 10 in-progress, f:live: 10 reached 0+10
            10:05 f:live 10/10 of 10 ready, f:live: 10 reached 0+10
            10:06 f:live 10/10 of 10 ready
            "),
            _ => insta::assert_snapshot!(shown, @"
            09:00 f:live 0/0 of 0 closed
            09:56 f:live 0/10 of 10 in-progress
            09:59 f:live 0/10 of 10 in-progress, f:live: 10 reached 0+10
            10:04 f:live 10/10 of 10 ready, f:live: 10 reached 0+10
            10:05 f:live 10/10 of 10 ready
            "),
        }
        let pings = rig.account.count("f").pings;
        // Without a fallback.
        let rig =
            Rig::new(&deployed("prepare: 8m"), &provisioned(&format!("{way}, fallback: none"), WINDOW)).await;
        rig.run("2026-11-20T10:01").await;
        assert_eq!(cold_users(&rig).await, 10);
        rig.run("2026-11-20T10:30").await;
        assert_eq!((pings > 0, rig.account.count("f").pings), (true, 0), "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn pings_replace_capacity_that_is_refused() {
    let mut rows = Vec::new();
    for way in WAYS {
        for (name, functions, remedy) in [
            (
                "failed",
                deployed("prepare: 1m, provisioned_fails: FUNCTION_ERROR_INIT_FAILURE"),
                "functions: { f: { provisioned_fails: none } }",
            ),
            ("weights", deployed("prepare: 1m"), ""),
            (
                "quota",
                format!("account: {{ concurrency: 105 }}\n{}", deployed("prepare: 1m")),
                "account: { concurrency: 1000 }",
            ),
        ] {
            let rig = Rig::new(&functions, &provisioned(way, WINDOW)).await;
            let mut reports = rig.run("2026-11-20T09:50").await;
            if name == "weights" {
                rig.account.emulator.update_alias(REGION, "f", "live", None, Some(("8", 0.01))).unwrap();
            }
            reports.extend(rig.run("2026-11-20T10:00").await);
            reports.push(rig.tick().await);
            assert_eq!(cold_users(&rig).await, 0, "{way} {name}");
            reports.extend(rig.run("2026-11-20T10:20").await);
            if name == "weights" {
                rig.account.emulator.update_alias(REGION, "f", "live", None, None).unwrap();
            } else {
                rig.account.change(remedy);
            }
            reports.extend(rig.run("2026-11-20T10:40").await);
            rows.push(format!("{way}: {name}\n{}", lines(&reports)));
            let last = reports.last().unwrap();
            assert!(
                last.capacity[0].is_available() && last.rounds.is_empty(),
                "{way} {name}: {}",
                line(last)
            );
        }
    }
    insta::assert_snapshot!(rows.join("\n"), @"
    by: direct: failed
    09:00 f:live 0/0 of 0 closed
    09:56 f:live 0/0 of 10 in-progress
    09:57 f:live 0/10 of 10 in-progress
    09:58 f:live 0/10 of 10 failed (FUNCTION_ERROR_INIT_FAILURE)
    09:59 f:live 0/10 of 10 failed (FUNCTION_ERROR_INIT_FAILURE), f:live: 10 reached 0+10
    10:00 f:live 0/10 of 10 in-progress (FUNCTION_ERROR_INIT_FAILURE), f:live: 10 reached 0+10
    10:01 f:live 0/10 of 10 in-progress, f:live: 10 reached 0+10
    10:02 f:live 0/10 of 10 failed (FUNCTION_ERROR_INIT_FAILURE), f:live: 10 reached 0+10
    10:15 f:live 0/10 of 10 in-progress (FUNCTION_ERROR_INIT_FAILURE), f:live: 10 reached 0+10
    10:16 f:live 0/10 of 10 in-progress, f:live: 10 reached 0+10
    10:17 f:live 0/10 of 10 failed (FUNCTION_ERROR_INIT_FAILURE), f:live: 10 reached 0+10
    10:30 f:live 0/10 of 10 in-progress (FUNCTION_ERROR_INIT_FAILURE), f:live: 10 reached 0+10
    10:31 f:live 0/10 of 10 in-progress, f:live: 10 reached 0+10
    10:32 f:live 10/10 of 10 ready, f:live: 10 reached 0+10
    10:33 f:live 10/10 of 10 ready
    by: direct: weights
    09:00 f:live 0/0 of 0 closed
    09:56 f:live 0/0 of 10 waiting (alias-weights)
    09:59 f:live 0/0 of 10 waiting (alias-weights), f:live: 10 reached 0+20
    10:20 f:live 0/0 of 10 in-progress, f:live: 10 reached 0+10
    10:21 f:live 0/10 of 10 in-progress, f:live: 10 reached 0+10
    10:22 f:live 10/10 of 10 ready, f:live: 10 reached 0+10
    10:23 f:live 10/10 of 10 ready
    by: direct: quota
    09:00 f:live 0/0 of 0 closed
    09:56 f:live 0/0 of 10 waiting (quota)
    09:59 f:live 0/0 of 10 waiting (quota), f:live: 10 reached 0+10
    10:20 f:live 0/0 of 10 in-progress, f:live: 10 reached 0+10
    10:21 f:live 0/10 of 10 in-progress, f:live: 10 reached 0+10
    10:22 f:live 10/10 of 10 ready, f:live: 10 reached 0+10
    10:23 f:live 10/10 of 10 ready
    by: autoscaling, max: 20: failed
    09:00 f:live 0/0 of 0 closed
    09:56 f:live 0/10 of 10 in-progress
    09:57 f:live 0/10 of 10 failed (FUNCTION_ERROR_INIT_FAILURE)
    09:59 f:live 0/10 of 10 failed (FUNCTION_ERROR_INIT_FAILURE), f:live: 10 reached 0+10
    10:00 f:live 0/10 of 10 in-progress (FUNCTION_ERROR_INIT_FAILURE), f:live: 10 reached 0+10
    10:01 f:live 0/10 of 10 in-progress, f:live: 10 reached 0+10
    10:02 f:live 0/10 of 10 failed (FUNCTION_ERROR_INIT_FAILURE), f:live: 10 reached 0+10
    10:15 f:live 0/10 of 10 in-progress (FUNCTION_ERROR_INIT_FAILURE), f:live: 10 reached 0+10
    10:16 f:live 0/10 of 10 in-progress, f:live: 10 reached 0+10
    10:17 f:live 0/10 of 10 failed (FUNCTION_ERROR_INIT_FAILURE), f:live: 10 reached 0+10
    10:30 f:live 0/10 of 10 in-progress (FUNCTION_ERROR_INIT_FAILURE), f:live: 10 reached 0+10
    10:31 f:live 0/10 of 10 in-progress, f:live: 10 reached 0+10
    10:32 f:live 10/10 of 10 ready, f:live: 10 reached 0+10
    10:33 f:live 10/10 of 10 ready
    by: autoscaling, max: 20: weights
    09:00 f:live 0/0 of 0 closed
    09:56 f:live 0/0 of 10 in-progress
    09:57 f:live 0/0 of 10 waiting (alias-weights)
    09:59 f:live 0/0 of 10 waiting (alias-weights), f:live: 10 reached 0+20
    10:20 f:live 0/0 of 10 in-progress, f:live: 10 reached 0+10
    10:21 f:live 0/10 of 10 in-progress, f:live: 10 reached 0+10
    10:22 f:live 10/10 of 10 ready, f:live: 10 reached 0+10
    10:23 f:live 10/10 of 10 ready
    by: autoscaling, max: 20: quota
    09:00 f:live 0/0 of 0 closed
    09:56 f:live 0/0 of 10 in-progress
    09:57 f:live 0/0 of 10 waiting (quota)
    09:59 f:live 0/0 of 10 waiting (quota), f:live: 10 reached 0+10
    10:21 f:live 0/10 of 10 in-progress, f:live: 10 reached 0+10
    10:22 f:live 10/10 of 10 ready, f:live: 10 reached 0+10
    10:23 f:live 10/10 of 10 ready
    ");
}

#[tokio::test(start_paused = true)]
async fn the_objects_of_a_tick() {
    let rig = Rig::new(&deployed("prepare: 5m"), &provisioned("by: direct", WINDOW)).await;
    let mut ticks = rig.run("2026-11-20T10:00").await;
    ticks.extend(rig.run("2026-11-20T10:05").await);
    let of = |time: &str| {
        let tick = ticks.iter().find(|tick| tick.tick == at(time)).unwrap();
        let tick = json!(tick);
        let round = |round: &Value| {
            format!("{}:{} {} {}", round["function"], round["qualifier"], round["target"], round["verdict"])
        };
        let rounds: Vec<String> = tick["rounds"].as_array().unwrap().iter().map(round).collect();
        format!("{} {}", tick["capacity"], rounds.join(""))
    };
    let all = ["2026-11-20T09:50", "2026-11-20T09:56", "2026-11-20T09:59", "2026-11-20T10:02"].map(of);
    insta::assert_snapshot!(all.join("\n"), @r#"
    [{"function":"f","qualifier":"live","region":"eu-west-2","strategy":"provisioned","by":"direct","desired":0,"requested":0,"allocated":0,"available":0,"status":"closed","reason":null,"cost_usd":"0","changes":[]}] 
    [{"function":"f","qualifier":"live","region":"eu-west-2","strategy":"provisioned","by":"direct","desired":10,"requested":0,"allocated":0,"available":0,"status":"in-progress","reason":null,"cost_usd":"0","changes":["put provisioned concurrency 10"]}] 
    [{"function":"f","qualifier":"live","region":"eu-west-2","strategy":"provisioned","by":"direct","desired":10,"requested":10,"allocated":5,"available":0,"status":"in-progress","reason":null,"cost_usd":"0","changes":[]}] "f":"live" 10 "reached"
    [{"function":"f","qualifier":"live","region":"eu-west-2","strategy":"provisioned","by":"direct","desired":10,"requested":10,"allocated":10,"available":10,"status":"ready","reason":null,"cost_usd":"0.0115929000","changes":[]}] "f":"live" 10 "reached"
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_closing_that_cannot_be_done_is_tried_again_and_costs() {
    let mut rows = Vec::new();
    for way in WAYS {
        for name in ["weights", "moving"] {
            let rig = Rig::new(&deployed("prepare: 1m, moving: 10m"), &provisioned(way, WINDOW)).await;
            let mut reports = rig.run("2026-11-20T11:57").await;
            let weight = (name == "weights").then_some(("8", 0.01));
            let version = (name == "moving").then_some("8");
            rig.account.emulator.update_alias(REGION, "f", "live", version, weight).unwrap();
            let late = rig.run("2026-11-20T12:20").await;
            let waiting: Vec<_> =
                late.iter().filter(|report| report.tick >= at("2026-11-20T12:01")).cloned().collect();
            rows.push(format!("{way}: {name}, {} s after 12:00", seconds(&waiting)));
            reports.extend(late.iter().cloned());
            if name == "weights" {
                rig.account.emulator.update_alias(REGION, "f", "live", None, None).unwrap();
            }
            let end = rig.run("2026-11-20T12:25").await;
            rows.push(lines(&late.into_iter().chain(end.iter().cloned()).collect::<Vec<_>>()));
            reports.extend(end);
            assert_eq!(
                (rig.requested("f:live"), reports.last().unwrap().capacity[0].requested),
                (0, Some(0))
            );
            let (cost, bill) = (seconds(&reports), rig.bill("f:live"));
            assert!(cost.abs_diff(bill) <= 300 * 10, "{way} {name}: {cost} {bill}");
        }
    }
    insta::assert_snapshot!(rows.join("\n"), @"
    by: direct: weights, 12000 s after 12:00
    11:57 f:live 10/10 of 10 ready
    12:00 f:live 10/10 of 0 waiting (alias-weights)
    12:20 f:live 10/10 of 0 in-progress
    12:21 f:live 0/0 of 0 closed
    by: direct: moving, 3000 s after 12:00
    11:57 f:live 10/10 of 10 ready
    12:00 f:live 10/10 of 0 waiting (alias-weights)
    12:06 f:live 10/10 of 0 in-progress
    12:07 f:live 0/0 of 0 closed
    by: autoscaling, max: 20: weights, 12000 s after 12:00
    11:57 f:live 10/10 of 10 ready
    12:00 f:live 10/10 of 0 waiting (alias-weights)
    12:20 f:live 10/10 of 0 in-progress
    12:21 f:live 0/0 of 0 closed
    by: autoscaling, max: 20: moving, 6000 s after 12:00
    11:57 f:live 10/10 of 10 ready
    12:00 f:live 10/10 of 0 waiting (alias-weights)
    12:06 f:live 10/10 of 0 in-progress
    12:08 f:live 0/0 of 0 closed
    ");
}
