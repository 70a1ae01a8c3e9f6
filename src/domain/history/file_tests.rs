use insta::assert_snapshot;

use super::*;
use crate::domain::coverage::Minutes;
use crate::domain::history::{CapacityHour, ShortReason};

fn region() -> Region {
    Region::parse("eu-west-2").unwrap()
}

fn id(function: &str) -> Identity {
    FunctionRef::parse(function).unwrap().identity(region())
}

fn row(pings: u64) -> Row {
    Row {
        owner: Some("payments".to_owned()),
        minutes: Minutes { window: 60, warm: 55, unknown: 0, capped: 5 },
        target: 10,
        reached: Some(9),
        rounds: 12,
        pings,
        cold: 3,
        short: [(ShortReason::Throttled, 1)].into(),
        egress: [("nat-gateway".to_owned(), 1_000)].into(),
        cost: [("requests".to_owned(), "0.0000002".parse().unwrap())].into(),
        cost_unknown: 1,
        ..Row::default()
    }
}

fn text_of(file: &DayFile) -> String {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&file.bytes()[..]).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_document_is_lines_of_json_in_gzip() {
    let tenant = Identity { tenant: Tenant::parse("acme").ok(), ..id("checkout") };
    let capacity = CapacityHour { desired: 4, available: None };
    let with_capacity = Row { capacity: Some(capacity), ..Row::default() };
    let mut file = DayFile::default();
    assert_eq!(file.add(10, region(), 7, &[(tenant, with_capacity)].into()), Ok(true));
    assert_eq!(file.add(9, region(), 8, &[(id("nlp:live"), row(120))].into()), Ok(true));
    assert_snapshot!(text_of(&file), @r#"
    {"hour":9,"writes":[8]}
    {"function":"nlp:live","owner":"payments","window":60,"warm":55,"capped":5,"target":10,"reached":9,"rounds":12,"pings":120,"cold":3,"short":{"throttled":1},"egress":{"nat-gateway":1000},"cost":{"requests":"0.0000002"},"cost_unknown":1}
    {"hour":10,"writes":[7]}
    {"function":"checkout","tenant":"acme","capacity":{"desired":4,"available":null}}
    "#);
    let read = DayFile::parse(&file.bytes()).unwrap();
    assert_eq!(read, file);
    assert_eq!(read.rows(9, region()).unwrap(), [(id("nlp:live"), row(120))].into());
    assert_eq!(read.rows(11, region()).unwrap(), Rows::new());
    let minutes = read.minutes(9..10, region());
    assert_eq!((minutes.targets, minutes.bad.len()), (vec![(id("nlp:live"), vec![(9, row(1).minutes)])], 0));
    let targets = read.minutes(0..24, region()).targets;
    assert_eq!(targets[1].0.tenant.as_ref().map(Tenant::as_str), Some("acme"));
    assert_eq!(read.hours().collect::<Vec<_>>(), [9, 10]);
}

#[test]
fn a_repeated_write_adds_nothing() {
    let mut file = DayFile::default();
    let minutes = Minutes { window: 12, warm: 11, unknown: 0, capped: 1 };
    let rows: Rows = [(id("f"), Row { minutes, ..row(10) })].into();
    assert_eq!(file.add(9, region(), 1, &rows), Ok(true));
    assert_eq!(file.add(9, region(), 1, &rows), Ok(false));
    assert_eq!(file.add(9, region(), 2, &rows), Ok(true));
    assert_eq!([1, 2, 3].map(|write| file.has(9, write).unwrap()), [true, true, false]);
    assert_eq!(file.has(10, 1), Ok(false));
    let sum = file.rows(9, region()).unwrap().remove(&id("f")).unwrap();
    assert_eq!((sum.pings, sum.minutes.warm, sum.target, sum.reached), (20, 22, 10, Some(9)));
    assert_eq!(sum.known_usd().to_string(), "0.0000004");
    for write in 3..100 {
        file.add(9, region(), write, &[(id("f"), Row::default())].into()).unwrap();
    }
    assert_eq!(file.add(9, region(), 99, &rows), Ok(false));
    assert!(text_of(&file).lines().next().unwrap().len() < 400, "the writes are bounded");
}

#[test]
fn lines_of_newer_versions_are_kept() {
    let known = "{\"function\":\"f\",\"pings\":1}";
    let newer = "{\"function\":{\"name\":\"g\"},\"pings\":1}";
    let hour = Hour {
        head: Head { hour: 9, writes: Vec::new() },
        rows: Rows::new(),
        others: vec![known.to_owned(), newer.to_owned()],
        ..Hour::default()
    };
    let mut file = DayFile { hours: [(9, pack(&hour).unwrap())].into() };
    assert_eq!(file.rows(9, region()).unwrap().len(), 1);
    assert_eq!(file.minutes(0..24, region()).targets.len(), 1);
    file.add(9, region(), 1, &[(id("f"), row(1))].into()).unwrap();
    assert!(text_of(&file).contains(newer));
    assert_eq!(file.rows(9, region()).unwrap()[&id("f")].pings, 2);
}

#[test]
fn damaged_documents_are_refused() {
    let mut file = DayFile::default();
    file.add(9, region(), 1, &[(id("f"), row(1))].into()).unwrap();
    let bytes = file.bytes();
    for cut in 1..bytes.len() {
        assert_eq!(DayFile::parse(&bytes[..cut]), Err(BadHistory::Damaged(0)), "{cut}");
    }
    let twice = [&bytes[..], &bytes[..]].concat();
    assert_eq!(DayFile::parse(&twice), Err(BadHistory::Damaged(bytes.len())));
    assert!(DayFile::parse(b"{\"rows\":[]}").is_err());
    // Any flipped byte is an error or another reading, and never a panic.
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x55;
        if let Ok(file) = DayFile::parse(&flipped) {
            for hour in file.hours().collect::<Vec<_>>() {
                let _ = file.rows(hour, region());
            }
            file.minutes(0..24, region());
        }
    }
}

