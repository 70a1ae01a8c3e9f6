use std::sync::Mutex as StdMutex;

use tokio::time::Instant;

use super::*;
use crate::domain::calendar::Window;
use crate::domain::capacity::{Managed, Strategy};
use crate::domain::fleet::OnRequest;
use crate::domain::function::{FunctionRef, Qualifier, Tenant};
use crate::domain::preflight::{AccountLimits, Deployed};
use crate::domain::routing::Routing;

fn target(function: &str, region: &str) -> Target {
    let on_request = OnRequest {
        max_concurrency: 5,
        max_for: Duration::from_secs(60),
        coalesce: Duration::from_secs(60),
        hold_for: crate::domain::backlog::DEFAULT_HOLD,
    };
    let bare = Target::bare(&FunctionRef::parse(function).unwrap(), Region::parse(region).unwrap());
    Target { on_request: Some(on_request), windows: Vec::<Window>::new(), ..bare }
}

/// Records the reads and their times. Answers after a millisecond.
#[derive(Debug, Default)]
struct ScriptedControl {
    reads: Arc<StdMutex<Vec<(Instant, String)>>>,
    account: Lookup<AccountLimits>,
}

impl ScriptedControl {
    async fn answer<T>(&self, what: &str, of: &str, answer: Lookup<T>) -> Lookup<T> {
        self.reads.lock().unwrap().push((Instant::now(), format!("{what} {of}")));
        tokio::time::sleep(Duration::from_millis(1)).await;
        answer
    }
}

impl Control for ScriptedControl {
    async fn invoke(&self, of: &Identity, _: Option<&Arc<Role>>, _: &DryRun) -> Lookup<DryRunOutcome> {
        let answer = match of.name.as_str() {
            "gone" => Lookup::Missing,
            name if name.starts_with("run") => Lookup::Known(DryRunOutcome::Ran(200)),
            _ => Lookup::Known(DryRunOutcome::Dry),
        };
        self.answer("invoke", &of.shown(), answer).await
    }

    async fn configuration(&self, of: &Identity, _: Option<&Arc<Role>>) -> Lookup<Deployed> {
        self.answer("configuration", &of.shown(), Lookup::Known(Deployed::default())).await
    }

    async fn alias(&self, of: &Identity, _: Option<&Arc<Role>>) -> Lookup<Routing> {
        let version = Qualifier::parse("7").unwrap();
        self.answer("alias", &of.shown(), Lookup::Known(Routing::to(version))).await
    }

    async fn provisioned(&self, of: &Identity, _: Option<&Arc<Role>>) -> Lookup<Option<u32>> {
        self.answer("provisioned", &of.shown(), Lookup::Known(None)).await
    }

    async fn reserved(&self, of: &Identity, _: Option<&Arc<Role>>) -> Lookup<Option<u32>> {
        self.answer("reserved", of.name.as_str(), Lookup::Known(None)).await
    }

    async fn account(&self, region: Region, _: Option<&Arc<Role>>) -> Lookup<AccountLimits> {
        self.answer("account", region.as_str(), self.account.clone()).await
    }
}

#[tokio::test(start_paused = true)]
async fn each_setting_is_read_once_and_none_of_missing_functions() {
    let targets = [
        target("f", "eu-west-2"),
        target("f:live", "eu-west-2"),
        target("gone:live", "eu-west-2"),
        Target { on_request: None, ..target("resting", "eu-west-2") },
        Target {
            strategy: Strategy::Managed(Managed { floor: 3, max: 9 }),
            ..target("managed", "eu-west-2")
        },
    ];
    let control = ScriptedControl::default();
    let reads = Arc::clone(&control.reads);
    let seen = Preflight::new(&targets).observe(control).await;
    let mut reads: Vec<String> = reads.lock().unwrap().iter().map(|(_, what)| what.clone()).collect();
    reads.sort();
    assert_eq!(
        reads,
        [
            "account eu-west-2",
            "alias f:live",
            "configuration f",
            "configuration f:live",
            "configuration managed",
            "invoke f",
            "invoke f:live",
            "invoke gone:live",
            "provisioned f:live",
            "reserved f",
            "reserved gone",
            "reserved managed",
        ]
    );
    assert_eq!(seen.targets[1].provisioned, Lookup::Known(None));
    assert_eq!(
        (&seen.targets[2].invoke, &seen.targets[2].configuration),
        (&Lookup::Missing, &Lookup::NotRead)
    );
}

