//! The Events port on the SDK: PutEvents.

use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use super::error::refusal;
use crate::engine::ports::{Event, Events, LostEvents};

/// Entries in one PutEvents request: the API's limit.
const PER_REQUEST: usize = 10;
/// Bytes in one PutEvents request. The limit was raised to 1 MB, but not every region need have it: the old one.
const BYTES_PER_REQUEST: usize = 256 << 10;
/// How often an entry that EventBridge refused is offered in all.
const ATTEMPTS: u32 = 3;
/// Before the second attempt; twice as long before the third.
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

    /// Offers one request's worth of events. Gives back which were refused, and why.
    ///
    /// # Errors
    /// The whole request failed, although the SDK repeated it.
    async fn offer(&self, events: &[&Event]) -> Result<Vec<(usize, String)>, String> {
        let entries = events.iter().map(|event| wire(event)).collect();
        let request = self.client.put_events().set_entries(Some(entries));
        let answer = request.send().await.map_err(|error| refusal(&error))?;
        if answer.failed_entry_count == 0 {
            return Ok(Vec::new());
        }
        let refused = (0..events.len()).filter_map(|index| match answer.entries().get(index) {
            Some(entry) if entry.event_id().is_some() => None,
            Some(entry) => {
                let code = entry.error_code().unwrap_or("refused");
                Some((index, format!("{code}: {}", entry.error_message().unwrap_or("no reason given"))))
            }
            None => Some((index, "the answer does not mention it".to_owned())),
        });
        Ok(refused.collect())
    }

    /// Puts one request's worth of events. Gives back those that were not taken in the end.
    async fn put_batch<'a>(&self, mut left: Vec<&'a Event>) -> Vec<(&'a Event, String)> {
        let mut attempt = 1;
        loop {
            let refused = match self.offer(&left).await {
                Ok(refused) => refused,
                Err(reason) => return left.into_iter().map(|event| (event, reason.clone())).collect(),
            };
            let refused: Vec<(&Event, String)> =
                refused.into_iter().filter_map(|(index, reason)| Some((*left.get(index)?, reason))).collect();
            if refused.is_empty() || attempt == ATTEMPTS {
                return refused;
            }
            left = refused.into_iter().map(|(event, _)| event).collect();
            tokio::time::sleep(PAUSE * attempt).await;
            attempt += 1;
        }
    }
}

impl Events for EventBridge {
    async fn put(&self, events: &[Event]) -> Result<(), LostEvents> {
        let mut lost = Vec::new();
        for batch in batches(events) {
            let refused = self.put_batch(batch.iter().collect()).await;
            lost.extend(refused.into_iter().map(|(event, reason)| (event.clone(), reason)));
        }
        if lost.is_empty() { Ok(()) } else { Err(LostEvents { lost }) }
    }
}

/// The events in order, cut where a request would be too large.
fn batches(events: &[Event]) -> Vec<&[Event]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, event) in events.iter().enumerate() {
        let size = size(event);
        let full = index - start == PER_REQUEST || bytes + size > BYTES_PER_REQUEST;
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

/// An entry's size as EventBridge counts it: the lengths of source, detail type and detail.
fn size(event: &Event) -> usize {
    event.source.len() + event.detail_type.len() + event.detail.len()
}

fn wire(event: &Event) -> PutEventsRequestEntry {
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
    fn requests_are_cut_at_ten_entries_and_at_the_size_limit() {
        let sizes = |events: &[Event]| batches(events).iter().map(|batch| batch.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&vec![event(10); 25]), [10, 10, 5]);
        assert_eq!(sizes(&vec![event(100 << 10); 5]), [2, 2, 1]);
        assert_eq!(
            sizes(&[event(300 << 10), event(10)]),
            [1, 1],
            "one that cannot fit is for EventBridge to refuse"
        );
    }
}
