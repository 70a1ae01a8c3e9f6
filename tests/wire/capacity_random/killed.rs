//! Processes that are killed between the record of a change, the change and the record of its result.

use std::time::Duration;

use tokio::time::timeout;
use warmd::domain::capacity::Status;
use warmd::emulator::{Fault, FaultKind, Operation, Profile, Scenario};

use super::world::{Away, Process, REGION, World, fleet, kept, next_minute, shown};

/// The time after which a process is killed: before the client gives up a call.
const KILLED_AFTER: Duration = Duration::from_secs(4);

/// The point at which a process hangs until it is killed.
#[derive(Debug, Clone, Copy)]
enum Point {
    /// The n-th write of the document in the tick, before or after it is made.
    Write { write: u32, is_made: bool },
    /// After an operation was performed, before its answer.
    Answer(Operation),
}

impl Point {
    fn set(self, world: &World, begins: bool) {
        match self {
            Self::Write { write, is_made } => {
                world.objects.set(begins.then_some(Away::Hangs { write, is_made }));
            }
            Self::Answer(operation) => world.emulator.change(|scenario| {
                let slow = FaultKind::Slow { by: Duration::from_secs(3_600) };
                let faults = begins.then(|| (operation, vec![Fault::always(slow)]));
                scenario.reads.faults = faults.into_iter().collect();
            }),
        }
    }
}

/// Returns a configuration of the function `f` with 4 environments from nine until a time.
fn configuration(by: &str, end: &str) -> String {
    format!(
        "functions:\n  f:live: {{ strategy: provisioned, provisioned: {{ by: {by} }}, \
         windows: [{{ days: daily, hours: \"09:00-{end}\", concurrency: 4 }}] }}\n"
    )
}

async fn world() -> World {
    let profile = Profile { prepare: Duration::from_secs(45), ..Profile::default() };
    World::new(Scenario::default().with("f", profile)).await
}

/// Serves a tick in which the process hangs at a point and is killed. Returns the next process.
async fn kill(world: &World, process: Process, text: &str, point: Point) -> Process {
    next_minute(&world.clock).await;
    point.set(world, true);
    let served = timeout(KILLED_AFTER, process.serve()).await;
    assert!(served.is_err(), "{point:?} was not reached: {}", shown(&served.unwrap()));
    point.set(world, false);
    world.process(fleet(text))
}

/// Serves ticks until the number is reached. Nothing may be taken for somebody else's.
async fn settle(process: &Process, what: &str) -> String {
    for _ in 0..8 {
        let reports = process.tick().await;
        let status = reports[0].status;
        assert!(
            matches!(status, Status::InProgress | Status::Ready | Status::Closed),
            "{what}: {}",
            shown(&reports)
        );
        if status != Status::InProgress {
            return shown(&reports);
        }
    }
    panic!("{what}: not reached");
}

#[tokio::test(start_paused = true)]
async fn an_opening_goes_on_after_a_kill_at_any_point() {
    use Operation::{PutProvisionedConcurrencyConfig, PutScalingPolicy, PutScheduledAction};
    let intended = Point::Write { write: 1, is_made: true };
    let not_intended = Point::Write { write: 1, is_made: false };
    let recorded = Point::Write { write: 2, is_made: true };
    let not_recorded = Point::Write { write: 2, is_made: false };
    let direct =
        [intended, not_intended, recorded, not_recorded, Point::Answer(PutProvisionedConcurrencyConfig)];
    let scaled = [
        intended,
        not_intended,
        recorded,
        not_recorded,
        Point::Answer(Operation::RegisterScalableTarget),
        Point::Answer(PutScalingPolicy),
        Point::Answer(PutScheduledAction),
    ];
    for (by, points) in [("direct", &direct[..]), ("autoscaling, max: 9", &scaled)] {
        for point in points {
            let (world, text) = (world().await, configuration(by, "18:00"));
            let process = world.process(fleet(&text));
            let next = kill(&world, process, &text, *point).await;
            let what = format!("{by}, {point:?}");
            assert_eq!(settle(&next, &what).await, "f 4/4 of 4 ready", "{what}");
            if by != "direct" {
                // The rest of the changes follows.
                next.ticks(2).await;
                let [targets, policies, actions] = world.scaling("f");
                let numbers = (world.bounds("f"), targets.len(), policies.len());
                assert_eq!(numbers, (Some((4, 9)), 1, 1), "{what}");
                // Seven days close, seven open, and the last action closes in any case.
                assert_eq!(actions.len(), 15, "{what}: {actions:?}");
                assert_eq!(targets[0]["Tags"]["warmd:owner"], "warmd");
            }
            let released = world.release(&fleet(&text)).await;
            assert_eq!((released.len(), world.requested("f")), (1, 0), "{what}: {}", shown(&released));
            assert!(world.scaling("f").iter().all(Vec::is_empty), "{what}");
            let document = world.capacities().await;
            assert!(kept(&document, "f").is_none_or(|kept| kept.made.is_none()), "{what}: {document:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_number_goes_on_after_a_kill_at_any_point() {
    let write = |write, is_made| Point::Write { write, is_made };
    let increase = [write(1, true), write(1, false), write(2, true), write(2, false)];
    let put = Point::Answer(Operation::PutProvisionedConcurrencyConfig);
    let closing =
        [write(1, true), write(1, false), Point::Answer(Operation::DeleteProvisionedConcurrencyConfig)];
    let increase = increase.into_iter().chain([put]).map(|point| (point, "9/9 of 9 ready", 9));
    let closing = closing.into_iter().map(|point| (point, "0/0 of 0 closed", 0));
    for (point, expected, number) in increase.chain(closing) {
        let world = world().await;
        let windows = match number {
            0 => String::new(),
            _ => "{ days: daily, hours: \"09:10-18:00\", concurrency: 9, lead: 0m }".to_owned(),
        };
        let text = configuration("direct", "09:10").replace(" }] }", &format!(" }}, {windows}] }}"));
        let process = world.process(fleet(&text));
        process.ticks(10).await;
        assert_eq!(world.requested("f"), 4);
        let next = kill(&world, process, &text, point).await;
        let what = format!("{number}, {point:?}");
        assert_eq!(settle(&next, &what).await, format!("f {expected}"), "{what}");
        assert_eq!(world.requested("f"), number, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_number_that_was_never_intended_is_somebody_elses_after_a_kill() {
    let (world, text) = (world().await, configuration("direct", "18:00"));
    let process = world.process(fleet(&text));
    let next = kill(&world, process, &text, Point::Write { write: 1, is_made: true }).await;
    world.emulator.put_provisioned(REGION, "f", "live", 7).unwrap();
    assert_eq!(shown(&next.ticks(3).await), "f 7/7 of 4 conflict (foreign-change)");
    world.release(&fleet(&text)).await;
    assert_eq!(world.requested("f"), 7, "it is not deleted");
}
