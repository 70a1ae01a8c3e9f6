use super::*;
use crate::domain::capacity::{By, Fallback, Managed, Provisioned, Strategy};
use crate::domain::fleet::Target;

fn report(function: &str, strategy: Strategy, status: Status, reason: Option<&str>) -> CapacityReport {
    let target = Target { strategy, ..Target::example(function, "eu-west-2", Vec::new()) };
    CapacityReport {
        requested: Some(10),
        allocated: Some(10),
        available: Some(10),
        status,
        reason: reason.map(str::to_owned),
        cost_usd: Some("0.0025".parse().unwrap()),
        ..CapacityReport::new(&target, 10)
    }
}

fn provisioned(by: By) -> Strategy {
    Strategy::Provisioned(Provisioned { by, fallback: Fallback::Pings })
}

fn all() -> Vec<CapacityReport> {
    let scaled = provisioned(By::Autoscaling { max: 50, utilization: 70 });
    let actions = (1..=6).map(|index| format!("put scheduled action warmd-warmd-{index} 10 to 50"));
    let managed = Strategy::Managed(Managed { floor: 3, max: 100 });
    vec![
        CapacityReport {
            changes: ["register scalable target 10 to 50".to_owned()].into_iter().chain(actions).collect(),
            available: Some(0),
            ..report("checkout-api:live", scaled, Status::InProgress, None)
        },
        report("theirs:live", scaled, Status::Conflict, Some("foreign-policy")),
        report("closing:live", provisioned(By::Direct), Status::Waiting, Some("alias-weights")),
        CapacityReport { allocated: None, cost_usd: None, ..report("fleet:7", managed, Status::Ready, None) },
        CapacityReport {
            requested: None,
            allocated: None,
            available: None,
            ..report("old:1", Strategy::Pings, Status::Unknown, Some("not-read\u{1b}[31m"))
        },
    ]
}

fn priced(reports: &[CapacityReport]) -> Vec<PricedCapacity<'_>> {
    let usd = |report: &CapacityReport| report.allocated.map(|_| "0.1500".parse().unwrap());
    reports.iter().map(|report| PricedCapacity { report, usd_per_hour: usd(report) }).collect()
}

#[test]
fn the_status_is_a_table() {
    insta::assert_snapshot!(status(&priced(&all()), Style::default()), @r"
      FUNCTION           REGION     STRATEGY     BY           DESIRED  REQUESTED  ALLOCATED  AVAILABLE  COST/HOUR  STATUS       REASON
    … checkout-api:live  eu-west-2  provisioned  autoscaling       10         10         10          0  $0.150000  in-progress
    ✗ theirs:live        eu-west-2  provisioned  autoscaling       10         10         10         10  $0.150000  conflict     foreign-policy
    ! closing:live       eu-west-2  provisioned  direct            10         10         10         10  $0.150000  waiting      alias-weights
    ✓ fleet:7            eu-west-2  managed                        10         10                    10    unknown  ready
    ? old:1              eu-west-2  pings                          10          ?          ?          ?    unknown  unknown      not-read\u{1b}[31m
    ");
    assert_eq!(status(&[], Style::default()), "");
}

#[test]
fn a_tick_shows_the_state_and_the_first_changes() {
    insta::assert_snapshot!(tick(&all(), false, Style::default()), @r"
      CAPACITY           REGION     STRATEGY     AVAILABLE       COST  STATUS       REASON
    … checkout-api:live  eu-west-2  provisioned       0/10  $0.002500  in-progress
    ✗ theirs:live        eu-west-2  provisioned      10/10  $0.002500  conflict     foreign-policy
    ! closing:live       eu-west-2  provisioned      10/10  $0.002500  waiting      alias-weights
    ✓ fleet:7            eu-west-2  managed          10/10    unknown  ready
    ? old:1              eu-west-2  pings             ?/10  $0.002500  unknown      not-read\u{1b}[31m
    checkout-api:live (eu-west-2): register scalable target 10 to 50, put scheduled action warmd-warmd-1
      10 to 50, put scheduled action warmd-warmd-2 10 to 50, put scheduled action warmd-warmd-3 10 to 50
      and 3 more changes
    ");
    insta::assert_snapshot!(sum(&all()).unwrap(), @"capacity of 5 targets: 1 ready, 1 in-progress, 1 waiting, 1 conflict, 1 unknown; cost at least $0.010000");
    insta::assert_snapshot!(tick(&all()[..1], true, Style::default()), @"
      CAPACITY           REGION     STRATEGY     AVAILABLE  STATUS
    … checkout-api:live  eu-west-2  provisioned       0/10  in-progress
    checkout-api:live (eu-west-2) planned: register scalable target 10 to 50, put scheduled action
      warmd-warmd-1 10 to 50, put scheduled action warmd-warmd-2 10 to 50, put scheduled action
      warmd-warmd-3 10 to 50 and 3 more changes
    ");
    assert_eq!((tick(&[], false, Style::default()), sum(&[])), (String::new(), None));
}

#[test]
fn a_large_fleet_shows_the_worst_first() {
    let of = |index: usize| {
        let status = if index == 29 { Status::Failed } else { Status::Ready };
        report(&format!("f{index}:live"), provisioned(By::Direct), status, None)
    };
    let shown = tick(&(0..30).map(of).collect::<Vec<_>>(), false, Style::default());
    assert!(shown.lines().nth(1).unwrap().starts_with("✗ f29:live"), "{shown}");
    assert!(shown.ends_with("  … and 10 more targets, see --json\n"), "{shown}");
}

#[test]
fn all_changes_are_listed_before_consent() {
    insta::assert_snapshot!(changes(&priced(&all())), @"
    checkout-api:live (eu-west-2): 10 requested, 0 available, $0.150000 an hour
      register scalable target 10 to 50
      put scheduled action warmd-warmd-1 10 to 50
      put scheduled action warmd-warmd-2 10 to 50
      put scheduled action warmd-warmd-3 10 to 50
      put scheduled action warmd-warmd-4 10 to 50
      put scheduled action warmd-warmd-5 10 to 50
      put scheduled action warmd-warmd-6 10 to 50
    theirs:live (eu-west-2): 10 requested, 10 available, $0.150000 an hour
    closing:live (eu-west-2): 10 requested, 10 available, $0.150000 an hour
    fleet:7 (eu-west-2): 10 requested, 10 available, cost unknown
    old:1 (eu-west-2): ? requested, ? available, cost unknown
    ");
}

#[test]
fn json_has_the_keys_of_the_tick_and_the_price() {
    let json = serde_json::to_string(&priced(&all()[..1])).unwrap();
    insta::assert_snapshot!(json, @r#"[{"function":"checkout-api","qualifier":"live","region":"eu-west-2","strategy":"provisioned","by":"autoscaling","desired":10,"requested":10,"allocated":10,"available":0,"status":"in-progress","reason":null,"cost_usd":"0.0025","changes":["register scalable target 10 to 50","put scheduled action warmd-warmd-1 10 to 50","put scheduled action warmd-warmd-2 10 to 50","put scheduled action warmd-warmd-3 10 to 50","put scheduled action warmd-warmd-4 10 to 50","put scheduled action warmd-warmd-5 10 to 50","put scheduled action warmd-warmd-6 10 to 50"],"usd_per_hour":"0.1500"}]"#);
}
