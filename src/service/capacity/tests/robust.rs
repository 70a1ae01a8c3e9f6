//! Stale, missing and impossible records, and services that refuse or fail.

use super::*;
use crate::domain::capacity::ChangeError;
use crate::domain::records::REQUESTS;

#[tokio::test(start_paused = true)]
async fn a_region_that_the_configuration_no_longer_names_is_not_forgotten() {
    let elsewhere = || {
        let mut target = direct("f:live");
        target.id.region = Region::parse("us-east-1").unwrap();
        target
    };
    let rig = Rig::new([elsewhere(), direct("g:live")]);
    rig.run("2026-11-20T09:00", "2026-11-20T09:04").await;
    assert_eq!(rig.model.up("f:live"), Some(10));
    let next = rig.restarted([target("g:live", Strategy::Pings)]);
    let mut part = rig.restarted([target("g:live", Strategy::Pings)]);
    part.planner.plan_part();
    assert_eq!(line(&part.tick("2026-11-20T09:04").await.0), "g:live 10/10 of 0 in-progress (left-over)");
    let (reports, _) = next.tick("2026-11-20T09:05").await;
    assert!(line(&reports).contains("f:live 10/10 of 0 in-progress (left-over)"), "{}", line(&reports));
    next.run("2026-11-20T09:06", "2026-11-20T09:08").await;
    assert_eq!(rig.model.up("f:live"), None);
}

