//! Target tracking: users that come and go.

use aws_sdk_lambda::primitives::Blob;
use futures_util::future::join_all;

use super::*;

/// Each invocation takes 20 s.
const FUNCTIONS: &str =
    "functions: { f: { aliases: { live: 7 }, prepare: 60s, init: 1s..1s, duration: 20s } }";

impl Rig {
    /// Serves the tick of a minute. Then so many users arrive at once.
    async fn minute(&self, users: u32) -> TickReport {
        let report = self.tick().await;
        invoke(self, users).await;
        report
    }
}

/// Invokes the function concurrently.
pub async fn invoke(rig: &Rig, users: u32) {
    let client = aws_sdk_lambda::Client::new(&sdk(&rig.account.emulator, REGION));
    let one =
        |_| client.invoke().function_name("f").qualifier("live").payload(Blob::new("{\"orderId\":7}")).send();
    join_all((0..users).map(one)).await.into_iter().for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
}

#[tokio::test(start_paused = true)]
async fn capacity_tracks_users_from_none_to_a_hundred_and_back() {
    let config = provisioned("max: 200", "{ days: daily, hours: \"09:00-21:00\", concurrency: 10 }");
    let rig = Rig::new(FUNCTIONS, &config).await;
    rig.run("2026-11-20T09:05").await;
    let (mut rows, mut last) = (Vec::new(), (u32::MAX, 0, Vec::new()));
    let users = [(3, 0), (3, 6), (3, 20), (3, 50), (16, 100), (20, 60), (20, 20), (40, 0)];
    for users in users.into_iter().flat_map(|(minutes, users)| (0..minutes).map(move |_| users)) {
        let report = rig.minute(users).await;
        let now = (users, report.capacity[0].requested.unwrap(), rig.targets());
        if now != last {
            let bounds = now.2[0].rsplit(' ').next().unwrap();
            rows.push(format!("{} {users:3} users, {:3} in {bounds}", report.tick.format("%H:%M"), now.1));
            last = now;
        }
    }
    insta::assert_snapshot!(rows.join("\n"), @"
    09:05   0 users,  10 in 10..200
    09:08   6 users,  10 in 10..200
    09:11  20 users,  10 in 10..200
    09:14  50 users,  15 in 10..200
    09:17 100 users,  15 in 10..200
    09:18 100 users,  22 in 10..200
    09:22 100 users,  32 in 10..200
    09:26 100 users,  46 in 10..200
    09:30 100 users,  66 in 10..200
    09:33  60 users,  66 in 10..200
    09:34  60 users,  86 in 10..200
    09:53  20 users,  86 in 10..200
    10:08  20 users,  29 in 10..200
    10:13   0 users,  29 in 10..200
    10:28   0 users,  29 in 10..10
    10:29   0 users,  10 in 10..200
    ");
}

#[tokio::test(start_paused = true)]
async fn a_burst_followed_by_silence_comes_down() {
    let config = provisioned("max: 50", "{ days: daily, hours: \"09:00-21:00\", concurrency: 10 }");
    let rig = Rig::new(FUNCTIONS, &config).await;
    rig.run("2026-11-20T09:05").await;
    while rig.requested("f:live") < 50 {
        rig.minute(45).await;
    }
    // Traffic between the thresholds: neither warmd nor Application Auto Scaling lowers anything.
    for _ in 0..25 {
        rig.minute(33).await;
        assert_eq!((rig.requested("f:live"), rig.targets()), (50, vec!["function:f:live 10..50".to_owned()]));
    }
    let silent = Minute::of(rig.account.clock.now());
    let mut rows = vec![format!("0 min: {} in {}", rig.requested("f:live"), rig.targets()[0])];
    for _ in 0..30 {
        let report = rig.tick().await;
        let row = format!(": {} in {}", rig.requested("f:live"), rig.targets()[0]);
        if !rows.last().unwrap().ends_with(&row) {
            rows.push(format!("{} min{row}", Minute::of(report.tick).epoch() - silent.epoch()));
        }
    }
    insta::assert_snapshot!(rows.join("\n"), @"
    0 min: 50 in function:f:live 10..50
    16 min: 10 in function:f:live 10..10
    17 min: 10 in function:f:live 10..50
    ");
    // The next burst scales out again.
    for _ in 0..10 {
        rig.minute(30).await;
    }
    assert!(rig.requested("f:live") > 20, "{}", rig.requested("f:live"));
}
