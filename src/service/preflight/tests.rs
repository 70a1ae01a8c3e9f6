use std::sync::Mutex as StdMutex;

use tokio::time::Instant;

use super::*;
use crate::domain::calendar::Window;
use crate::domain::fleet::OnRequest;
use crate::domain::function::FunctionRef;
use crate::domain::preflight::{AccountLimits, Deployed};

fn target(function: &str, region: &str) -> Target {
    let on_request =
        OnRequest { max_concurrency: 5, max_for: Duration::from_secs(60), coalesce: Duration::from_secs(60) };
    let bare = Target::bare(&FunctionRef::parse(function).unwrap(), Region::parse(region).unwrap());
    Target { on_request: Some(on_request), windows: Vec::<Window>::new(), ..bare }
}

/// Notes what it is asked, and when; answers a millisecond later.
#[derive(Debug, Default)]
struct Noting {
    asked: Arc<StdMutex<Vec<(Instant, String)>>>,
    account: Lookup<AccountLimits>,
}

impl Noting {
    async fn answer<T>(&self, what: &str, of: &str, answer: Lookup<T>) -> Lookup<T> {
        self.asked.lock().unwrap().push((Instant::now(), format!("{what} {of}")));
        tokio::time::sleep(Duration::from_millis(1)).await;
        answer
    }
}

impl Control for Noting {
    async fn invoke(&self, of: &Identity, _: Option<&Arc<Role>>, _: &DryRun) -> Lookup<DryRunOutcome> {
        let answer = match of.name.as_str() {
            "gone" => Lookup::Missing,
            name if name.starts_with("run") => Lookup::Known(DryRunOutcome::Ran(200)),
            _ => Lookup::Known(DryRunOutcome::Dry),
        };
        self.answer("invoke", &of.label(), answer).await
    }

    async fn configuration(&self, of: &Identity, _: Option<&Arc<Role>>) -> Lookup<Deployed> {
        self.answer("configuration", &of.label(), Lookup::Known(Deployed::default())).await
    }

    async fn provisioned(&self, of: &Identity, _: Option<&Arc<Role>>) -> Lookup<Option<u32>> {
        self.answer("provisioned", &of.label(), Lookup::Known(None)).await
    }

    async fn reserved(&self, of: &Identity, _: Option<&Arc<Role>>) -> Lookup<Option<u32>> {
        self.answer("reserved", of.name.as_str(), Lookup::Known(None)).await
    }

    async fn account(&self, region: Region, _: Option<&Arc<Role>>) -> Lookup<AccountLimits> {
        self.answer("account", region.as_str(), self.account.clone()).await
    }
}

#[tokio::test(start_paused = true)]
async fn each_thing_is_asked_once_and_of_what_is_not_there_no_more() {
    let targets = [
        target("f", "eu-west-2"),
        target("f:live", "eu-west-2"),
        target("gone:live", "eu-west-2"),
        Target { on_request: None, ..target("resting", "eu-west-2") },
    ];
    let control = Noting::default();
    let asked = Arc::clone(&control.asked);
    let seen = Preflight::of(&targets).observe(control).await;
    let mut asked: Vec<String> = asked.lock().unwrap().iter().map(|(_, what)| what.clone()).collect();
    asked.sort();
    assert_eq!(
        asked,
        [
            "account eu-west-2",
            "configuration f",
            "configuration f:live",
            "invoke f",
            "invoke f:live",
            "invoke gone:live",
            "provisioned f:live",
            "reserved f",
            "reserved gone",
        ]
    );
    assert_eq!(seen.targets[1].provisioned, Lookup::Known(None));
    assert_eq!(
        (&seen.targets[2].invoke, &seen.targets[2].configuration),
        (&Lookup::Missing, &Lookup::NotAsked)
    );
}

#[tokio::test(start_paused = true)]
async fn reads_go_out_ten_a_second_in_each_region_and_take_as_long_as_was_said() {
    let regions = ["eu-west-2", "us-east-1"];
    let targets: Vec<Target> =
        (0..60).map(|index| target(&format!("f{index}:live"), regions[index % 2])).collect();
    let preflight = Preflight::of(&targets);
    // For each of thirty functions three, and the account's.
    assert_eq!((preflight.reads(), preflight.takes()), (2 * 91, Duration::from_secs(9)));
    let control = Noting::default();
    let asked = Arc::clone(&control.asked);
    let begun = Instant::now();
    preflight.observe(control).await;
    let took = begun.elapsed();
    assert!((9_000..9_100).contains(&took.as_millis()), "{took:?}");
    let asked = asked.lock().unwrap();
    let reads: Vec<Instant> =
        asked.iter().filter(|(_, what)| !what.starts_with("invoke")).map(|(at, _)| *at).collect();
    assert_eq!(reads.len(), 2 * 91);
    // Two regions side by side.
    let hurried = reads.windows(21).filter(|stretch| stretch[20] - stretch[0] < Duration::from_millis(999));
    assert_eq!(hurried.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_answers_nothing_more_is_asked() {
    let targets = [target("f:live", "eu-west-2"), target("g", "eu-west-2")];
    let control = Noting { account: Lookup::Unreachable("no route".to_owned()), ..Noting::default() };
    let asked = Arc::clone(&control.asked);
    let seen = Preflight::of(&targets).observe(control).await;
    assert_eq!(asked.lock().unwrap().len(), 1);
    assert_eq!(seen.targets, vec![Observed::unreachable("no route".to_owned()); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_runs_dry_runs_is_sent_one_in_each_region() {
    let mut targets: Vec<Target> = (0..20).map(|index| target(&format!("run{index}"), "eu-west-2")).collect();
    targets.push(target("run", "us-east-1"));
    targets.push(target("dry", "us-east-2"));
    let control = Noting::default();
    let asked = Arc::clone(&control.asked);
    let seen = Preflight::of(&targets).observe(control).await;
    let count =
        |what: &str| asked.lock().unwrap().iter().filter(|(_, asked)| asked.starts_with(what)).count();
    assert_eq!((count("invoke"), count("configuration")), (3, 22));
    let said = |place: usize| match &seen.targets[place].invoke {
        Lookup::Failed(reason) => reason.clone(),
        other => panic!("{other:?}"),
    };
    assert!(said(0).contains("status 200") && said(0).contains("no more"), "{}", said(0));
    assert!((1..21).all(|place| said(place) == said(0)));
    assert_eq!(seen.targets[21].invoke, Lookup::Known(()));
}
