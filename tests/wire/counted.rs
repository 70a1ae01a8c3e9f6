//! Metrics and events when answers are late, lost or refused: nothing is counted twice.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use warmd::aws::Clients;
use warmd::domain::metric_data::{Batch, Datum, UNACKNOWLEDGED};
use warmd::domain::metrics::Unit;
use warmd::emulator::{Emulator, Fault, FaultKind, Scenario};
use warmd::engine::ports::{Delivery, Event, Events};
use warmd::service::recorder::{PATIENCE, Recorded, Recorder};

use crate::{Connect, clients_through, emulator_dialer};

pub fn slow(seconds: f64) -> FaultKind {
    FaultKind::Slow { by: Duration::from_secs_f64(seconds) }
}

/// Creates clients of an emulator. The first `refused` connections are refused.
fn clients(emulator: &Emulator, refused: u64) -> Clients {
    clients_through(emulator_dialer(emulator, move |connection| match connection <= refused {
        true => Connect::Refuse,
        false => Connect::Serve,
    }))
}

/// The output of a recorder.
#[derive(Clone, Default)]
pub struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sums the pings in the lines of a page: in those that CloudWatch counts (`embedded`), or in the others.
pub fn pings(page: &Page, embedded: bool) -> f64 {
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines = lines.filter(|line| line.get("_aws").is_some() == embedded);
    let value = |line: Value| {
        assert!(embedded || line["message"] == UNACKNOWLEDGED, "{line}");
        line["Pings"].as_f64().unwrap()
    };
    lines.map(value).sum()
}

/// The result of recording one batch with 7 pings.
#[derive(Debug, PartialEq)]
struct End {
    recorded: Recorded,
    /// The pings that CloudWatch counts, from requests and from embedded-metric lines.
    counted: f64,
    /// The pings in lines that CloudWatch does not count.
    plain: f64,
    /// The number of PutMetricData requests.
    calls: u64,
    seconds: u64,
}

/// Records one batch with 7 pings.
async fn record(faults: Vec<Fault>, refused: u64, patience: Duration) -> End {
    let emulator = Emulator::new(Scenario { metrics: faults, ..Scenario::default() });
    let page = Page::default();
    let cloudwatch = clients(&emulator, refused).cloudwatch().unwrap();
    let recorder = Recorder::new(cloudwatch, Box::new(page.clone()));
    let datum = Datum { name: "Pings", unit: Unit::Count, dimensions: Vec::new(), value: 7.0 };
    let begun = Instant::now();
    let batch = Batch { namespace: "warmd".to_owned(), at: now(), data: vec![datum] };
    let recorded = recorder.put(&batch, begun + patience).await;
    let seconds = begun.elapsed().as_secs();
    let observed = emulator.observe();
    let counted = observed.values("Pings").iter().sum::<f64>() + pings(&page, true);
    End { recorded, counted, plain: pings(&page, false), calls: observed.metric_calls, seconds }
}

