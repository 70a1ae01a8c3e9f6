//! The Events port on the SDK: PutEvents.

use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::error;

use super::attempts::attempts;
use crate::engine::ports::{CallError, Delivery, ErrorKind, Event, Events, LostEvents, Unacknowledged};

/// The maximum number of entries of a PutEvents request: the API's limit.
const MAX_ENTRIES: usize = 10;
/// The largest PutEvents request, bytes. The limit was raised from this to 1 MB, perhaps not yet in every region.
const MAX_REQUEST_BYTES: usize = 256 << 10;
/// The maximum number of attempts for an entry that EventBridge refuses.
const ATTEMPTS: u32 = 3;
/// The pause before the second attempt. The pause before the third is twice as long.
const PAUSE: Duration = Duration::from_millis(200);

/// EventBridge, through the SDK.
#[derive(Debug, Clone)]
pub struct EventBridge {
    client: Client,
}

impl EventBridge {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Sends one request. Returns the indexes of the events that were not acknowledged.
    ///
    /// # Errors
    /// The reason for which the whole request has no acknowledgement.
    async fn put_once(
        &self,
        events: &[Event],
        until: Instant,
    ) -> Result<Vec<(usize, Unacknowledged)>, Unacknowledged> {
        let entries = events.iter().map(to_sdk).collect();
        let request = self.client.put_events().set_entries(Some(entries));
        let answer = attempts(until, || request.clone().send()).await?;
        let all_accepted = answer.failed_entry_count == 0;
        let of_entry = |index: usize| match answer.entries().get(index) {
            Some(entry) if entry.error_code().is_some() => {
                let code = entry.error_code().unwrap_or("refused");
                let message = format!("{code}: {}", entry.error_message().unwrap_or("no message"));
                let reason = CallError::new(ErrorKind::of_code(code), message);
                Some((index, Unacknowledged { reason, delivery: Delivery::NotProcessed }))
            }
            Some(entry) if entry.event_id().is_some() => None,
            Some(_) | None if all_accepted => None,
            Some(_) | None => {
                let reason = CallError::new(ErrorKind::Other, "the answer has no result for the event");
                Some((index, Unacknowledged { reason, delivery: Delivery::Unknown }))
            }
        };
        Ok((0..events.len()).filter_map(of_entry).collect())
    }

    /// Puts the events of one request and retries those that EventBridge refuses. Returns those without an
    /// acknowledgement.
    async fn put_batch(&self, mut left: Vec<Event>, until: Instant) -> Vec<(Event, Unacknowledged)> {
        let mut lost = Vec::new();
        let mut attempt = 1;
        loop {
            let refused = match self.put_once(&left, until).await {
                Ok(refused) => refused,
                Err(loss) => {
                    lost.extend(left.into_iter().map(|event| (event, loss.clone())));
                    return lost;
                }
            };
            let refused =
                refused.into_iter().filter_map(|(index, loss)| Some((left.get(index)?.clone(), loss)));
            let (unknown, refused): (Vec<_>, Vec<_>) =
                refused.partition(|(_, loss)| loss.delivery == Delivery::Unknown);
            lost.extend(unknown);
            let pause = PAUSE * attempt;
            if refused.is_empty() || attempt == ATTEMPTS || Instant::now() + pause >= until {
                lost.extend(refused);
                return lost;
            }
            left = refused.into_iter().map(|(event, _)| event).collect();
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }
}

impl Events for EventBridge {
    async fn put(&self, events: &[Event], until: Instant) -> Result<(), LostEvents> {
        // Concurrently, so that a bus that does not answer costs one timeout only.
        let mut requests = JoinSet::new();
        let batches = batches(events);
        for (index, batch) in batches.iter().enumerate() {
            let (bridge, batch) = (self.clone(), batch.to_vec());
            requests.spawn(async move { (index, bridge.put_batch(batch, until).await) });
        }
        // The events of a task that panics stay unknown.
        let mut ends: Vec<_> = batches.iter().map(|batch| Err(*batch)).collect();
        while let Some(done) = requests.join_next().await {
            match done {
                Ok((index, lost)) => ends[index] = Ok(lost),
                Err(error) => error!(%error, "a PutEvents request ended unexpectedly"),
            }
        }
        let unexpected = || Unacknowledged {
            reason: CallError::new(ErrorKind::Other, "the request ended unexpectedly"),
            delivery: Delivery::Unknown,
        };
        let lost: Vec<_> = ends
            .into_iter()
            .flat_map(|end| match end {
                Ok(lost) => lost,
                Err(batch) => batch.iter().map(|event| (event.clone(), unexpected())).collect(),
            })
            .collect();
        if lost.is_empty() { Ok(()) } else { Err(LostEvents { lost }) }
    }
}

/// Splits the events, in order, into requests within the limits.
fn batches(events: &[Event]) -> Vec<&[Event]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, event) in events.iter().enumerate() {
        let size = size(event);
        let full = index - start == MAX_ENTRIES || bytes + size > MAX_REQUEST_BYTES;
        if full && index > start {
            batches.push(&events[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += size;
    }
    if start < events.len() {
        batches.push(&events[start..]);
    }
    batches
}

/// Returns an entry's size as EventBridge counts it: the lengths of source, detail type and detail.
fn size(event: &Event) -> usize {
    event.source.len() + event.detail_type.len() + event.detail.len()
}

fn to_sdk(event: &Event) -> PutEventsRequestEntry {
    PutEventsRequestEntry::builder()
        .set_event_bus_name(event.bus.clone())
        .source(&event.source)
        .detail_type(&event.detail_type)
        .detail(&event.detail)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bytes: usize) -> Event {
        Event { bus: None, source: String::new(), detail_type: String::new(), detail: "x".repeat(bytes) }
    }

    #[test]
    fn requests_are_split_at_ten_entries_and_at_the_size_limit() {
        let sizes = |events: &[Event]| batches(events).iter().map(|batch| batch.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&vec![event(10); 25]), [10, 10, 5]);
        assert_eq!(sizes(&vec![event(100 << 10); 5]), [2, 2, 1]);
        assert_eq!(
            sizes(&[event(300 << 10), event(10)]),
            [1, 1],
            "EventBridge refuses an event that is too large"
        );
    }
}
