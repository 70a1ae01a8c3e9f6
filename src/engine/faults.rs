//! The engine on a Lambda whose answers are lost, delayed, repeated and reordered.

use std::num::NonZeroU32;
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
use crate::domain::round::{Answer, RawInvocation, RoundReport, Verdict};

/// The duration of a run.
const RUN: Duration = Duration::from_millis(100);

/// Every ping has a warm environment of its own that runs for [`RUN`].
struct Sound;

impl Lambda for Sound {
    fn send(&self, round: PingRound) -> PingEnds {
        let (deliveries, delivered) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let released = Instant::now();
            sleep(RUN).await;
            for index in 0..round.payloads.pings() {
                let report = "REPORT RequestId: q\tDuration: 100.00 ms\tBilled Duration: 100 ms\tMemory Size: 128 MB\t\
                              Max Memory Used: 17 MB";
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
    /// In reverse order.
    Reordered,
    /// An hour late, with the original times.
    Delayed,
    /// Twice, and one for a ping that does not exist.
    Repeated,
    /// The first three are lost, and the channel is closed.
    Lost,
    /// The first three are lost, and the channel stays open.
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
async fn rounds(fault: Fault) -> [RoundReport; 2] {
    let engine = Arc::new(Engine::new(Faulty(Sound, fault), PriceBook::embedded(), 10));
    let (_stopper, stop) = stop();
    let bare = Target::bare(&FunctionRef::parse("f").unwrap(), Region::parse("eu-west-2").unwrap());
    let timeout = Some(Duration::from_secs(7_200));
    let target = Arc::new(Target { hold: Hold::Fixed(RUN), timeout, ..bare });
    let mut reports = Vec::new();
    for minute in [0, 5] {
        let now = format!("2026-11-20T09:0{minute}:00Z").parse().unwrap();
        let due = Due::new(Arc::clone(&target), NonZeroU32::new(10).unwrap());
        let tick = engine.tick(now, None, vec![due], &stop).await;
        reports.push(tick.rounds[0].sent().unwrap().report.clone());
    }
    reports.try_into().unwrap()
}

#[tokio::test(start_paused = true)]
async fn answers_out_of_order_late_or_repeated_count_once() {
    for fault in [Fault::Reordered, Fault::Delayed, Fault::Repeated] {
        for report in rounds(fault).await {
            assert_eq!(
                (report.verdict, report.reached, report.pings, report.counts.warm),
                (Verdict::Reached, Some(10), 10, 10),
                "{fault:?}"
            );
            assert_eq!(report.billed_ms, Some(1_000), "{fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_fail_their_pings_and_free_their_slots() {
    for fault in [Fault::Lost, Fault::Withheld] {
        for report in rounds(fault).await {
            assert_eq!((report.verdict, report.pings), (Verdict::Short, 10), "{fault:?}");
            assert_eq!((report.counts.warm, report.counts.failed), (7, 3), "{fault:?}");
            assert_eq!(report.reached, Some(7), "{fault:?}: lost answers prove nothing");
        }
    }
}
