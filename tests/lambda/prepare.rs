//! `limits.prepare`, from the configuration to the wire.

use chrono::TimeDelta;
use warmd::emulator::Scenario;

use crate::support::{Setting, Stage, now, scheduled};

fn config(prepare: &str, concurrency: u32) -> String {
    format!(
        "version: 1\nlimits: {{ prepare: {prepare} }}\ndefaults: {{ interval: 1m, region: eu-west-2 }}\nfunctions:\n  \
         f: {{ windows: [{{ days: daily, hours: all-day, concurrency: {concurrency} }}] }}\n"
    )
}

fn dry_runs(stage: &Stage) -> usize {
    stage.emulator.observe().invocations.iter().filter(|seen| seen.kind == "DryRun").count()
}

#[tokio::test]
async fn new_connections_are_prepared_as_the_configuration_in_force_says() {
    let first = config("dry-run", 5);
    let setting = Setting { scenario: Scenario::default(), config: &first, variables: &[] };
    let mut stage = Stage::set(setting).await;
    stage.tick(scheduled(now() - TimeDelta::minutes(1))).await;
    assert_eq!(dry_runs(&stage), 5);

    // More pings than there are connections, so that some are new whatever is left of the others.
    for (minute, prepare, concurrency) in [(0, "off", 8), (1, "dry-run", 20)] {
        let before = dry_runs(&stage);
        std::fs::write(stage.folder.path().join("fleet.yaml"), config(prepare, concurrency)).unwrap();
        let tick = stage.tick(scheduled(now() + TimeDelta::minutes(minute))).await;
        assert_eq!(tick["rounds"][0]["reached"], concurrency, "{tick}");
        assert_eq!(dry_runs(&stage) > before, prepare == "dry-run", "{prepare}");
    }
}