#[allow(clippy::disallowed_methods, reason = "the emulator compares with the time of the signature")]
pub fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_awaited_and_the_request_is_not_repeated() {
    for (late, seconds) in [(4.5, 4), (14.5, 14)] {
        let end = record(vec![Fault::always(slow(late))], 0, PATIENCE).await;
        assert_eq!(
            end,
            End { recorded: Recorded::Sent, counted: 7.0, plain: 0.0, calls: 1, seconds },
            "{late}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_of_an_unknown_outcome_are_not_counted_again() {
    let unclear = [(slow(3_600.0), 15), (FaultKind::Reset, 0)];
    for (fault, seconds) in unclear {
        let end = record(vec![Fault::always(fault.clone())], 0, PATIENCE).await;
        let expected = End { recorded: Recorded::FellBack, counted: 7.0, plain: 7.0, calls: 1, seconds };
        assert_eq!(end, expected, "{fault:?}");
    }
    // The outcome of an internal error of CloudWatch is unknown too.
    for status in [500, 502, 504] {
        let end = record(vec![Fault::always(FaultKind::refuse(status))], 0, PATIENCE).await;
        assert_eq!((end.counted, end.plain, end.calls), (0.0, 7.0, 1), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_that_were_not_counted_are_sent_again_or_embedded() {
    let throttle = || FaultKind::Throttle { reason: String::new() };
    for fault in [throttle(), FaultKind::refuse(503)] {
        let end = record(vec![Fault::first(2, fault.clone())], 0, PATIENCE).await;
        assert_eq!((end.recorded, end.counted, end.calls), (Recorded::Sent, 7.0, 3), "{fault:?}");
        let end = record(vec![Fault::always(fault.clone())], 0, PATIENCE).await;
        assert_eq!(
            (end.recorded, end.counted, end.plain, end.calls),
            (Recorded::FellBack, 7.0, 0.0, 3),
            "{fault:?}"
        );
    }
    let denied = record(vec![Fault::always(FaultKind::refuse(403))], 0, PATIENCE).await;
    assert_eq!((denied.counted, denied.plain, denied.calls), (7.0, 0.0, 1));
    // Without a connection nothing was sent.
    let end = record(Vec::new(), 2, PATIENCE).await;
    assert_eq!((end.recorded, end.counted, end.calls), (Recorded::Sent, 7.0, 1));
    let end = record(Vec::new(), u64::MAX, PATIENCE).await;
    assert_eq!((end.recorded, end.counted, end.calls), (Recorded::FellBack, 7.0, 0));
    // A refusal, and no answer to the retry.
    let end = record(vec![Fault::first(1, throttle()), Fault::always(slow(60.0))], 0, PATIENCE * 10).await;
    assert!(end.counted <= 7.0, "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_leaves_time_for_the_fallback_lines() {
    let end = record(vec![Fault::always(slow(60.0))], 0, Duration::from_secs(5)).await;
    assert_eq!((end.counted, end.plain, end.seconds), (7.0, 7.0, 5));
    let none_left = record(Vec::new(), 0, Duration::ZERO).await;
    assert_eq!((none_left.counted, none_left.plain, none_left.calls), (7.0, 0.0, 0));
}

fn event(index: usize) -> Event {
    Event {
        bus: None,
        source: "warmd".to_owned(),
        detail_type: "Warm Shard".to_owned(),
        detail: format!("{{\"index\":{index}}}"),
    }
}

/// Puts 25 events. Returns the number of events on the bus, the deliveries of the others, and the seconds it took.
async fn put(faults: Vec<Fault>, refused: u64) -> (usize, Vec<Delivery>, u64) {
    let emulator = Emulator::new(Scenario { events: faults, ..Scenario::default() });
    let events: Vec<Event> = (0..25).map(event).collect();
    let begun = Instant::now();
    let put = clients(&emulator, refused).events().unwrap().put(&events, begun + PATIENCE).await;
    let seconds = begun.elapsed().as_secs();
    let lost = put.err().map(|lost| lost.lost).unwrap_or_default();
    let deliveries: Vec<Delivery> = lost.into_iter().map(|(_, loss)| loss.delivery).collect();
    (emulator.observe().events.len(), deliveries, seconds)
}

#[tokio::test(start_paused = true)]
async fn no_event_is_put_twice() {
    assert_eq!(put(vec![Fault::always(slow(5.0))], 0).await, (25, vec![], 5));
    assert_eq!(put(vec![Fault::always(slow(60.0))], 0).await, (25, vec![Delivery::Unknown; 25], 15));
    assert_eq!(put(vec![Fault::always(FaultKind::Reset)], 0).await.0, 25);
    let (accepted, lost, _) = put(vec![Fault::always(FaultKind::refuse(403))], 0).await;
    assert_eq!((accepted, lost), (0, vec![Delivery::NotProcessed; 25]));
    let (accepted, lost, _) = put(vec![Fault::first(3, FaultKind::refuse(503))], 0).await;
    assert_eq!((accepted, lost), (25, vec![]));
    let (accepted, lost, _) = put(Vec::new(), 3).await;
    assert_eq!((accepted, lost), (25, vec![]), "the first connections are refused");
    // A refused entry is sent again.
    let (accepted, lost, _) = put(vec![Fault::first(4, FaultKind::FailEntry)], 0).await;
    assert_eq!((accepted, lost), (25, vec![]));
}