#[tokio::test(start_paused = true)]
async fn unknown_requests_change_nothing_that_a_request_may_keep() {
    use crate::domain::fleet::OnRequest;
    let hour = Duration::from_secs(3_600);
    let rule = OnRequest {
        max_concurrency: 20,
        max_for: hour,
        coalesce: Duration::from_secs(60),
        hold_for: crate::domain::backlog::DEFAULT_HOLD,
    };
    let asked = Target { on_request: Some(rule), ..direct("f:live") };
    let rig = Rig::new([asked, direct("g:live")]);
    rig.run("2026-11-20T17:50", "2026-11-20T17:54").await;
    rig.taken();
    let garbage = b"garbage".to_vec();
    rig.store.put(&format!("{REQUESTS}.json"), garbage, Condition::Always).await.unwrap();
    let (reports, _) = rig.run("2026-11-20T18:00", "2026-11-20T18:03").await;
    assert_eq!(line(&reports), "f:live 10/10 of 0 unknown (state-unavailable); g:live 0/0 of 0 closed");
    assert_eq!(rig.taken(), ["g:live delete provisioned concurrency"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_error_concerns_one_function() {
    let rig = Rig::new((0..20).map(|index| direct(&format!("f{index}:live"))));
    rig.model.state().broken = (0..4).map(|index| format!("f{index}:live")).collect();
    let (reports, _) = rig.tick("2026-11-20T09:00").await;
    assert!(line(&reports[..1]).ends_with("unknown (no-answer)"), "{}", line(&reports));
    let up = (0..20).filter(|index| rig.model.up(&format!("f{index}:live")) == Some(10)).count();
    assert_eq!(up, 16);
}

#[tokio::test(start_paused = true)]
async fn what_waits_does_not_starve_others() {
    let rig = Rig::new((0..150).map(|index| direct(&format!("f{index}:live"))));
    rig.run("2026-11-20T07:00", "2026-11-20T07:04").await;
    rig.model.state().refuses = Some(ChangeErrorKind::AliasWeights);
    for minute in 0..12 {
        rig.tick(&format!("2026-11-20T08:{minute:02}")).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let document = rig.document().await;
    let oldest = document.targets.values().filter_map(|kept| Some(kept.seen.as_ref()?.at)).min().unwrap();
    assert!(oldest >= at("2026-11-20T08:06"), "{oldest}");
}

#[tokio::test(start_paused = true)]
async fn a_closing_that_could_not_be_read_is_read_again() {
    let rig = Rig::new([scaled("f:live")]);
    rig.run("2026-11-20T17:50", "2026-11-20T17:54").await;
    rig.model.state().fails_numbers = true;
    let (reports, _) = rig.tick("2026-11-20T18:00").await;
    assert_eq!(line(&reports), "f:live ?/? of 0 unknown (500)");
    rig.model.state().fails_numbers = false;
    let (reports, _) = rig.tick("2026-11-20T18:01").await;
    assert_eq!(line(&reports), "f:live 0/0 of 0 closed");
}

#[tokio::test(start_paused = true)]
async fn a_stale_record_is_no_conflict() {
    for of in [direct as fn(&str) -> Target, scaled] {
        let rig = Rig::new([of("f:live")]);
        let now = at("2026-11-20T09:00");
        rig.model.set_now(now);
        let stale = rig.planner.plan(&rig.fleet, now, Minute::of(now).plus(-1), now).await;
        rig.restarted([of("f:live")]).tick("2026-11-20T09:00").await;
        let reports = rig.work(stale.capacity.as_ref().unwrap(), now, Duration::from_secs(30)).await;
        assert_eq!(line(&reports), "f:live 0/10 of 10 in-progress");
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_waits_too_long_reports_what_is_recorded() {
    let rig = Rig::new([direct("f:live")]);
    rig.run("2026-11-20T09:00", "2026-11-20T09:04").await;
    let now = at("2026-11-20T09:04");
    let plan = rig.planner.plan(&rig.fleet, now, Minute::of(now).plus(-1), now).await;
    let plan = plan.capacity.clone().unwrap();
    rig.model.state().hangs = true;
    let (_, waiting) = tokio::join!(
        rig.work(&plan, now, Duration::from_secs(30)),
        rig.work(&plan, now, Duration::from_millis(500)),
    );
    assert_eq!(line(&waiting), "f:live 10/10 of 10 ready");
}

#[tokio::test(start_paused = true)]
async fn records_from_the_future_are_replaced() {
    let rig = Rig::new([direct("f:live")]);
    rig.run("2026-11-20T09:00", "2026-11-20T09:04").await;
    let far = at("2031-01-01T00:00");
    let spoil = |document: &mut Capacities| {
        for kept in document.targets.values_mut() {
            kept.seen.as_mut().unwrap().at = far;
            kept.meter.until = Some(far);
            kept.meter.blocks.iter_mut().for_each(|block| block.since = far);
        }
    };
    rig.documents.update(&Capacities::document(region()), spoil).await.unwrap();
    let (_, cost) = rig.run("2026-11-20T09:10", "2026-11-20T09:20").await;
    assert!(cost > 0.0);
    let document = rig.document().await;
    let kept = document.targets.values().next().unwrap();
    assert_eq!(kept.seen.as_ref().map(|seen| seen.at), Some(at("2026-11-20T09:19")));
    assert_eq!(kept.meter.until, Some(at("2026-11-20T09:19")));
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_owner_is_read_again_before_a_change_only() {
    let all = || (0..30).map(|index| scaled(&format!("f{index}:live")));
    let rig = Rig::new(all());
    rig.run("2026-11-20T09:00", "2026-11-20T09:25").await;
    rig.model.state().owners_read = 0;
    let next = rig.restarted(all());
    let (reports, _) = next.tick("2026-11-20T09:25").await;
    assert_eq!((reports[29].available, rig.model.state().owners_read), (Some(10), 0));
    // Old confirmations are renewed, a few in a tick.
    let (_, _) = next.tick("2026-11-20T12:00").await;
    let read = rig.model.state().owners_read;
    assert!((1..=20).contains(&read), "{read}");
    // Another owner is seen before the change.
    rig.taken();
    rig.model.state().scalable.get_mut("f7:live").unwrap().owner = Some("other".to_owned());
    let strategy = provisioned(By::Autoscaling { max: 60, utilization: 70 });
    let mut more = next.restarted([target("f7:live", strategy)]);
    more.keeper = CapacityKeeper::new(more.documents.clone(), more.model.clone(), false);
    let (reports, _) = more.tick("2026-11-20T12:01").await;
    assert_eq!(line(&reports), "f7:live 10/10 of 10 conflict (foreign-scalable-target)");
    assert_eq!(rig.taken(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn failed_activities_explain_why_capacity_does_not_follow() {
    for (kind, expected) in [
        (ChangeErrorKind::Quota, "waiting (quota)"),
        (ChangeErrorKind::Throttled, "waiting (throttled)"),
        (ChangeErrorKind::Refused, "refused (the service is on strike)"),
    ] {
        let rig = Rig::new([scaled("f:live")]);
        let message = "the service is on strike".to_owned();
        rig.model.state().fails_scaling = Some(ChangeError { kind, message });
        let (reports, _) = rig.run("2026-11-20T09:00", "2026-11-20T09:03").await;
        assert_eq!(line(&reports), format!("f:live 0/0 of 10 {expected}"));
    }
}

#[tokio::test(start_paused = true)]
async fn refused_policies_are_reported() {
    let rig = Rig::new([scaled("f:live")]);
    rig.run("2026-11-20T09:00", "2026-11-20T09:04").await;
    rig.model.state().denies_policies = true;
    let (reports, _) = rig.run("2026-11-20T10:00", "2026-11-20T11:01").await;
    assert_eq!(line(&reports), "f:live 10/10 of 10 ready (access-denied)");
}

#[tokio::test(start_paused = true)]
async fn ready_capacity_covers_for_an_hour() {
    let rig = Rig::new([direct("f:live")]);
    rig.run("2026-11-20T09:00", "2026-11-20T09:04").await;
    for (time, due) in [("2026-11-20T09:59", 0), ("2026-11-20T10:04", 1)] {
        let now = at(time);
        let plan = rig.planner.preview(&rig.fleet, crate::domain::schedule::Mode::Open, now, now).await;
        assert_eq!(plan.due.len(), due, "{time}");
    }
}

#[tokio::test(start_paused = true)]
async fn managed_instances_have_their_floor_and_a_price() {
    let mut managed = target("f:live", Strategy::Managed(Managed { floor: 3, max: 100 }));
    managed.id.region = Region::parse("us-east-1").unwrap();
    let (region, architecture) = (managed.id.region, managed.architecture);
    let rig = Rig::new([managed]);
    rig.run("2026-11-20T17:50", "2026-11-20T18:05").await;
    let (reports, cost) = rig.run("2026-11-20T18:05", "2026-11-20T19:05").await;
    assert_eq!(line(&reports), "f:live 3/3 of 3 ready");
    // Three instances for an hour.
    let price = crate::domain::cost::capacity::managed_hour(
        &crate::domain::cost::PriceBook::embedded(),
        region,
        architecture,
        1_024,
        3,
    );
    let price: f64 = price.unwrap().to_string().parse().unwrap();
    assert!((cost / price - 1.0).abs() < 0.001, "{cost} {price}");
}