#[tokio::test(start_paused = true)]
async fn one_read_serves_all_tenants() {
    let of = |function: &str, tenant: &str| {
        let target = target(function, "eu-west-2");
        Target { id: Identity { tenant: Tenant::parse(tenant).ok(), ..target.id }, ..target }
    };
    let targets = [of("f", "b"), of("f", "a"), of("f:live", "b"), of("f:live", "a")];
    let control = ScriptedControl::default();
    let reads = Arc::clone(&control.reads);
    let preflight = Preflight::new(&targets);
    assert_eq!(preflight.reads(), 6);
    let seen = preflight.observe(control).await;
    let mut reads: Vec<String> = reads.lock().unwrap().iter().map(|(_, what)| what.clone()).collect();
    reads.sort();
    let expected = [
        "account eu-west-2",
        "alias f:live@b",
        "configuration f:live@b",
        "configuration f@b",
        "invoke f:live@b",
        "invoke f@b",
        "provisioned f:live@b",
        "reserved f",
    ];
    assert_eq!(reads, expected, "the dry runs name a tenant");
    assert!(seen.targets.iter().all(TargetObservation::was_compared));
}

#[tokio::test(start_paused = true)]
async fn reads_are_limited_to_ten_per_second_and_region() {
    let regions = ["eu-west-2", "us-east-1"];
    let targets: Vec<Target> =
        (0..60).map(|index| target(&format!("f{index}:live"), regions[index % 2])).collect();
    let preflight = Preflight::new(&targets);
    // Four for each of thirty functions, and one of the account.
    assert_eq!((preflight.reads(), preflight.duration()), (2 * 121, Duration::from_secs(12)));
    let control = ScriptedControl::default();
    let reads = Arc::clone(&control.reads);
    let begun = Instant::now();
    preflight.observe(control).await;
    let took = begun.elapsed();
    assert!((12_000..12_100).contains(&took.as_millis()), "{took:?}");
    let reads = reads.lock().unwrap();
    let reads: Vec<Instant> =
        reads.iter().filter(|(_, what)| !what.starts_with("invoke")).map(|(at, _)| *at).collect();
    assert_eq!(reads.len(), 2 * 121);
    // Two regions at the same time.
    let too_fast = reads.windows(21).filter(|stretch| stretch[20] - stretch[0] < Duration::from_millis(999));
    assert_eq!(too_fast.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_account_is_read_once() {
    let targets = [target("f:live", "eu-west-2"), target("g", "eu-west-2")];
    let control =
        ScriptedControl { account: Lookup::Unreachable("no route".to_owned()), ..ScriptedControl::default() };
    let reads = Arc::clone(&control.reads);
    let seen = Preflight::new(&targets).observe(control).await;
    assert_eq!(reads.lock().unwrap().len(), 1);
    assert_eq!(seen.targets, vec![TargetObservation::unreachable("no route".to_owned()); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_invokes_dry_runs_gets_one_per_region() {
    let mut targets: Vec<Target> = (0..20).map(|index| target(&format!("run{index}"), "eu-west-2")).collect();
    targets.push(target("run", "us-east-1"));
    targets.push(target("dry", "us-east-2"));
    let control = ScriptedControl::default();
    let reads = Arc::clone(&control.reads);
    let seen = Preflight::new(&targets).observe(control).await;
    let count = |what: &str| reads.lock().unwrap().iter().filter(|(_, read)| read.starts_with(what)).count();
    assert_eq!((count("invoke"), count("configuration")), (3, 22));
    let reason = |index: usize| match &seen.targets[index].invoke {
        Lookup::Failed(reason) => reason.clone(),
        other => panic!("{other:?}"),
    };
    assert!(reason(0).contains("status 200") && reason(0).contains("no more"), "{}", reason(0));
    assert!((1..21).all(|index| reason(index) == reason(0)));
    assert_eq!(seen.targets[21].invoke, Lookup::Known(()));
}
