//! Actions of operators: `warmd capacity status`, `release` and `adopt`, and the dry run of a tick.

use super::*;

impl Rig {
    async fn plan(&self, time: &str) -> Arc<CapacityPlan> {
        self.model.set_now(at(time));
        let now = at(time);
        let plan = self.planner.plan(&self.fleet, now, Minute::of(now).plus(-1), now).await;
        plan.capacity.clone().unwrap()
    }
}

/// Runs work of an operator at `time` with the context `$context`.
macro_rules! operate {
    ($rig:expr, $time:expr, |$context:ident| $work:expr) => {{
        let (_stopper, stop) = stop();
        let (plan, until) = ($rig.plan($time).await, Instant::now() + Duration::from_secs(300));
        let facts = Snapshot::default();
        let $context = Context { plan: &plan, facts: &facts, now: at($time), until, stop: &stop };
        $work.await
    }};
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_shows_the_changes_and_makes_none() {
    let rig = Rig::new([direct("f:live")]);
    let reports = operate!(rig, "2026-11-20T09:00", |context| rig.keeper.preview(&context));
    assert_eq!(reports[0].changes, ["put provisioned concurrency 10"]);
    assert_eq!(rig.taken(), [""; 0]);
    assert_eq!(rig.document().await, Capacities::default());
}

#[tokio::test(start_paused = true)]
async fn status_reads_everything_selected() {
    let rig = Rig::new((0..60).map(|index| direct(&format!("f{index}:live"))));
    rig.model.provision("f3:live", 4);
    let all = operate!(rig, "2026-11-20T20:00", |context| rig.keeper.status(&context, |_| true));
    assert_eq!(all.iter().filter(|report| report.requested.is_some()).count(), 60);
    let of = |id: &crate::domain::function::Identity| id.name.as_str() == "f3";
    let one = operate!(rig, "2026-11-20T20:00", |context| rig.keeper.status(&context, of));
    assert_eq!(line(&one), "f3:live 4/4 of 0 conflict (foreign-configuration)");
    assert_eq!(rig.taken(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn release_removes_what_warmd_has_made() {
    for of in [direct as fn(&str) -> Target, scaled] {
        let rig = Rig::new([of("f:live"), of("g:live")]);
        rig.model.provision("g:live", 4);
        rig.run("2026-11-20T09:00", "2026-11-20T09:04").await;
        rig.model.scale("lost:live", (2, 2), Some("warmd"));
        rig.taken();
        let time = "2026-11-20T09:05";
        let shown = operate!(rig, time, |context| rig.keeper.release(&context, true, |_| true));
        assert_eq!(rig.taken(), [""; 0]);
        let made = operate!(rig, time, |context| rig.keeper.release(&context, false, |_| true));
        let changes = |reports: &[CapacityReport]| -> Vec<String> {
            reports.iter().flat_map(|report| report.changes.clone()).collect()
        };
        assert_eq!(changes(&shown), changes(&made));
        assert_eq!((rig.model.up("f:live"), rig.model.up("g:live")), (None, Some(4)));
        assert!(rig.document().await.targets.values().all(|kept| kept.made.is_none()));
        assert_eq!(rig.model.up("lost:live"), None, "found by its tag");
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_refused_stays_recorded() {
    let rig = Rig::new([direct("f:live")]);
    rig.run("2026-11-20T09:00", "2026-11-20T09:04").await;
    rig.model.state().refuses = Some(ChangeErrorKind::AliasWeights);
    let time = "2026-11-20T09:05";
    let reports = operate!(rig, time, |context| rig.keeper.release(&context, false, |_| true));
    assert_eq!(line(&reports), "f:live 10/10 of 0 waiting (alias-weights)");
    assert!(rig.document().await.targets.values().all(|kept| kept.made.is_some()));
}

#[tokio::test(start_paused = true)]
async fn adopt_takes_over() {
    let rig = Rig::new([direct("f:live")]);
    rig.model.provision("f:live", 4);
    let time = "2026-11-20T09:00";
    let reports = operate!(rig, time, |context| rig.keeper.adopt(&context, false, |_| true));
    assert_eq!(reports.len(), 1);
    let (reports, _) = rig.run("2026-11-20T09:01", "2026-11-20T09:05").await;
    assert_eq!(line(&reports), "f:live 10/10 of 10 ready");

    let rig = Rig::new([scaled("f:live")]);
    rig.model.scale("f:live", (1, 5), Some("other"));
    rig.model.state().scalable.get_mut("f:live").unwrap().policies.insert("theirs".to_owned(), 50);
    let reports = operate!(rig, time, |context| rig.keeper.adopt(&context, false, |_| true));
    assert_eq!(reports[0].changes, ["tag scalable target warmd:owner=warmd", "delete scaling policy theirs"]);
    let (reports, _) = rig.run("2026-11-20T09:01", "2026-11-20T09:05").await;
    assert_eq!(line(&reports), "f:live 10/10 of 10 ready");
    // The reason is that of the read.
    rig.model.state().throttles = true;
    let other = rig.restarted([scaled("f:live")]);
    let reports =
        operate!(other, "2026-11-20T09:06", |context| other.keeper.adopt(&context, false, |_| true));
    assert_eq!(reports[0].reason.as_deref(), Some("throttled"));
    // Nothing is there to take over.
    let rig = Rig::new([scaled("f:live")]);
    let reports = operate!(rig, time, |context| rig.keeper.adopt(&context, true, |_| true));
    assert_eq!(line(&reports), "f:live 0/0 of 10 refused (nothing-to-adopt)");
}
