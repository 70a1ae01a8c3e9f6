//! The ports of the simulated daemon: a clock that is set, a store that fails, and counted metrics.

use std::io::{self, Write};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;
use warmd::domain::metric_data::{Batch, UNACKNOWLEDGED};
use warmd::engine::ports::{
    Clock, Condition, Fetched, LostMetrics, Metrics, ObjectStore, PutError, StoreFuture, Version,
};
use warmd::service::store::Memory;

/// A wall clock that moves with tokio's clock, and can be set.
#[derive(Debug)]
pub struct Wall {
    pub start: DateTime<Utc>,
    began: Instant,
    ahead: AtomicI64,
}

impl Wall {
    pub fn new(start: DateTime<Utc>) -> Self {
        Self { start, began: Instant::now(), ahead: AtomicI64::new(0) }
    }

    /// Sets the clock `minutes` ahead of the time since the start.
    pub fn set(&self, minutes: i64) {
        self.ahead.store(minutes, Ordering::Relaxed);
    }

    pub fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }
}

impl Clock for Wall {
    fn now(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.began.elapsed()).unwrap();
        self.start + elapsed + TimeDelta::minutes(self.ahead())
    }
}

/// The faults of the state store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// Every call fails.
    Down,
    /// Every call takes this many milliseconds.
    Slow(u64),
    /// Other writers change objects: half of the conditional writes meet a conflict.
    Conflicts,
    /// Half of the writes succeed without an answer.
    LostAnswers,
}

/// A store with faults.
#[derive(Debug)]
pub struct FaultyStore {
    pub objects: Memory,
    fault: Mutex<(Option<StoreFault>, StdRng)>,
}

impl FaultyStore {
    pub fn new(seed: u64) -> Self {
        Self { objects: Memory::default(), fault: Mutex::new((None, StdRng::seed_from_u64(seed))) }
    }

    pub fn set(&self, fault: Option<StoreFault>) {
        self.fault.lock().unwrap().0 = fault;
    }

    /// Waits like the store. Returns the fault that applies to this call.
    async fn meet(&self) -> Option<StoreFault> {
        let fault = {
            let (fault, rng) = &mut *self.fault.lock().unwrap();
            fault.filter(|fault| matches!(fault, StoreFault::Down | StoreFault::Slow(_)) || rng.random())
        };
        let took = if let Some(StoreFault::Slow(took)) = fault { took } else { 5 };
        tokio::time::sleep(Duration::from_millis(took)).await;
        fault
    }
}

impl ObjectStore for FaultyStore {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        Box::pin(async move {
            match self.meet().await {
                Some(StoreFault::Down) => Err("the store is down".to_owned().into()),
                _ => self.objects.get(key, known).await,
            }
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        let down = |text: &str| PutError::Failed(text.to_owned().into());
        Box::pin(async move {
            match self.meet().await {
                Some(StoreFault::Down) => Err(down("the store is down")),
                Some(StoreFault::Conflicts) => Err(PutError::Conflict),
                Some(StoreFault::LostAnswers) => {
                    self.objects.put(key, bytes, condition).await?;
                    Err(down("no answer"))
                }
                Some(StoreFault::Slow(_)) | None => self.objects.put(key, bytes, condition).await,
            }
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<(String, Version)>, warmd::engine::ports::ObjectStoreError>> {
        self.objects.list()
    }
}

/// The destinations of the metric `Pings`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Delivered {
    /// CloudWatch acknowledged them.
    pub acknowledged: f64,
    /// CloudWatch may have counted them.
    pub unknown: f64,
    /// The process ended before CloudWatch answered.
    pub cut: f64,
    /// The number of batches that CloudWatch refused. They are spooled.
    pub refused: u64,
}

/// A port that counts what the port behind it delivers.
pub struct Counted<M> {
    pub metrics: M,
    pub delivered: Arc<Mutex<Delivered>>,
}

/// A call without an answer yet.
struct Open<'c>(&'c Mutex<Delivered>, f64);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().cut += self.1;
    }
}

fn pings(batch: &Batch) -> f64 {
    batch.data.iter().filter(|datum| datum.name == "Pings").map(|datum| datum.value).sum()
}

impl<M: Metrics> Metrics for Counted<M> {
    async fn put(&self, batch: &Batch, until: Instant) -> Result<(), LostMetrics> {
        let mut open = Open(&self.delivered, pings(batch));
        let answer = self.metrics.put(batch, until).await;
        let all = std::mem::take(&mut open.1);
        let mut delivered = self.delivered.lock().unwrap();
        match &answer {
            Ok(()) => delivered.acknowledged += all,
            Err(lost) => {
                let (refused, unknown) = (pings(&lost.lost), pings(&lost.unknown));
                delivered.unknown += unknown;
                delivered.acknowledged += all - refused - unknown;
                delivered.refused += u64::from(!lost.lost.data.is_empty());
            }
        }
        drop(delivered);
        answer
    }
}

/// The lines that the recorder writes.
#[derive(Clone, Default)]
pub struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    /// Removes the lines. Returns the pings in those that CloudWatch counts, and in the others.
    pub fn take(&self) -> (f64, f64) {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let (mut embedded, mut plain) = (0.0, 0.0);
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let pings = line["Pings"].as_f64().unwrap_or(0.0);
            *if line["message"] == UNACKNOWLEDGED { &mut plain } else { &mut embedded } += pings;
        }
        (embedded, plain)
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
