//! Metrics that CloudWatch refuses for a while: the spool and its replay.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use super::metrics::Page;
use super::*;
use crate::domain::metric_data::{Batch, Datum};
use crate::domain::metrics::Unit;
use crate::engine::ports::{CallError, ErrorKind, LostMetrics, Metrics};
use crate::engine::stop::{Stop, Stopper};
use crate::service::recorder::{PATIENCE, Recorded, Recorder};
use crate::service::store::{Lock, Spool};

/// The answer of CloudWatch to a batch.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Refused(ErrorKind),
    /// The data may have been counted.
    Unknown,
    /// The first datum is counted, the second refused, and the third may have been counted.
    Mixed,
    /// Counted after this time.
    Late(Duration),
}

/// The timestamp and the value of a datum.
type Counted = (DateTime<Utc>, f64);

/// CloudWatch with scripted answers. It counts everything after the last one.
#[derive(Clone, Default)]
struct CloudWatch {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    counted: Arc<Mutex<Vec<Counted>>>,
    calls: Arc<Mutex<u32>>,
}

impl CloudWatch {
    fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// Returns the minutes and values that were counted since the last call.
    fn counted(&self) -> Vec<String> {
        let counted = std::mem::take(&mut *self.counted.lock().unwrap());
        counted.iter().map(|(at, value)| format!("{} {value}", at.format("%H:%M"))).collect()
    }

