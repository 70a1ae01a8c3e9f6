//! `warmd warm --like`: a new version with the number of its alias, before traffic moves to it.

use serde_json::{Value, json};

use crate::support::{Done, Fixture, steady};

const FLEET: &str = "
version: 1
defaults: { region: eu-west-2, interval: 5m, timezone: Europe/London }
functions:
  orders:live: { windows: [{ days: daily, hours: all-day, concurrency: 4 }] }
  quiet:live: { windows: [{ dates: [2020-01-01], hours: all-day, concurrency: 4 }] }
  later:live: { windows: [{ dates: [2998-01-02], hours: \"08:00-09:00\", concurrency: 4 }] }
  works:live: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  off:live: { canary: off, windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  short:live: { windows: [{ days: daily, hours: all-day, concurrency: 3 }] }
  asked:live:
    windows: [{ days: daily, hours: all-day, concurrency: 1 }]
    on_request: { max_concurrency: 9, max_for: 1h }
  far:live: { regions: [eu-west-2, us-east-1], windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  shop:live: { protocol: bref, windows: [{ days: daily, hours: all-day, concurrency: 3 }] }
  secret:live:
    protocol: custom
    payload: { token: \"${env:TOKEN}\" }
    windows: [{ days: daily, hours: all-day, concurrency: 1 }]
";
const FUNCTIONS: &str = "
functions:
  orders: { aliases: { live: 7 }, versions: { 7: { code: a }, 8: { code: b } } }
  works: { aliases: { live: 7 }, versions: { 7: { code: a }, 8: { code: b, handler: none } } }
  short: { faults: [{ fault: throttle, every: 2 }] }
  shop: { handler: bref }
";

fn fixture() -> Fixture {
    Fixture::with_functions(FLEET, FUNCTIONS)
}

fn warm(fixture: &Fixture, args: &str) -> Done {
    let configs = fixture.configs();
    let args: Vec<&str> = ["warm"].into_iter().chain(args.split(' ')).chain(["--configs", &configs]).collect();
    fixture.run(&args)
}

/// Returns the results of the rounds of a tick object: function, verdict or reason, reached of the number, pings.
fn rounds(done: &Done) -> Vec<String> {
    let tick = done.json();
    let shown = |round: &Value| {
        let result = round["skipped"].as_str().or(round["verdict"].as_str()).unwrap();
        let function = round["function"].as_str().unwrap();
        format!("{function} {result} {}/{} {}", round["reached"], round["target"], round["pings"])
    };
    tick["rounds"].as_array().unwrap().iter().map(shown).collect()
}

#[test]
fn a_new_version_gets_the_number_of_its_alias_before_traffic_moves() {
    let fixture = fixture();
    let done = warm(&fixture, "orders:8 --like live --require-reached --json");
    assert_eq!((done.code, rounds(&done)), (0, vec!["orders:8 reached 4/4 5".to_owned()]), "{}", done.stderr);
    let seen = fixture.emulate.observations();
    let invocations = seen["invocations"].as_array().unwrap();
    assert!(invocations.iter().all(|ping| ping["qualifier"] == json!("8")), "{invocations:?}");
    // The settings are those of the alias.
    let done = warm(&fixture, "shop:3 --like live --require-reached --json");
    assert_eq!(done.code, 3, "bref cannot be proven by ids: {}", done.stdout);
    let done = warm(&fixture, "shop:3 --like live --json");
    assert!(["reached", "unproven"].contains(&done.json()["rounds"][0]["verdict"].as_str().unwrap()));
}
