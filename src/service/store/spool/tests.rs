//! The files of the spool, also when they are hostile.

use std::os::unix::fs::{PermissionsExt, symlink};

use chrono::TimeDelta;
use rustix::fs::Mode;

use super::*;
use crate::domain::metric_data::Datum;
use crate::domain::metrics::Unit;
use crate::domain::spool::MOST_BYTES;

/// A state directory with a spool.
struct Fixture {
    folder: tempfile::TempDir,
    _lock: Lock,
    spool: Spool,
}

fn now() -> DateTime<Utc> {
    "2026-11-20T09:00:00Z".parse().unwrap()
}

fn batch(pings: u32) -> Batch {
    let datum = Datum { name: "Pings", unit: Unit::Count, dimensions: Vec::new(), value: f64::from(pings) };
    let at = now() - TimeDelta::minutes(1_000 - i64::from(pings));
    Batch { namespace: "warmd".to_owned(), at, data: vec![datum] }
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        Self { spool: Spool::new(folder.path(), &lock), folder, _lock: lock }
    }

    async fn with(batches: u32) -> Self {
        let fixture = Self::new();
        for pings in 1..=batches {
            fixture.spool.add(&batch(pings)).await.unwrap();
        }
        fixture
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(DIRECTORY).join(name)
    }

    /// The names in the directory, without the zeros before numbers.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join(DIRECTORY)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.map(|name| name.trim_start_matches('0').to_owned()).collect();
        names.sort_unstable();
        names
    }

    async fn waiting(&self) -> Vec<u64> {
        self.spool.waiting(now()).await.unwrap().numbers
    }

    async fn take(&self, number: u64) -> Option<Batch> {
        self.spool.take(number, now()).await.unwrap()
    }
}

#[tokio::test]
async fn batches_are_kept_in_their_order_until_they_are_sent() {
    let fixture = Fixture::with(3).await;
    assert_eq!(fixture.names(), ["1.json", "2.json", "3.json"]);
    assert_eq!(fixture.waiting().await, [1, 2, 3]);
    assert_eq!(fixture.take(1).await, Some(batch(1)));
    assert_eq!(fixture.names(), ["1.sending", "2.json", "3.json"]);
    fixture.spool.sent(1).await.unwrap();
    assert_eq!(fixture.names(), ["2.json", "3.json"]);
    // A batch that is gone.
    assert_eq!(fixture.take(1).await, None);
    assert_eq!(fixture.spool.take_dropped(), 0);
}

#[tokio::test]
async fn an_interrupted_batch_is_returned_once_and_not_sent_again() {
    let fixture = Fixture::with(2).await;
    fixture.take(2).await.unwrap();
    fixture.spool.add(&batch(3)).await.unwrap();
    assert_eq!(fixture.names(), ["1.json", "2.sending", "3.json"]);
    // As after SIGKILL: another process opens the same directory.
    let waiting = fixture.spool.waiting(now()).await.unwrap();
    assert_eq!((waiting.numbers, waiting.interrupted), (vec![1, 3], vec![batch(2)]));
    assert_eq!(fixture.names(), ["1.json", "3.json"]);
    assert_eq!(fixture.spool.waiting(now()).await.unwrap().interrupted, []);
}

#[tokio::test]
async fn the_oldest_batches_are_dropped_and_counted() {
    let fixture = Fixture::with(2).await;
    // A hole in a file counts with its length.
    let large = fs::File::create(fixture.file("00000000000000000003.json")).unwrap();
    large.set_len(MOST_BYTES - 2_000).unwrap();
    fixture.spool.add(&batch(4)).await.unwrap();
    assert_eq!((fixture.names().len(), fixture.spool.take_dropped()), (4, 0));
    large.set_len(MOST_BYTES - 150).unwrap();
    fixture.spool.add(&batch(5)).await.unwrap();
    assert_eq!(fixture.names(), ["4.json", "5.json"]);
    assert_eq!((fixture.spool.take_dropped(), fixture.spool.take_dropped()), (3, 0));
}

#[tokio::test]
async fn batches_outside_the_limits_of_cloudwatch_are_dropped_or_left() {
    let fixture = Fixture::new();
    let two_weeks = TimeDelta::days(14);
    let second = TimeDelta::seconds(1);
    for at in [
        now() - two_weeks - second,
        now() - two_weeks,
        now() + TimeDelta::hours(3),
        now() + two_weeks + second,
    ] {
        fixture.spool.add(&Batch { at, ..batch(1) }).await.unwrap();
    }
    let mut taken = Vec::new();
    for number in fixture.waiting().await {
        taken.extend(fixture.take(number).await.map(|batch| batch.at));
    }
    assert_eq!(taken, [now() - two_weeks]);
    assert_eq!(fixture.names(), ["2.sending", "3.json"]);
    assert_eq!(fixture.spool.take_dropped(), 2);
}

