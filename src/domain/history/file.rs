//! The document of one day: gzip with one member for each hour.
//!
//! Each member has its size and its hour in the extra field of its header (RFC 1952, subfield `WH`), so that the members
//! of other hours are copied and not unpacked when one is changed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::ops::Range;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};
use serde::{Deserialize, Serialize};

use super::{Refused, Row, Rows};
use crate::domain::coverage::Minutes;
use crate::domain::function::{FunctionRef, Identity, Region, Tenant};

/// The largest member after it is unpacked: a hundred thousand targets.
const MOST_UNPACKED: u64 = 64 << 20;
/// The writes that an hour remembers. A write is repeated within seconds, and there is one in five minutes for each
/// writer.
const MOST_WRITES: usize = 64;
/// The length of a header with the extra field, and the places of the size and the hour in it.
const HEADER: usize = 21;
const SIZE_AT: std::ops::Range<usize> = 16..20;
const HOUR_AT: usize = 20;
/// The beginning of a member: gzip, deflate, an extra field; and the subfield with its length.
const MAGIC: [u8; 4] = [0x1f, 0x8b, 8, 4];
const SUBFIELD: [u8; 6] = [9, 0, b'W', b'H', 5, 0];

/// The reason why a document of the history cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHistory {
    /// It is not made of members with their size.
    #[error("it is damaged at byte {0}")]
    Damaged(usize),
    /// A member cannot be unpacked.
    #[error("the hour {hour} is damaged: {reason}")]
    Hour {
        /// The hour, from 0 to 23.
        hour: u8,
        /// The reason.
        reason: String,
    },
    /// A member has rows that cannot be right.
    #[error("the hour {hour}: {rows}")]
    Rows {
        /// The hour, from 0 to 23.
        hour: u8,
        /// The rows.
        rows: Refused,
    },
}

/// A day of a region, with its hours still packed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayFile {
    hours: BTreeMap<u8, Vec<u8>>,
}

/// The first line of an hour.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Head {
    /// The hour, from 0 to 23.
    hour: u8,
    /// Random numbers of the writes that were added. A write is repeated when its answer was lost.
    #[serde(default)]
    writes: Vec<u64>,
}

/// The line of a target.
#[derive(Serialize)]
struct Line<'r> {
    function: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'r str>,
    #[serde(flatten)]
    row: &'r Row,
}

/// The target of a [`Line`]. It is read apart from the row, because a flattened row takes three times as long.
#[derive(Deserialize)]
struct LineTarget<'t> {
    #[serde(borrow)]
    function: Cow<'t, str>,
    #[serde(borrow, default)]
    tenant: Option<Cow<'t, str>>,
}

/// The part of a [`Line`] that objectives need.
#[derive(Deserialize)]
struct MinutesLine<'t> {
    #[serde(borrow)]
    function: Cow<'t, str>,
    #[serde(borrow, default)]
    tenant: Option<Cow<'t, str>>,
    #[serde(default)]
    window: u64,
    #[serde(default)]
    warm: u64,
    #[serde(default)]
    unknown: u64,
    #[serde(default)]
    capped: u64,
}

/// The minutes of the targets of a document.
#[derive(Debug, Default)]
pub struct DayMinutes {
    /// The minutes by the hour, from 0 to 23. A target may come several times.
    pub targets: Vec<(Identity, Vec<(u8, Minutes)>)>,
    /// The hours that cannot be read.
    pub bad: Vec<BadHistory>,
}

/// An hour that is unpacked.
#[derive(Debug, Default)]
struct Hour {
    head: Head,
    rows: Rows,
    /// The lines that this version cannot read, and those of `refused`. They are kept.
    others: Vec<String>,
    /// The rows that cannot be right.
    refused: Refused,
}

impl DayFile {
    /// Returns the name of the document of a region and a day. `writer` distinguishes the documents of shards.
    pub fn document(region: Region, day: DateTime<Utc>, writer: Option<u32>) -> String {
        let writer = writer.map(|writer| format!("-{writer:x}")).unwrap_or_default();
        format!("history-{region}-{}{writer}", day.format("%Y-%m-%d"))
    }

    /// Returns the region and the day of a document's name; `None` if it is not one of [`DayFile::document`].
    pub fn parse_document(name: &str) -> Option<(Region, NaiveDate)> {
        let rest = name.strip_prefix("history-")?;
        let region = Region::all()
            .find(|region| rest.strip_prefix(region.as_str()).is_some_and(|rest| rest.starts_with('-')))?;
        let rest = rest.get(region.as_str().len() + 1..)?;
        let day = NaiveDate::parse_from_str(rest.get(..10)?, "%Y-%m-%d").ok()?;
        let writer = match rest.get(10..)? {
            "" => None,
            writer => Some(u32::from_str_radix(writer.strip_prefix('-')?, 16).ok()?),
        };
        // Each document has one name.
        let at = day.and_time(NaiveTime::MIN).and_utc();
        (Self::document(region, at, writer) == name).then_some((region, day))
    }

