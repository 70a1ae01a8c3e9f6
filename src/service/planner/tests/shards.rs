//! Shards that a planner takes and admits.

use super::store::Failing;
use super::*;

#[tokio::test]
async fn a_shard_is_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let environment = || durable(Directory::new(folder.path()));
    let (one, two) = (environment(), environment());
    let (first, second) =
        tokio::join!(one.take_shard("a1", at("09:00:00")), two.take_shard("a1", at("09:00:00")));
    let (first, second) = (first.0, second.0);
    assert_eq!([&first, &second].into_iter().flatten().count(), 1);
    for taken in [first, second].into_iter().flatten() {
        let _ = one.release_shard(&taken).await;
    }
    let third = environment();
    assert!(third.take_shard("a1", at("09:01:00")).await.0.is_some(), "no ping of it was sent");
    assert!(environment().take_shard("a1", at("09:02:00")).await.0.is_none());
}

#[tokio::test]
async fn a_shard_is_taken_once_without_a_store() {
    let planner = volatile();
    let taken = planner.take_shard("a1", at("09:00:00")).await.0.unwrap();
    assert!(planner.take_shard("a1", at("09:00:01")).await.0.is_none());
    let _ = planner.release_shard(&taken).await;
    assert!(planner.take_shard("a1", at("09:00:02")).await.0.is_some());
}

#[tokio::test]
async fn recorded_shards_are_admitted() {
    let folder = tempfile::tempdir().unwrap();
    let environment = || durable(Directory::new(folder.path()));
    let shard =
        |attempt| Shard { tick: at("09:00:00"), config: None, attempt, run: None, rounds: Vec::new() };
    let fleet = fleet();
    environment().record_shards(&[shard(1), shard(2)], at("09:00:01")).await;
    let other = environment();
    for (attempt, when, admitted) in [
        (1, "09:00:02", Ok(())),
        (2, "09:59:00", Ok(())),
        (3, "09:00:02", Err(NotAdmitted::NotHandedOut)),
        (1, "10:00:02", Err(NotAdmitted::NotHandedOut)),
    ] {
        assert_eq!(
            other.admit_shard(&shard(attempt), &fleet, at(when)).await,
            admitted,
            "{attempt} at {when}"
        );
    }
    // Without the store: as many per minute as a tick may need.
    let away = durable(Failing);
    assert_eq!(away.admit_shard(&shard(1), &fleet, at("09:00:02")).await, Ok(()));
    assert_eq!(away.admit_shard(&shard(2), &fleet, at("09:00:03")).await, Err(NotAdmitted::TooMany(1)));
    assert_eq!(away.admit_shard(&shard(2), &fleet, at("09:01:00")).await, Ok(()));
}
