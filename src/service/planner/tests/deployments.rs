//! Deployments make targets due, with and without a store.

use super::*;

/// Notes a deployment of `a` that was seen at a time.
async fn deploy(planner: &TickPlanner, time: &str) -> Result<(), Unavailable> {
    let deployed = [(id("a"), at(time))].into();
    planner.note_deployed(&fleet(), deployed, at(time), Instant::now() + READ_WITHIN).await
}

fn planners() -> [TickPlanner; 2] {
    [durable(Memory::default()), volatile()]
}

#[tokio::test]
async fn the_next_tick_serves_a_deployment_once() {
    for planner in planners() {
        assert_eq!(names(&tick(&planner, "09:00:00").await), ["a", "b"]);
        deploy(&planner, "09:00:20").await.unwrap();
        assert_eq!(names(&tick(&planner, "09:01:00").await), ["a"]);
        assert_eq!(names(&tick(&planner, "09:02:00").await), [""; 0]);
        // Weights that change each minute have one round a minute.
        for minute in 2..5 {
            deploy(&planner, &format!("09:0{minute}:10")).await.unwrap();
            deploy(&planner, &format!("09:0{minute}:50")).await.unwrap();
            let due = tick(&planner, &format!("09:0{}:00", minute + 1)).await;
            assert_eq!(names(&due), if minute == 4 { vec!["a", "b"] } else { vec!["a"] });
        }
        assert_eq!(
            names(&tick(&planner, "09:06:00").await),
            [""; 0],
            "the round of the interval followed it"
        );
    }
}

#[tokio::test]
async fn a_minute_is_served_once_and_a_dead_process_loses_nothing() {
    let planner = durable(Memory::default());
    tick(&planner, "09:00:00").await;
    deploy(&planner, "09:00:20").await.unwrap();
    assert_eq!(names(&tick(&planner, "09:00:30").await), ["a"], "the minute was served before it");
    assert_eq!(names(&tick(&planner, "09:00:40").await), [""; 0]);
    deploy(&planner, "09:00:50").await.unwrap();
    let dead = plan(&planner, "09:01:00").await;
    assert_eq!(names(&dead), ["a"]);
    let meanwhile = plan(&planner, "09:01:30").await;
    assert_eq!((names(&meanwhile), meanwhile.skipped.len()), (vec![], 0), "its claim holds");
    drop(dead);
    let again = plan(&planner, "09:02:01").await;
    assert_eq!(names(&again), ["a"]);
    // A deployment after the plan is not covered by its rounds.
    deploy(&planner, "09:02:05").await.unwrap();
    let _ = record(&planner, &again, &report("09:02:00", Vec::new()), "09:02:10").await;
    assert_eq!(names(&tick(&planner, "09:03:00").await), ["a"]);
    assert_eq!(names(&tick(&planner, "09:04:00").await), [""; 0]);
}

#[tokio::test]
async fn rounds_that_were_not_sent_are_due_again_only_for_a_while() {
    for planner in planners() {
        tick(&planner, "09:00:00").await;
        deploy(&planner, "09:00:20").await.unwrap();
        let first = plan(&planner, "09:01:00").await;
        let left = vec![Unfinished::new(&first.due[0].target, 2, UnfinishedReason::Deadline)];
        let _ = record(&planner, &first, &report("09:01:00", left), "09:01:10").await;
        let second = plan(&planner, "09:02:00").await;
        assert_eq!(names(&second), ["a"]);
        // A guard refuses it: it is due again by its interval.
        let mut refused = report("09:02:00", Vec::new());
        refused.rounds = vec![second.due[0].skipped(SkipReason::Unsafe)];
        let _ = record(&planner, &second, &refused, "09:02:10").await;
        assert_eq!(names(&plan(&planner, "09:03:00").await), [""; 0]);
        // A refused payload is not among the rounds that were sent.
        deploy(&planner, "09:03:10").await.unwrap();
        let third = plan(&planner, "09:04:00").await;
        refused.rounds = vec![third.due[0].skipped(SkipReason::CustomPayload)];
        let _ = record_as(RecordKind::Tick, &planner, &third, &[], &refused, "09:04:10").await;
        assert_eq!(names(&tick(&planner, "09:05:00").await), ["a", "b"]);
        assert_eq!(names(&plan(&planner, "09:06:00").await), [""; 0]);
    }
}

#[tokio::test]
async fn a_paused_target_is_not_due_because_of_a_deployment() {
    for planner in planners() {
        tick(&planner, "09:00:00").await;
        let paused =
            Pauses { all: Some(Pause { until: at("09:03:00"), reason: String::new() }), ..Pauses::default() };
        planner.documents().update(PAUSES, |pauses: &mut Pauses| *pauses = paused.clone()).await.unwrap();
        deploy(&planner, "09:00:20").await.unwrap();
        let while_paused = plan(&planner, "09:01:00").await;
        assert_eq!((names(&while_paused), while_paused.skipped.len()), (vec![], 0));
        assert_eq!(names(&tick(&planner, "09:03:00").await), ["a"], "it stays pending");
        assert_eq!(names(&tick(&planner, "09:04:00").await), [""; 0]);
    }
}

#[tokio::test]
async fn a_number_of_zero_has_no_round() {
    for planner in planners() {
        let mut fleet = fleet();
        fleet.targets[0].windows.clear();
        let deployed = [(id("a"), at("09:00:20")), (id("gone"), at("09:00:20"))].into();
        let deadline = Instant::now() + READ_WITHIN;
        planner.note_deployed(&fleet, deployed, at("09:00:20"), deadline).await.unwrap();
        let plan = planner.plan(&fleet, at("09:01:00"), Minute::of(at("09:00:00")), at("09:01:00")).await;
        assert_eq!(names(&plan), [""; 0]);
    }
}