    /// Reads a document. The hours are not unpacked yet.
    ///
    /// # Errors
    /// [`BadHistory::Damaged`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadHistory> {
        let mut hours = BTreeMap::new();
        let mut at = 0;
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let (hour, member) = member_of(rest).ok_or(BadHistory::Damaged(at))?;
            if hours.insert(hour, member.to_vec()).is_some() {
                return Err(BadHistory::Damaged(at));
            }
            at += member.len();
        }
        Ok(Self { hours })
    }

    /// Returns the document.
    pub fn bytes(&self) -> Vec<u8> {
        self.hours.values().flatten().copied().collect()
    }

    /// Returns the hours that have rows, from 0 to 23.
    pub fn hours(&self) -> impl Iterator<Item = u8> {
        self.hours.keys().copied()
    }

    /// Returns the rows of an hour; none if there are none. Lines of newer versions are left out, and rows that cannot be
    /// right.
    ///
    /// # Errors
    /// [`BadHistory::Hour`].
    pub fn rows(&self, hour: u8, region: Region) -> Result<Rows, BadHistory> {
        Ok(self.checked_rows(hour, region)?.0)
    }

    /// Returns the rows of an hour as [`DayFile::rows`], and [`BadHistory::Rows`] if some cannot be right.
    ///
    /// # Errors
    /// [`BadHistory::Hour`].
    pub fn checked_rows(&self, hour: u8, region: Region) -> Result<(Rows, Option<BadHistory>), BadHistory> {
        let Hour { rows, refused, .. } = self.hour(hour, region)?;
        Ok((rows, refused.some().map(|rows| BadHistory::Rows { hour, rows })))
    }

    /// Returns the minutes of the rows of some hours. Their other fields are not read, which takes a fraction of the time
    /// of [`DayFile::rows`].
    pub fn minutes(&self, hours: Range<u8>, region: Region) -> DayMinutes {
        let mut found = DayMinutes::default();
        // The place in `targets` by the text of a target; `None` for one that this version cannot read.
        let mut places: HashMap<String, Option<usize>> = HashMap::new();
        for (hour, member) in self.hours.iter().filter(|(hour, _)| hours.contains(hour)) {
            let mut refused = Refused::default();
            let add = |text: &str| {
                head_of(text, *hour)?;
                for line in text.lines().skip(1) {
                    let Ok(line) = serde_json::from_str::<MinutesLine<'_>>(line) else { continue };
                    let MinutesLine { function, tenant, window, warm, unknown, capped } = line;
                    let key = match &tenant {
                        Some(tenant) => Cow::Owned(format!("{function}\n{tenant}")),
                        None => Cow::Borrowed(&*function),
                    };
                    let place = places.get(&*key).copied().unwrap_or_else(|| {
                        let id = id_of(&function, tenant.as_deref(), region);
                        let place = id.map(|id| {
                            found.targets.push((id, Vec::new()));
                            found.targets.len() - 1
                        });
                        places.insert(key.into_owned(), place);
                        place
                    });
                    let minutes = Minutes { window, warm, unknown, capped };
                    if let Some((id, hours)) = place.and_then(|place| found.targets.get_mut(place))
                        && (minutes.is_of_hour() || refused.accepts(id, &Row::of_minutes(minutes)))
                    {
                        hours.push((*hour, minutes));
                    }
                }
                Ok(())
            };
            if let Err(bad) = unpack(member, *hour, add) {
                found.bad.push(bad);
            }
            found.bad.extend(refused.some().map(|rows| BadHistory::Rows { hour: *hour, rows }));
        }
        found
    }

    /// Returns true if the write with this random number was added to an hour.
    ///
    /// # Errors
    /// [`BadHistory::Hour`].
    pub fn has(&self, hour: u8, write: u64) -> Result<bool, BadHistory> {
        let Some(member) = self.hours.get(&hour) else { return Ok(false) };
        unpack(member, hour, |text| Ok(head_of(text, hour)?.writes.contains(&write)))
    }

    /// Adds rows to an hour. `write` is a random number of this write. Returns false if it was added before.
    ///
    /// # Errors
    /// [`BadHistory::Hour`]. Nothing is changed.
    pub fn add(&mut self, hour: u8, region: Region, write: u64, rows: &Rows) -> Result<bool, BadHistory> {
        let mut known = self.hour(hour, region)?;
        if known.head.writes.contains(&write) {
            return Ok(false);
        }
        known.head.hour = hour;
        known.head.writes.push(write);
        let surplus = known.head.writes.len().saturating_sub(MOST_WRITES);
        known.head.writes.drain(..surplus);
        for (id, row) in rows {
            known.rows.entry(id.clone()).or_default().add(row);
        }
        let packed = pack(&known).map_err(|reason| BadHistory::Hour { hour, reason })?;
        self.hours.insert(hour, packed);
        Ok(true)
    }

    fn hour(&self, hour: u8, region: Region) -> Result<Hour, BadHistory> {
        let Some(member) = self.hours.get(&hour) else { return Ok(Hour::default()) };
        unpack(member, hour, |text| {
            let head = head_of(text, hour)?;
            let mut unpacked = Hour { head, ..Hour::default() };
            for line in text.lines().skip(1) {
                let Some((id, mut row)) = row_of(line, region) else {
                    unpacked.others.push(line.to_owned());
                    continue;
                };
                // A document has one line of each target.
                unpacked.rows.get(&id).iter().for_each(|known| row.add(known));
                if unpacked.refused.accepts(&id, &row) {
                    unpacked.rows.insert(id, row);
                } else {
                    unpacked.others.push(line.to_owned());
                }
            }
            Ok(unpacked)
        })
    }
}