#[test]
fn rows_that_cannot_be_right_are_left_out_and_kept() {
    let lines = [
        r#"{"function":"a","window":60,"warm":120}"#,
        r#"{"function":"b","window":18446744073709551615}"#,
        r#"{"function":"c","window":60,"warm":60,"cost":{"compute":"-5"}}"#,
        r#"{"function":"d","window":60,"warm":60}"#,
        r#"{"function":"d","window":60,"warm":60}"#,
    ];
    let others = lines.map(str::to_owned).to_vec();
    let hour = Hour { head: Head { hour: 9, writes: vec![] }, others, ..Hour::default() };
    let mut file = DayFile { hours: [(9, pack(&hour).unwrap())].into() };
    let (rows, refused) = file.checked_rows(9, region()).unwrap();
    let minutes = Minutes { window: 60, warm: 60, ..Minutes::default() };
    assert_eq!(rows, [(id("d"), Row::of_minutes(minutes))].into());
    insta::assert_snapshot!(refused.unwrap(), @r#"the hour 9: it is read without 4 rows, the first of "a": expected the minutes of an hour, found window 60, warm 120, unknown 0 and capped 0"#);
    // A writer leaves them as they are.
    file.add(9, region(), 1, &[(id("f"), row(1))].into()).unwrap();
    assert!(lines.iter().all(|line| text_of(&file).contains(line)), "{}", text_of(&file));
    assert_eq!(file.rows(9, region()).unwrap().len(), 2);
}

#[test]
fn a_bomb_is_not_unpacked() {
    let field = [&SUBFIELD[2..], &[0, 0, 0, 0, 3]].concat();
    let mut packing = GzBuilder::new().extra(field).write(Vec::new(), Compression::best());
    let block = vec![b' '; 1 << 20];
    for _ in 0..(MOST_UNPACKED >> 20) + 1 {
        packing.write_all(&block).unwrap();
    }
    let mut member = packing.finish().unwrap();
    let size = u32::try_from(member.len()).unwrap();
    member[SIZE_AT].copy_from_slice(&size.to_le_bytes());
    let file = DayFile::parse(&member).unwrap();
    assert!(matches!(file.rows(3, region()), Err(BadHistory::Hour { hour: 3, .. })));
    assert!(matches!(file.minutes(0..24, region()).bad[..], [BadHistory::Hour { hour: 3, .. }]));
}

#[test]
fn documents_are_named_by_region_and_day() {
    let day = "2026-11-20T23:59:00Z".parse().unwrap();
    assert_eq!(DayFile::document(region(), day, None), "history-eu-west-2-2026-11-20");
    assert_eq!(DayFile::document(region(), day, Some(10)), "history-eu-west-2-2026-11-20-a");
    let of = |name: &str| DayFile::parse_document(name).map(|(region, day)| format!("{region} {day}"));
    assert_eq!(of("history-eu-west-2-2026-11-20").unwrap(), "eu-west-2 2026-11-20");
    assert_eq!(of("history-us-gov-west-1-2024-02-29-ff").unwrap(), "us-gov-west-1 2024-02-29");
    for other in [
        "history-",
        "history-eu-west-2",
        "history-mars-1-2026-11-20",
        "history-eu-west-2-2026-11-31",
        "history-eu-west-2-2026-1-20",
        "history-eu-west-2-+2026-11-2",
        "history-eu-west-2-2026-11-20-",
        "history-eu-west-2-2026-11-20-0a",
        "history-eu-west-2-2026-11-20-+a",
        "history-eu-west-2-2026-11-20-A",
        "history-eu-west-2-2026-11-20-é",
        "history-eu-west-2-2026-11-2é",
        "history-eu-west-2-2026-11-20-100000000",
        "History-eu-west-2-2026-11-20",
    ] {
        assert_eq!(of(other), None, "{other}");
    }
}
