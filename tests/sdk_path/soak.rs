//! Hours of ticks with services that are slow, hung, refusing and gone, on virtual time. Each tick is recorded and puts
//! events, beside those before it that have not ended, as in the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use warmd::aws::Clients;
use warmd::aws::connector::{Connector, Dialer, Proxies, Roots};
use warmd::domain::metrics::{Batch, Datum, Unit};
use warmd::emulator::{Emulator, Fault, FaultKind, Scenario};
use warmd::engine::ports::{Delivery, Event, Events};
use warmd::service::recorder::{PATIENCE, Recorded, Recorder};

use crate::counted::{Page, now, pings, slow};

/// The ticks of an hour.
const HOUR: u64 = 60;
/// The ticks of six hours.
const SIX_HOURS: u64 = 6 * HOUR;
/// Pings of a tick.
const PINGS: f64 = 7.0;
/// Events of a tick: three requests.
const EVENTS: u64 = 25;

/// What happens to connections, by their number from 1.
#[derive(Debug, Clone, Copy)]
struct Network {
    /// Every so many is refused.
    refused: u64,
    /// Every so many is never opened.
    hung: u64,
    /// Every so many is opened, and nobody answers on it.
    mute: u64,
}

const SOUND: Network = Network { refused: u64::MAX, hung: u64::MAX, mute: u64::MAX };

fn dialer(emulator: &Emulator, network: Network) -> Dialer {
    let (emulator, count) = (emulator.clone(), Arc::new(AtomicU64::new(0)));
    let silent = Arc::new(Mutex::new(Vec::new()));
    Dialer::custom(move |_: &str, _| {
        let nth = count.fetch_add(1, Ordering::SeqCst) + 1;
        let Network { refused, hung, mute } = network;
        let (near, far) = tokio::io::duplex(64 << 10);
        if nth.is_multiple_of(mute) {
            silent.lock().unwrap().push(far);
        } else if !nth.is_multiple_of(refused) && !nth.is_multiple_of(hung) {
            let emulator = emulator.clone();
            tokio::spawn(async move { emulator.serve_io(far).await });
        }
        async move {
            if nth.is_multiple_of(hung) {
                std::future::pending::<()>().await;
            }
            if nth.is_multiple_of(refused) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            Ok(near)
        }
    })
}

/// What a time of ticks has come to.
#[derive(Debug)]
struct Soak {
    /// The number of ticks.
    ticks: u64,
    /// Pings that CloudWatch counts, from requests and embedded-metric lines.
    counted: f64,
    /// Pings in lines that it does not count.
    plain: f64,
    /// Ticks of which all metrics were acknowledged.
    sent: u64,
    /// How often the bus has each event.
    on_the_bus: BTreeMap<u64, usize>,
    /// Events that the bus certainly does not have, and those of which nothing is known.
    refused: BTreeSet<u64>,
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
    let clients = Clients::local_through(
        "http://aws.test",
        Connector::new(dialer(&emulator, network), Roots::Native, Proxies::Direct),
    );
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
        for (event, why) in lost {
            let detail: serde_json::Value = serde_json::from_str(&event.detail).unwrap();
            let of = if why.delivery == Delivery::Unknown { &mut unknown } else { &mut refused };
            of.insert(detail["index"].as_u64().unwrap());
        }
    }
    let seen = emulator.observe();
    let mut on_the_bus = BTreeMap::new();
    for event in &seen.events {
        *on_the_bus.entry(event.detail["index"].as_u64().unwrap()).or_default() += 1;
    }
    let counted = seen.values("Pings").iter().sum::<f64>() + pings(&page, true);
    Soak { ticks, counted, plain: pings(&page, false), sent, on_the_bus, refused, unknown, slowest }
}

/// What holds whatever goes wrong.
fn check(soak: &Soak, what: &str) {
    let truth = PINGS * soak.ticks as f64;
    assert!(soak.counted <= truth, "{what}: {} of {truth} pings counted", soak.counted);
    assert!(soak.counted + soak.plain >= truth, "{what}: pings are neither counted nor written down");
    assert!(soak.on_the_bus.values().all(|times| *times == 1), "{what}: an event was put twice");
    assert!(
        soak.refused.iter().all(|index| !soak.on_the_bus.contains_key(index)),
        "{what}: refused, and put"
    );
    let missing = (0..soak.ticks * EVENTS).filter(|index| !soak.on_the_bus.contains_key(index));
    let mut missing = missing.filter(|index| !soak.refused.contains(index) && !soak.unknown.contains(index));
    assert_eq!(missing.next(), None, "{what}: lost without a word");
    assert!(soak.slowest <= PATIENCE, "{what}: {:?}", soak.slowest);
}

#[tokio::test(start_paused = true)]
async fn hours_of_one_trouble_are_counted_as_they_were() {
    let truth = PINGS * HOUR as f64;
    let throttle = FaultKind::Throttle { reason: String::new() };
    // Hours in which CloudWatch processes what it is sent, or refuses it: the count is the truth.
    let exact: [(&str, Vec<Fault>, Network); 9] = [
        ("sound", vec![], SOUND),
        ("slow", vec![Fault::always(slow(5.0))], SOUND),
        ("hung after it processed", vec![Fault::always(slow(7_200.0))], SOUND),
        ("cut after it processed", vec![Fault::always(FaultKind::Reset)], SOUND),
        ("throttling", vec![Fault::every(2, throttle)], SOUND),
        ("denying", vec![Fault::always(FaultKind::refuse(403))], SOUND),
        ("unavailable", vec![Fault::always(FaultKind::refuse(503))], SOUND),
        ("refusing connections", vec![], Network { refused: 1, ..SOUND }),
        ("opening no connection", vec![], Network { hung: 1, ..SOUND }),
    ];
    for (what, faults, network) in exact {
        let soak = soak(HOUR, &faults, network).await;
        check(&soak, what);
        assert_eq!(soak.counted, truth, "{what}");
    }
    // Nobody knows what became of these: they are written down, and not counted.
    for (what, faults, network) in [
        ("failing inside", vec![Fault::always(FaultKind::refuse(500))], SOUND),
        ("mute", vec![], Network { mute: 1, ..SOUND }),
    ] {
        let soak = soak(HOUR, &faults, network).await;
        check(&soak, what);
        assert_eq!((soak.counted, soak.plain), (0.0, truth), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn hours_of_every_trouble_count_nothing_twice_and_lose_nothing_silently() {
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
    check(&soak, "every trouble");
    assert!(soak.sent > SIX_HOURS / 2 && soak.sent < SIX_HOURS, "{}", soak.sent);
    assert!(!soak.refused.is_empty() || !soak.unknown.is_empty());
}