/// Returns the first member of a document with its hour; `None` if it is not one of [`pack`].
fn member_of(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let is_ours = bytes.starts_with(&MAGIC) && bytes.get(10..16)? == SUBFIELD;
    let size = bytes.get(SIZE_AT).filter(|_| is_ours)?;
    let size = usize::try_from(u32::from_le_bytes(size.try_into().ok()?)).ok()?;
    let hour = bytes.get(HOUR_AT).copied().filter(|hour| *hour < 24 && size >= HEADER)?;
    Some((hour, bytes.get(..size)?))
}

fn head_of(text: &str, hour: u8) -> Result<Head, BadHistory> {
    let line = text.lines().next().unwrap_or_default();
    serde_json::from_str(line).map_err(|error| BadHistory::Hour { hour, reason: error.to_string() })
}

fn row_of(line: &str, region: Region) -> Option<(Identity, Row)> {
    let LineTarget { function, tenant } = serde_json::from_str(line).ok()?;
    Some((id_of(&function, tenant.as_deref(), region)?, serde_json::from_str(line).ok()?))
}

fn id_of(function: &str, tenant: Option<&str>, region: Region) -> Option<Identity> {
    let id = FunctionRef::parse(function).ok()?.identity(region);
    let tenant = match tenant {
        Some(tenant) => Some(Tenant::parse(tenant).ok()?),
        None => None,
    };
    Some(Identity { tenant, ..id })
}

/// Unpacks a member and reads it.
fn unpack<T>(
    member: &[u8],
    hour: u8,
    read: impl FnOnce(&str) -> Result<T, BadHistory>,
) -> Result<T, BadHistory> {
    let bad = |reason: String| BadHistory::Hour { hour, reason };
    let mut text = String::new();
    let unpacked = GzDecoder::new(member).take(MOST_UNPACKED + 1).read_to_string(&mut text);
    let length = unpacked.map_err(|error| bad(error.to_string()))?;
    if length as u64 > MOST_UNPACKED {
        return Err(bad(format!("it has more than {MOST_UNPACKED} bytes")));
    }
    read(&text)
}

fn pack(hour: &Hour) -> Result<Vec<u8>, String> {
    let field = [SUBFIELD.get(2..).unwrap_or_default(), &[0, 0, 0, 0, hour.head.hour]].concat();
    let mut packing = GzBuilder::new().extra(field).write(Vec::new(), Compression::default());
    let lines = hour.rows.iter().map(|(id, row)| Line {
        function: id.label(),
        tenant: id.tenant.as_ref().map(Tenant::as_str),
        row,
    });
    let lines = lines.map(|line| serde_json::to_string(&line));
    let others = hour.others.iter().cloned().map(Ok);
    for line in std::iter::once(serde_json::to_string(&hour.head)).chain(lines).chain(others) {
        let line = line.map_err(|error| error.to_string())?;
        writeln!(packing, "{line}").map_err(|error| error.to_string())?;
    }
    let mut member = packing.finish().map_err(|error| error.to_string())?;
    let size = u32::try_from(member.len()).map_err(|error| error.to_string())?;
    if let Some(place) = member.get_mut(SIZE_AT) {
        place.copy_from_slice(&size.to_le_bytes());
    }
    Ok(member)
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
