//! Many ticks with slow, silent, refusing and unreachable services, on virtual time. Each tick records metrics and
//! puts events, concurrently with earlier ticks that have not ended, like in the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use warmd::domain::metric_data::{Batch, Datum};
use warmd::domain::metrics::Unit;
use warmd::emulator::{Emulator, Fault, FaultKind, Scenario};
use warmd::engine::ports::{Delivery, Event, Events};
use warmd::service::recorder::{PATIENCE, Recorded, Recorder};

use crate::counted::{Page, now, pings, slow};
use crate::{Connect, clients_through, emulator_dialer};

/// The ticks with one fault, which is the same in each tick.
const TICKS: u64 = 20;
/// The ticks of six hours with all faults.
const SIX_HOURS: u64 = 6 * 60;
/// Pings of a tick.
const PINGS: f64 = 7.0;
/// Events of a tick: two requests.
const EVENTS: u64 = 11;

/// The behaviour of connections, by their number from 1.
#[derive(Debug, Clone, Copy)]
struct Network {
    /// Every n-th is refused.
    refused: u64,
    /// Every n-th is never opened.
    hung: u64,
    /// Every n-th is opened without a server.
    mute: u64,
}

const SOUND: Network = Network { refused: u64::MAX, hung: u64::MAX, mute: u64::MAX };

impl Network {
    fn connect(self, nth: u64) -> Connect {
        match nth {
            _ if nth.is_multiple_of(self.mute) => Connect::Mute,
            _ if nth.is_multiple_of(self.hung) => Connect::Hang,
            _ if nth.is_multiple_of(self.refused) => Connect::Refuse,
            _ => Connect::Serve,
        }
    }
}

/// The result of several ticks.
#[derive(Debug)]
struct Soak {
    /// The number of ticks.
    ticks: u64,
    /// Pings that CloudWatch counts, from requests and embedded-metric lines.
    counted: f64,
    /// Pings in lines that it does not count.
    plain: f64,
    /// The number of ticks whose metrics were all acknowledged.
    sent: u64,
    /// The number of copies of each event on the bus.
    on_the_bus: BTreeMap<u64, usize>,
    /// Events that the bus certainly does not have.
    refused: BTreeSet<u64>,
    /// Events that the bus may have.
    unknown: BTreeSet<u64>,
    slowest: Duration,
}

