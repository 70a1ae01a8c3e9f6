//! Reads the minutes of the history, without its other fields.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, NaiveTime, Utc};
use futures_util::stream::{self, StreamExt};

use super::read::{CONCURRENT_READS, Key, Unread, hour_of, hours_of_day, in_background, keys, unmoved};
use crate::domain::coverage::Minutes;
use crate::domain::function::{Identity, Region};
use crate::domain::history::{DayFile, DayMinutes};
use crate::engine::ports::Fetched;
use crate::service::store::{DocumentStore, Unavailable};

/// Calls `visit` with the minutes of a target in some hours since the Unix epoch, in any order, until it has had all that
/// [`read`](super::read) returns. It takes a fraction of the time. Returns the documents that cannot be read, see
/// [`History::unread`](crate::domain::history::History::unread).
///
/// # Errors
/// [`Unavailable`], also after some minutes were visited.
pub async fn for_each_minutes(
    documents: &DocumentStore,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    mut visit: impl FnMut(&Identity, &[(i64, Minutes)]),
) -> Result<Vec<String>, Unavailable> {
    let mut unread = Unread::default();
    let unmoved = unmoved(documents, from, until, &mut unread).await?;
    let waiting: Vec<(i64, u64)> = unmoved.writes().collect();
    let waiting: Arc<[(i64, u64)]> = waiting.into();
    let reading = keys(documents, from, until).await?.into_iter().map(|key| {
        let waiting = Arc::clone(&waiting);
        async move {
            let fetched = documents.get_object(&key.text, None).await;
            let text = key.text.clone();
            let read = in_background(move || MinutesOfDay::read(&key, fetched, &waiting, from, until));
            (text, read.await)
        }
    });
    let mut reading = std::pin::pin!(stream::iter(reading).buffered(CONCURRENT_READS));
    let mut moved: BTreeSet<(i64, u64, Region)> = BTreeSet::new();
    while let Some((key, read)) = reading.next().await {
        match read {
            Ok(Some(day)) => {
                day.minutes.bad.iter().for_each(|bad| unread.note(&key, bad));
                moved.extend(day.moved);
                let mut hours = Vec::new();
                for (id, of_hours) in &day.minutes.targets {
                    hours.clear();
                    hours.extend(
                        of_hours.iter().map(|(hour, minutes)| (day.first + i64::from(*hour), *minutes)),
                    );
                    visit(id, &hours);
                }
            }
            Ok(None) => {}
            Err(BadDay::Unavailable(unavailable)) => unread.fail(&key, unavailable)?,
            Err(BadDay::Unreadable(reason)) => unread.note(&key, &reason),
        }
    }
    for (hour, write, id, row) in unmoved.rows() {
        if !moved.contains(&(hour, write, id.region)) {
            visit(id, &[(hour, row.minutes)]);
        }
    }
    Ok(unread.notes)
}

/// The minutes of a document of a day.
struct MinutesOfDay {
    /// The first hour of the day, in hours since the Unix epoch.
    first: i64,
    minutes: DayMinutes,
    /// Those of the waiting writes that it contains, by hour.
    moved: Vec<(i64, u64, Region)>,
}

/// The reason why a document of a day has no minutes.
enum BadDay {
    Unavailable(Unavailable),
    Unreadable(String),
}

impl MinutesOfDay {
    /// Reads the minutes of the hours that begin within `from..until`. `None` if the document was deleted since it was
    /// listed.
    fn read(
        key: &Key,
        fetched: Result<Fetched, Unavailable>,
        waiting: &[(i64, u64)],
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Option<Self>, BadDay> {
        let Fetched::Object { bytes, .. } = fetched.map_err(BadDay::Unavailable)? else { return Ok(None) };
        let file = DayFile::parse(&bytes).map_err(|bad| BadDay::Unreadable(bad.to_string()))?;
        let first = hour_of(key.day.and_time(NaiveTime::MIN).and_utc());
        let is_here = |(hour, write): &&(i64, u64)| {
            u8::try_from(hour - first).is_ok_and(|hour| file.has(hour, *write) == Ok(true))
        };
        let moved = waiting.iter().filter(is_here).map(|(hour, write)| (*hour, *write, key.region)).collect();
        Ok(Some(Self { first, minutes: file.minutes(hours_of_day(first, from, until), key.region), moved }))
    }
}