    fn calls(&self) -> u32 {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

impl Metrics for CloudWatch {
    async fn put(&self, batch: &Batch, _: Instant) -> Result<(), LostMetrics> {
        *self.calls.lock().unwrap() += 1;
        let answer = self.answers.lock().unwrap().pop_front();
        let (counted, lost, unknown, kind) = match answer {
            None => (&batch.data[..], &[][..], &[][..], ErrorKind::Other),
            Some(Answer::Late(time)) => {
                tokio::time::sleep(time).await;
                (&batch.data[..], &[][..], &[][..], ErrorKind::Other)
            }
            Some(Answer::Refused(kind)) => (&[][..], &batch.data[..], &[][..], kind),
            Some(Answer::Unknown) => (&[][..], &[][..], &batch.data[..], ErrorKind::Timeout),
            Some(Answer::Mixed) => {
                (&batch.data[..1], &batch.data[1..2], &batch.data[2..], ErrorKind::Throttled)
            }
        };
        self.counted.lock().unwrap().extend(counted.iter().map(|datum| (batch.at, datum.value)));
        if lost.is_empty() && unknown.is_empty() {
            return Ok(());
        }
        let of = |data: &[Datum]| Batch { data: data.to_vec(), ..batch.clone() };
        Err(LostMetrics { lost: of(lost), unknown: of(unknown), reason: CallError::new(kind, "scripted") })
    }
}

/// A recorder with a spool, at a time of the clock.
struct Fixture {
    folder: tempfile::TempDir,
    lock: Lock,
    cloudwatch: CloudWatch,
    page: Page,
    recorder: Recorder<CloudWatch>,
    _stopper: Stopper,
    stop: Stop,
}

fn recorder(state: &Path, lock: &Lock, cloudwatch: &CloudWatch, page: &Page) -> Recorder<CloudWatch> {
    Recorder::new(cloudwatch.clone(), Box::new(page.clone())).with_spool(Some(Spool::new(state, lock)))
}

/// Returns a batch of a minute after nine with these values.
fn batch(minute: u32, values: &[f64]) -> Batch {
    let datum =
        |value: &f64| Datum { name: "Pings", unit: Unit::Count, dimensions: Vec::new(), value: *value };
    let at = at(&format!("2026-11-20T09:{minute:02}:00Z"));
    Batch { namespace: "warmd".to_owned(), at, data: values.iter().map(datum).collect() }
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        let (cloudwatch, page) = (CloudWatch::default(), Page::default());
        let recorder = recorder(folder.path(), &lock, &cloudwatch, &page);
        let (stopper, stop) = stop();
        Self { folder, lock, cloudwatch, page, recorder, _stopper: stopper, stop }
    }

    /// Puts batches of minutes 1, 2, … with these answers.
    async fn put(&self, answers: &[Answer]) {
        self.cloudwatch.script(answers.iter().copied());
        for minute in 1..=answers.len() as u32 {
            let batch = batch(minute, &[f64::from(minute)]);
            assert_eq!(self.recorder.put(&batch, Instant::now() + PATIENCE).await, Recorded::FellBack);
        }
        self.cloudwatch.calls();
    }

    async fn replay_at(&self, now: &str) {
        self.recorder.replay(at(now), &self.stop, || Instant::now() + PATIENCE).await;
    }

    async fn replay(&self) -> Vec<String> {
        self.replay_at("2026-11-20T10:00:00Z").await;
        self.cloudwatch.counted()
    }

    fn files(&self) -> usize {
        fs::read_dir(self.folder.path().join("metrics-spool")).map_or(0, Iterator::count)
    }

    fn dropped(&self) -> Vec<f64> {
        // Those of a tick are sent with its metrics.
        self.cloudwatch.counted.lock().unwrap().iter().map(|(_, value)| *value).collect()
    }
}

const THROTTLED: Answer = Answer::Refused(ErrorKind::Throttled);
const DENIED: Answer = Answer::Refused(ErrorKind::AccessDenied);

#[tokio::test(start_paused = true)]
async fn refused_metrics_are_replayed_with_their_own_timestamps() {
    let fixture = Fixture::new();
    fixture.put(&[THROTTLED, DENIED, Answer::Refused(ErrorKind::Unreachable)]).await;
    assert_eq!((fixture.files(), fixture.page.text().as_str()), (3, ""));
    assert_eq!(fixture.replay().await, ["09:01 1", "09:02 2", "09:03 3"]);
    assert_eq!(fixture.files(), 0);
    assert!(fixture.replay().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_later_process_replays_them() {
    let Fixture { folder, lock, cloudwatch, page, recorder: earlier, .. } = {
        let fixture = Fixture::new();
        fixture.put(&[THROTTLED, THROTTLED]).await;
        fixture
    };
    drop((earlier, lock));
    let lock = Lock::take(folder.path()).unwrap();
    let (_stopper, stop) = stop();
    let later = recorder(folder.path(), &lock, &cloudwatch, &page);
    later.replay(at("2026-11-20T10:00:00Z"), &stop, || Instant::now() + PATIENCE).await;
    assert_eq!(cloudwatch.counted(), ["09:01 1", "09:02 2"]);
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_counted_is_written_and_never_sent_again() {
    let fixture = Fixture::new();
    fixture.put(&[Answer::Unknown]).await;
    assert_eq!((fixture.files(), fixture.page.lines()), (0, vec![("plain", 1.0)]));
    // In a replay too, and the rest waits for the next one.
    fixture.put(&[THROTTLED, THROTTLED]).await;
    fixture.cloudwatch.script([Answer::Unknown]);
    assert!(fixture.replay().await.is_empty());
    assert_eq!(fixture.page.lines(), [("plain", 1.0), ("plain", 1.0)]);
    assert_eq!(fixture.replay().await, ["09:02 2"]);
}

#[tokio::test(start_paused = true)]
async fn only_the_refused_part_of_a_batch_is_sent_again() {
    let fixture = Fixture::new();
    fixture.cloudwatch.script([Answer::Mixed]);
    let _ = fixture.recorder.put(&batch(1, &[1.0, 2.0, 3.0]), Instant::now() + PATIENCE).await;
    assert_eq!(
        (fixture.cloudwatch.counted(), fixture.page.lines()),
        (vec!["09:01 1".to_owned()], vec![("plain", 3.0)])
    );
    assert_eq!(fixture.replay().await, ["09:01 2"]);
    // The same in a replay.
    fixture.cloudwatch.script([THROTTLED, Answer::Mixed]);
    let _ = fixture.recorder.put(&batch(4, &[4.0, 5.0, 6.0]), Instant::now() + PATIENCE).await;
    assert_eq!(fixture.replay().await, ["09:04 4"]);
    assert_eq!(fixture.page.lines(), [("plain", 3.0), ("plain", 6.0)]);
    assert_eq!(fixture.replay().await, ["09:04 5"]);
    assert_eq!(fixture.files(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_replay_ends_when_cloudwatch_is_away_again() {
    for kind in [ErrorKind::Throttled, ErrorKind::Timeout, ErrorKind::Unreachable] {
        let fixture = Fixture::new();
        fixture.put(&[THROTTLED; 4]).await;
        fixture.cloudwatch.script([Answer::Late(Duration::ZERO), Answer::Refused(kind)]);
        assert_eq!(fixture.replay().await, ["09:01 1"], "{kind:?}");
        assert_eq!((fixture.cloudwatch.calls(), fixture.files()), (2, 3), "{kind:?}");
        assert_eq!(fixture.replay().await, ["09:03 3", "09:04 4", "09:02 2"], "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_refused_for_good_does_not_block_the_others() {
    let fixture = Fixture::new();
    fixture.put(&[THROTTLED; 3]).await;
    fixture.cloudwatch.script([Answer::Refused(ErrorKind::Other), Answer::Late(Duration::ZERO), DENIED]);
    assert_eq!(fixture.replay().await, ["09:02 2"]);
    // Each once a replay.
    assert_eq!((fixture.cloudwatch.calls(), fixture.files()), (3, 2));
    assert_eq!(fixture.replay().await, ["09:01 1", "09:03 3"]);
}

#[tokio::test(start_paused = true)]
async fn a_replay_is_bounded_in_time_and_ends_at_a_signal() {
    let fixture = Fixture::new();
    fixture.put(&[THROTTLED; 9]).await;
    fixture.cloudwatch.script([Answer::Late(Duration::from_secs(4)); 9]);
    let begun = Instant::now();
    assert_eq!(fixture.replay().await.len(), 3);
    assert_eq!(begun.elapsed(), Duration::from_secs(12));
    let (stopper, stop) = stop();
    let signal = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        stopper.stop();
    };
    tokio::join!(
        fixture.recorder.replay(at("2026-11-20T10:00:00Z"), &stop, || Instant::now() + PATIENCE),
        signal
    );
    assert_eq!(fixture.cloudwatch.counted(), ["09:04 4", "09:05 5"]);
    fixture.recorder.replay(at("2026-11-20T10:00:00Z"), &stop, || Instant::now() + PATIENCE).await;
    assert_eq!((fixture.cloudwatch.counted().len(), fixture.files()), (0, 4));
}

#[tokio::test(start_paused = true)]
async fn two_ticks_do_not_replay_at_the_same_time() {
    let fixture = Fixture::new();
    fixture.put(&[THROTTLED; 2]).await;
    fixture.cloudwatch.script([Answer::Late(Duration::from_secs(4))]);
    let now = at("2026-11-20T10:00:00Z");
    let replay = || fixture.recorder.replay(now, &fixture.stop, || Instant::now() + PATIENCE);
    tokio::join!(replay(), replay());
    assert_eq!(fixture.cloudwatch.counted(), ["09:01 1", "09:02 2"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_being_sent_when_the_process_died_is_written_as_a_line() {
    let fixture = Fixture::new();
    fixture.put(&[THROTTLED; 2]).await;
    fixture.cloudwatch.script([Answer::Late(Duration::from_secs(4))]);
    let killed = tokio::time::timeout(Duration::from_secs(1), fixture.replay()).await;
    assert!(killed.is_err());
    assert_eq!(fixture.replay().await, ["09:02 2"]);
    assert_eq!((fixture.page.lines(), fixture.files()), (vec![("plain", 1.0)], 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_spool_the_lines_are_written() {
    let fixture = Fixture::new();
    fs::write(fixture.folder.path().join("metrics-spool"), "a file").unwrap();
    fixture.put(&[THROTTLED]).await;
    assert_eq!(fixture.page.lines(), [("embedded", 1.0)]);
    assert!(fixture.replay().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn dropped_batches_are_counted_in_the_next_tick() {
    let fixture = Fixture::new();
    fixture.put(&[THROTTLED; 3]).await;
    // Two weeks after the second.
    fixture.replay_at("2026-12-04T09:02:00.001Z").await;
    assert_eq!(fixture.cloudwatch.counted(), ["09:03 3"]);
    let report = TickReport::empty(at("2026-12-04T09:03:00Z"), None);
    let record = || async {
        let settings = Default::default();
        let until = Instant::now() + PATIENCE;
        let recorded =
            fixture.recorder.record(&report, &settings, Default::default(), &Default::default(), until).await;
        assert_eq!(recorded, Recorded::Sent);
        fixture.dropped()
    };
    assert_eq!(record().await.iter().filter(|value| **value == 2.0).count(), 1);
    fixture.cloudwatch.counted();
    assert_eq!(record().await.iter().filter(|value| **value == 2.0).count(), 0);
}
