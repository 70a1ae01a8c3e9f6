//! The loss of the state store.

use warmd::service::store::{DocumentStore, Durability};

use super::*;

const FUNCTIONS: &str =
    "functions: { f: { aliases: { live: 7 }, prepare: 60s }, g: { aliases: { live: 7 } } }";
const WINDOW: &str = "{ days: daily, hours: \"09:00-10:00\", concurrency: 10 }";

/// Replaces the store by an empty one.
fn without_store(account: Account) -> Account {
    let objects = Arc::<crate::guards::Objects>::default();
    let store = DocumentStore::new(objects.clone(), Durability::Durable);
    Account { objects, store, ..account }
}

#[tokio::test(start_paused = true)]
async fn scalable_targets_are_found_again_by_their_tag() {
    let config = provisioned("max: 20", WINDOW);
    let rig = Rig::new(FUNCTIONS, &config).await;
    rig.run("2026-11-20T09:10").await;
    let rig = Rig::of(without_store(rig.account), &config);
    let reports = rig.run("2026-11-20T10:05").await;
    insta::assert_snapshot!(lines(&reports), @"
    09:10 f:live 10/10 of 10 ready, f:live: 10 reached 0+10
    09:11 f:live 10/10 of 10 ready
    10:00 f:live 0/0 of 0 closed
    ");
    assert_eq!(rig.requested("f:live"), 0);
    // What the configuration no longer names is found as well, beside another target of the region.
    let rig = Rig::new(FUNCTIONS, &config).await;
    rig.run("2026-11-20T09:10").await;
    let other = config.replace("f:live", "g:live");
    let rig = Rig::of(without_store(rig.account), &other);
    let reports = rig.run("2026-11-20T09:14").await;
    insta::assert_snapshot!(lines(&reports), @"
    09:10 g:live 0/0 of 10 in-progress, g:live: 10 reached 0+10
    09:11 g:live 10/10 of 10 ready, f:live 10/10 of 0 in-progress (left-over), g:live: 10 reached 0+10
    09:12 g:live 10/10 of 10 ready, f:live 0/0 of 0 closed
    09:13 g:live 10/10 of 10 ready
    ");
    assert_eq!((rig.requested("f:live"), rig.targets()), (0, vec!["function:g:live 10..20".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_configuration_of_our_own_is_named_and_never_deleted() {
    let config = provisioned("by: direct", WINDOW);
    let rig = Rig::new(FUNCTIONS, &config).await;
    rig.run("2026-11-20T09:10").await;
    let rig = Rig::of(without_store(rig.account), &config);
    let reports = rig.run("2026-11-20T10:30").await;
    insta::assert_snapshot!(lines(&reports), @"
    09:10 f:live 10/10 of 10 conflict (foreign-configuration), f:live: 10 reached 0+10
    09:11 f:live 10/10 of 10 conflict (foreign-configuration)
    10:00 f:live 10/10 of 0 conflict (foreign-configuration)
    ");
    assert_eq!((rig.requested("f:live"), rig.bill("f:live")), (10, 10 * 5400));
    // Its cost is named.
    let cost = seconds(&reports);
    assert!(cost.abs_diff(10 * 80 * 60) <= 300 * 10, "{cost}");
    let released = rig.order(Order::Release).await;
    assert_eq!((released.len(), rig.requested("f:live")), (0, 10));
    let adopted = rig.order(Order::Adopt).await;
    assert_eq!(adopted.len(), 1);
    let reports = rig.run("2026-11-20T10:35").await;
    insta::assert_snapshot!(lines(&reports), @"
    10:30 f:live 10/10 of 0 in-progress
    10:31 f:live 0/0 of 0 closed
    ");
    assert_eq!(rig.requested("f:live"), 0);
}