async fn soak(ticks: u64, faults: &[Fault], network: Network) -> Soak {
    let faults = faults.to_vec();
    let scenario = Scenario {
        metrics: faults.clone(),
        events: faults,
        remembered: usize::try_from(ticks * EVENTS * 4).unwrap(),
        ..Scenario::default()
    };
    let emulator = Emulator::new(scenario);
    let clients = clients_through(emulator_dialer(&emulator, move |nth| network.connect(nth)));
    let page = Page::default();
    let recorder = Arc::new(Recorder::new(clients.cloudwatch().unwrap(), Box::new(page.clone())));
    let bus = clients.events().unwrap();
    let at = now();
    let mut running = JoinSet::new();
    for tick in 0..ticks {
        let (recorder, bus) = (Arc::clone(&recorder), bus.clone());
        running.spawn(async move {
            let begun = Instant::now();
            let datum = Datum { name: "Pings", unit: Unit::Count, dimensions: Vec::new(), value: PINGS };
            let batch = Batch { namespace: "warmd".to_owned(), at, data: vec![datum] };
            let event = |index: u64| Event {
                bus: None,
                source: "warmd".to_owned(),
                detail_type: "Warm Shard".to_owned(),
                detail: format!("{{\"index\":{}}}", tick * EVENTS + index),
            };
            let events: Vec<Event> = (0..EVENTS).map(event).collect();
            let until = begun + PATIENCE;
            let (recorded, put) = tokio::join!(recorder.put(&batch, until), bus.put(&events, until));
            (recorded, put.err().map(|lost| lost.lost).unwrap_or_default(), begun.elapsed())
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let (mut sent, mut slowest) = (0, Duration::ZERO);
    let (mut refused, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    while let Some(tick) = running.join_next().await {
        let (recorded, lost, took) = tick.unwrap();
        sent += u64::from(recorded == Recorded::Sent);
        slowest = slowest.max(took);
        for (event, loss) in lost {
            let detail: serde_json::Value = serde_json::from_str(&event.detail).unwrap();
            let of = if loss.delivery == Delivery::Unknown { &mut unknown } else { &mut refused };
            of.insert(detail["index"].as_u64().unwrap());
        }
    }
    let observed = emulator.observe();
    let mut on_the_bus = BTreeMap::new();
    for event in &observed.events {
        *on_the_bus.entry(event.detail["index"].as_u64().unwrap()).or_default() += 1;
    }
    let counted = observed.values("Pings").iter().sum::<f64>() + pings(&page, true);
    Soak { ticks, counted, plain: pings(&page, false), sent, on_the_bus, refused, unknown, slowest }
}

/// Checks what holds for all faults.
fn check(soak: &Soak, what: &str) {
    let sent = PINGS * soak.ticks as f64;
    assert!(soak.counted <= sent, "{what}: {} of {sent} pings counted", soak.counted);
    assert!(soak.counted + soak.plain >= sent, "{what}: pings are neither counted nor written");
    assert!(soak.on_the_bus.values().all(|times| *times == 1), "{what}: an event was put twice");
    assert!(
        soak.refused.iter().all(|index| !soak.on_the_bus.contains_key(index)),
        "{what}: a refused event is on the bus"
    );
    let missing = (0..soak.ticks * EVENTS).filter(|index| !soak.on_the_bus.contains_key(index));
    let mut missing = missing.filter(|index| !soak.refused.contains(index) && !soak.unknown.contains(index));
    assert_eq!(missing.next(), None, "{what}: an event is lost and not reported");
    assert!(soak.slowest <= PATIENCE, "{what}: {:?}", soak.slowest);
}

/// Runs ticks in which CloudWatch either processes or refuses every request. All pings are counted.
async fn assert_all_counted<const N: usize>(cases: [(&str, Vec<Fault>, Network); N]) {
    for (what, faults, network) in cases {
        let soak = soak(TICKS, &faults, network).await;
        check(&soak, what);
        assert_eq!(soak.counted, PINGS * TICKS as f64, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_or_lost_answers_count_all_pings() {
    assert_all_counted([
        ("no fault", vec![], SOUND),
        ("slow", vec![Fault::always(slow(5.0))], SOUND),
        ("no answer after processing", vec![Fault::always(slow(7_200.0))], SOUND),
        ("cut after processing", vec![Fault::always(FaultKind::Reset)], SOUND),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn refusals_count_all_pings() {
    assert_all_counted([
        ("throttled", vec![Fault::every(2, FaultKind::Throttle { reason: String::new() })], SOUND),
        ("denied", vec![Fault::always(FaultKind::refuse(403))], SOUND),
        ("unavailable", vec![Fault::always(FaultKind::refuse(503))], SOUND),
        ("connections refused", vec![], Network { refused: 1, ..SOUND }),
        ("connections never opened", vec![], Network { hung: 1, ..SOUND }),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn unknown_outcomes_write_all_pings_and_count_none() {
    for (what, faults, network) in [
        ("internal errors", vec![Fault::always(FaultKind::refuse(500))], SOUND),
        ("no answer", vec![], Network { mute: 1, ..SOUND }),
    ] {
        let soak = soak(TICKS, &faults, network).await;
        check(&soak, what);
        assert_eq!((soak.counted, soak.plain), (0.0, PINGS * TICKS as f64), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn hours_of_all_faults_count_nothing_twice_and_lose_nothing_silently() {
    let faults = [
        Fault::every(3, slow(5.0)),
        Fault::every(5, FaultKind::Throttle { reason: String::new() }),
        Fault::every(7, FaultKind::Reset),
        Fault::every(11, FaultKind::refuse(503)),
        Fault::every(13, slow(900.0)),
        Fault::every(17, FaultKind::refuse(500)),
        Fault::every(19, FaultKind::FailEntry),
    ];
    let soak = soak(SIX_HOURS, &faults, Network { refused: 23, hung: 29, mute: 31 }).await;
    check(&soak, "all faults");
    assert!(soak.sent > SIX_HOURS / 2 && soak.sent < SIX_HOURS, "{}", soak.sent);
    assert!(!soak.refused.is_empty() || !soak.unknown.is_empty());
}
