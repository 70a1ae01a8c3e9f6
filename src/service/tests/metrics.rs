//! Metrics that CloudWatch refuses.

use super::*;
use crate::domain::exposition::Totals;
use crate::domain::fleet::MetricsSettings;
use crate::domain::metric_data::{Batch, TickFacts};
use crate::engine::ports::{CallError, ErrorKind, LostMetrics, Metrics};
use crate::service::recorder::{PATIENCE, Recorded, Recorder};

struct Refusing;

impl Metrics for Refusing {
    async fn put(&self, batch: &Batch, _: Instant) -> Result<(), LostMetrics> {
        let unknown = Batch { data: Vec::new(), ..batch.clone() };
        Err(LostMetrics {
            lost: batch.clone(),
            unknown,
            reason: CallError::new(ErrorKind::AccessDenied, "AccessDenied"),
        })
    }
}

/// The output of a recorder.
#[derive(Clone, Default)]
pub(super) struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The pings of each line, in the embedded metric format or as plain JSON.
    pub(super) fn lines(&self) -> Vec<(&'static str, f64)> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let kind = |line: &serde_json::Value| if line.get("_aws").is_some() { "embedded" } else { "plain" };
        lines.map(|line| (kind(&line), line["Pings"].as_f64().unwrap())).collect()
    }
}

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn refused_metrics_are_written_as_lines() {
    let page = Page::default();
    let mut recorder = Recorder::new(Refusing, Box::new(page.clone()));
    let totals = Arc::<Mutex<Totals>>::default();
    recorder.totals = Some(Arc::clone(&totals));
    let report = TickReport { duration_ms: 5, ..TickReport::empty(at("2026-11-20T09:00:00Z"), None) };
    assert_eq!(
        recorder
            .record(
                &report,
                &MetricsSettings::default(),
                TickFacts::default(),
                &Default::default(),
                Instant::now() + PATIENCE
            )
            .await,
        Recorded::FellBack
    );
    let text = page.text();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["TickDuration"], 5.0);
    assert_eq!(lines[0]["Pings"], 0.0);
    let text = totals.lock().unwrap().text(&[]);
    assert!(
        text.contains("warmd_tick_duration_seconds_sum 0.005\nwarmd_tick_duration_seconds_count 1\n"),
        "{text}"
    );
}

#[test]
fn a_denied_request_for_metrics_has_a_hint_with_the_permission() {
    let batch = Batch { namespace: "warmd".to_owned(), at: DateTime::UNIX_EPOCH, data: Vec::new() };
    let lost = |kind| LostMetrics {
        lost: batch.clone(),
        unknown: batch.clone(),
        reason: CallError::new(kind, "refused"),
    };
    assert!(lost(ErrorKind::AccessDenied).hint().contains("cloudwatch:PutMetricData"));
    assert_eq!(lost(ErrorKind::Throttled).hint(), "");
}