#[tokio::test]
async fn unreadable_files_are_dropped_and_do_not_block_others() {
    let fixture = Fixture::with(1).await;
    let valid = fs::read(fixture.file("00000000000000000001.json")).unwrap();
    let newer = String::from_utf8(valid.clone()).unwrap().replace("\"version\":1", "\"version\":2");
    let contents =
        [&valid[..valid.len() / 2], b"", b"null", &[0xff; 9], newer.as_bytes(), &b"[".repeat(100_000)];
    for (number, content) in (2..).zip(contents) {
        fs::write(fixture.file(&format!("{number:020}.json")), content).unwrap();
    }
    symlink("/proc/self/environ", fixture.file("00000000000000000008.json")).unwrap();
    let pipe = fixture.file("00000000000000000009.json");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
    let large = fs::File::create(fixture.file("00000000000000000010.json")).unwrap();
    large.set_len(MOST_READ_BYTES as u64 + 1).unwrap();
    fs::write(fixture.file("00000000000000000011.sending"), "{").unwrap();
    // Directories cannot be removed.
    for name in ["00000000000000000012.json", "00000000000000000013.sending", "00000000000000000014.sending"]
    {
        fs::create_dir(fixture.file(name)).unwrap();
    }
    fixture.spool.add(&batch(15)).await.unwrap();
    fs::write(fixture.file("00000000000000000013.json"), &valid).unwrap();
    let mut taken = Vec::new();
    for number in fixture.waiting().await {
        taken.extend(fixture.take(number).await.map(|_| number));
    }
    assert_eq!(taken, [1, 15]);
    assert_eq!(
        fixture.names(),
        ["1.sending", "12.json", "13.json", "13.sending", "14.sending", "15.sending"]
    );
    assert_eq!(fixture.spool.take_dropped(), 10);
}

#[tokio::test]
async fn other_files_stay_and_remains_of_writes_are_removed() {
    let fixture = Fixture::with(1).await;
    let names = ["1.json", "notes.txt", ".batch.0123456789abcdef", "0000000000000000000x.json"];
    for name in names {
        let file = fs::File::create(fixture.file(name)).unwrap();
        file.set_modified((now() - TimeDelta::hours(2)).into()).unwrap();
    }
    assert_eq!(fixture.waiting().await, [1]);
    assert_eq!(fixture.names(), ["1.json", "1.json", "notes.txt", "x.json"]);
}

#[tokio::test]
async fn what_cannot_be_written_is_refused() {
    let fixture = Fixture::new();
    let large = Batch { namespace: "x".repeat(MOST_READ_BYTES), ..batch(1) };
    let refused = fixture.spool.add(&large).await.unwrap_err();
    assert_eq!(refused.delivery, Delivery::NotProcessed);
    let shown = |error: NotSpooled| error.to_string().replace(fixture.folder.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(shown(refused), @"the spool of metrics: DIR/metrics-spool: the batch is larger than 33554432 bytes");
    fixture.spool.add(&batch(1)).await.unwrap();
    fs::write(fixture.file("18446744073709551615.json"), "").unwrap();
    insta::assert_snapshot!(shown(fixture.spool.add(&batch(2)).await.unwrap_err()), @"the spool of metrics: DIR/metrics-spool: it has the last possible number");
    fs::remove_dir_all(fixture.file("")).unwrap();
    fs::write(fixture.folder.path().join(DIRECTORY), "a file").unwrap();
    insta::assert_snapshot!(shown(fixture.spool.add(&batch(3)).await.unwrap_err()), @"the spool of metrics: DIR/metrics-spool: File exists (os error 17)");
    assert!(fixture.spool.waiting(now()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_hanging_disk_is_not_waited_for() {
    let fixture = Fixture::with(1).await;
    let (hung, released) = std::sync::mpsc::channel::<()>();
    let hanging = fixture.spool.run(move |_| Ok(released.recv().is_ok()));
    let begun = tokio::time::Instant::now();
    let clock = async {
        // Blocking work stops the paused clock.
        tokio::task::yield_now().await;
        tokio::time::advance(PATIENCE).await;
        std::future::pending::<()>().await;
    };
    let late = tokio::select! {
        late = hanging => late.unwrap_err(),
        () = clock => unreachable!(),
    };
    drop(hung);
    assert_eq!((late.delivery, begun.elapsed()), (Delivery::Unknown, PATIENCE));
    assert!(late.reason.ends_with("no answer in time"), "{late}");
}

#[tokio::test]
async fn a_file_that_may_not_be_read_now_is_left() {
    let fixture = Fixture::with(1).await;
    let file = fixture.file("00000000000000000001.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&file).is_ok() {
        // Permissions do not apply to root.
        return;
    }
    assert_eq!(fixture.take(1).await, None);
    assert_eq!((fixture.names(), fixture.spool.take_dropped()), (vec!["1.json".to_owned()], 0));
}
