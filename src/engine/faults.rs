//! A Lambda that loses, delays, repeats and shuffles the answers of another one, and the engine's conduct with it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::ports::{Lambda, PingEnd, PingEnds, PingRound};
use super::stop::stop;
use super::tick::{Due, Engine};
use crate::domain::cost::PriceBook;
use crate::domain::fleet::{Hold, Target};
use crate::domain::function::{FunctionRef, Region};
use crate::domain::round::{Answer, RawInvocation};
use crate::domain::tick::{RoundRecord, Verdict};

/// The function's run.
const RUN: Duration = Duration::from_millis(100);

/// Every ping meets a warm environment of its own that runs for [`RUN`].
struct Sound;

impl Lambda for Sound {
    fn send(&self, round: PingRound) -> PingEnds {
        let (deliveries, delivered) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let released = Instant::now();
            sleep(RUN).await;
            for index in 0..round.payloads.pings() {
                let report = "REPORT RequestId: q\tDuration: 100.00 ms\tBilled Duration: 100 ms\tMemory Size: 128 MB\tMax Memory Used: 17 MB";
                let answer = Answer::Responded {
                    function_error: None,
                    log_result: Some(STANDARD.encode(report)),
                    payload: b"null".to_vec(),
                    executed_version: None,
                    request_id: None,
                };
                let raw = RawInvocation { sent: Duration::ZERO, received: released.elapsed(), answer };
                drop(deliveries.send(PingEnd { index, raw, resent: false }));
            }
        });
        delivered
    }
}

/// The faults in the answers of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The last comes first.
    Reordered,
    /// Each comes an hour late, with the times of when it was due.
    Delayed,
    /// Each comes twice, and one comes for a ping that does not exist.
    Repeated,
    /// The first three are lost, and the channel is closed.
    Lost,
    /// The first three are lost, and the channel stays open for ever.
    Withheld,
}

/// A Lambda with a fault.
struct Faulty<L>(L, Fault);

impl<L: Lambda> Lambda for Faulty<L> {
    fn send(&self, round: PingRound) -> PingEnds {
        let mut inner = self.0.send(round);
        let fault = self.1;
        let (deliveries, delivered) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(delivery) = inner.recv().await {
                all.push(delivery);
            }
            match fault {
                Fault::Reordered => all.reverse(),
                Fault::Delayed => sleep(Duration::from_secs(3_600)).await,
                Fault::Repeated => {
                    let stranger = all.first().cloned().map(|first| PingEnd { index: u32::MAX, ..first });
                    all = all.iter().flat_map(|delivery| [delivery.clone(), delivery.clone()]).collect();
                    all.splice(0..0, stranger);
                }
                Fault::Lost | Fault::Withheld => drop(all.drain(..3)),
            }
            for delivery in all {
                drop(deliveries.send(delivery));
            }
            if fault == Fault::Withheld {
                std::future::pending::<()>().await;
            }
        });
        delivered
    }
}

/// Two rounds of ten pings, one after the other, under a cap of ten.
async fn rounds(fault: Fault) -> [RoundRecord; 2] {
    let engine = Arc::new(Engine::new(Faulty(Sound, fault), PriceBook::embedded(), 10));
    let (_stopper, stop) = stop();
    let bare = Target::bare(&FunctionRef::parse("f").unwrap(), Region::parse("eu-west-2").unwrap());
    let timeout = Some(Duration::from_secs(7_200));
    let target = Arc::new(Target { hold: Hold::Fixed(RUN), timeout, ..bare });
    let mut records = Vec::new();
    for minute in [0, 5] {
        let now = format!("2026-11-20T09:0{minute}:00Z").parse().unwrap();
        let due = Due { target: Arc::clone(&target), concurrency: 10 };
        records.push(engine.tick(now, None, vec![due], &stop).await.rounds.remove(0));
    }
    records.try_into().unwrap()
}

#[tokio::test(start_paused = true)]
async fn answers_in_any_order_and_however_late_count_once() {
    for fault in [Fault::Reordered, Fault::Delayed, Fault::Repeated] {
        for record in rounds(fault).await {
            assert_eq!(
                (record.verdict, record.reached, record.pings, record.warm),
                (Verdict::Reached, Some(10), 10, 10),
                "{fault:?}"
            );
            assert_eq!(record.billed_ms, Some(1_000), "{fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_fail_their_pings_and_free_their_slots() {
    for fault in [Fault::Lost, Fault::Withheld] {
        for record in rounds(fault).await {
            assert_eq!((record.verdict, record.pings), (Verdict::Short, 10), "{fault:?}");
            assert_eq!((record.warm, record.failed), (7, 3), "{fault:?}");
            assert_eq!(record.reached, Some(7), "{fault:?}: nothing is claimed for the lost ones");
        }
    }
}
