//! Metrics while CloudWatch is away: the spool, and its replay through the SDK.

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;
use warmd::aws::CloudWatch;
use warmd::domain::metric_data::{Batch, DIMENSIONS, Datum};
use warmd::domain::metrics::Unit;
use warmd::emulator::{Emulator, Fault, FaultKind, Scenario};
use warmd::engine::stop::stop;
use warmd::service::recorder::{PATIENCE, Recorded, Recorder};
use warmd::service::store::{Lock, Spool};

use crate::counted::{Page, now, pings, slow};
use crate::{Connect, clients_through, emulator_dialer};

/// A recorder with a spool, and the CloudWatch of an emulator.
struct Fixture {
    emulator: Emulator,
    page: Page,
    recorder: Recorder<CloudWatch>,
    now: DateTime<Utc>,
    _lock: Lock,
    folder: tempfile::TempDir,
}

impl Fixture {
    /// `faults` are those of CloudWatch. The first `refused` connections are refused.
    fn new(faults: Vec<Fault>, refused: u64) -> Self {
        let emulator = Emulator::new(Scenario { metrics: faults, ..Scenario::default() });
        let dialer = emulator_dialer(&emulator, move |connection| match connection <= refused {
            true => Connect::Refuse,
            false => Connect::Serve,
        });
        let folder = tempfile::tempdir().unwrap();
        let (lock, page) = (Lock::take(folder.path()).unwrap(), Page::default());
        let cloudwatch = clients_through(dialer).cloudwatch().unwrap();
        let recorder = Recorder::new(cloudwatch, Box::new(page.clone()))
            .with_spool(Some(Spool::new(folder.path(), &lock)));
        Self { emulator, page, recorder, now: now(), _lock: lock, folder }
    }

    /// Puts a batch of `age` with `pings` of the fleet, and as many environments of a target.
    async fn put(&self, age: TimeDelta, pings: f64) -> Recorded {
        let dimensions = DIMENSIONS.into_iter().zip(["f:live".to_owned(), "eu-west-2".to_owned()]);
        let data = vec![
            Datum { name: "Pings", unit: Unit::Count, dimensions: Vec::new(), value: pings },
            Datum { name: "Reached", unit: Unit::Count, dimensions: dimensions.collect(), value: pings },
        ];
        let batch = Batch { namespace: "fleet/a".to_owned(), at: self.now - age, data };
        self.recorder.put(&batch, Instant::now() + PATIENCE).await
    }

    async fn replay(&self) {
        let (_stopper, stop) = stop();
        self.recorder.replay(self.now, &stop, || Instant::now() + PATIENCE).await;
    }

    /// Returns what CloudWatch has counted: ages in seconds, names and values.
    fn counted(&self) -> Vec<(i64, String, f64)> {
        let metrics = self.emulator.observe().metrics;
        let counted = metrics.iter().map(|metric| {
            assert_eq!((metric.namespace.as_str(), metric.unit.as_deref()), ("fleet/a", Some("Count")));
            let is_of_target = metric.name == "Reached";
            assert_eq!(metric.dimensions.len(), if is_of_target { 2 } else { 0 });
            // CloudWatch keeps milliseconds.
            let age = self.now - metric.timestamp.unwrap() + TimeDelta::milliseconds(500);
            (age.num_seconds(), metric.name.clone(), metric.values[0].0)
        });
        counted.collect()
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("metrics-spool")).map_or(0, Iterator::count)
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_have_their_own_timestamps_when_cloudwatch_is_back() {
    let fixture = Fixture::new(vec![Fault::first(3, FaultKind::refuse(403))], 0);
    let day = TimeDelta::days(1);
    for (age, pings) in [(day * 14 - TimeDelta::hours(1), 1.0), (day, 2.0), (TimeDelta::minutes(1), 3.0)] {
        assert_eq!(fixture.put(age, pings).await, Recorded::FellBack);
    }
    assert_eq!((fixture.counted(), fixture.files()), (Vec::new(), 3));
    assert_eq!(fixture.put(TimeDelta::zero(), 4.0).await, Recorded::Sent);
    fixture.replay().await;
    let expected = [(0, 4.0), (14 * 86_400 - 3_600, 1.0), (86_400, 2.0), (60, 3.0)];
    let expected = expected
        .iter()
        .flat_map(|(age, value)| ["Pings", "Reached"].map(|name| (*age, name.to_owned(), *value)));
    assert_eq!(fixture.counted(), expected.collect::<Vec<_>>());
    assert_eq!((fixture.files(), pings(&fixture.page, true), pings(&fixture.page, false)), (0, 0.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn metrics_wait_while_the_network_is_away() {
    // Three attempts for each batch.
    let fixture = Fixture::new(Vec::new(), 6);
    assert_eq!(fixture.put(TimeDelta::minutes(2), 1.0).await, Recorded::FellBack);
    assert_eq!(fixture.put(TimeDelta::minutes(1), 2.0).await, Recorded::FellBack);
    assert_eq!(fixture.files(), 2);
    assert_eq!(fixture.put(TimeDelta::zero(), 3.0).await, Recorded::Sent);
    fixture.replay().await;
    let ages: Vec<i64> = fixture.counted().iter().map(|(age, ..)| *age).collect();
    assert_eq!((ages, fixture.files()), (vec![0, 0, 120, 120, 60, 60], 0));
}

#[tokio::test(start_paused = true)]
async fn a_replay_counts_nothing_twice() {
    for unclear in [slow(3_600.0), FaultKind::Reset] {
        // The second request, that of the replay, is counted and has no answer.
        let faults = vec![Fault::first(1, FaultKind::refuse(403)), Fault::every(2, unclear.clone())];
        let fixture = Fixture::new(faults, 0);
        assert_eq!(fixture.put(TimeDelta::minutes(1), 7.0).await, Recorded::FellBack);
        fixture.replay().await;
        fixture.replay().await;
        let counted: Vec<f64> = fixture.counted().iter().map(|(.., value)| *value).collect();
        assert_eq!((counted, fixture.files()), (vec![7.0, 7.0], 0), "{unclear:?}");
        assert_eq!(
            (pings(&fixture.page, true), fixture.emulator.observe().metric_calls),
            (0.0, 2),
            "{unclear:?}"
        );
    }
}
