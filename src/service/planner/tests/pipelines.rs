//! Pipelines in plans, with pauses, and in the status.

use super::*;
use crate::domain::function::Tenant;
use crate::domain::pipeline::{Pipeline, PipelineReport};

/// The fleet, with `a` and `b` as the stages of a pipeline. `b` has a window of its own as well.
fn chained() -> Fleet {
    let mut fleet = fleet();
    let mut pipeline = Pipeline::example("nlp", &[vec![id("a")], vec![id("b")]]);
    for (stage, target) in pipeline.stages.iter_mut().zip(&mut fleet.targets) {
        let window = Window { pipeline: Some("nlp".into()), concurrency: 3, ..target.windows[0].clone() };
        stage.windows.push(window.clone());
        target.windows.push(window);
    }
    fleet.targets[0].windows.remove(0);
    Fleet { pipelines: vec![pipeline], ..fleet }
}

fn described(plan: &Plan) -> String {
    let due = plan.due.iter().map(|due| format!("{} {}", due.target.label, due.concurrency));
    let skipped = plan.skipped.iter().map(|round| format!("{} skipped {}", round.id.label(), round.desired));
    let need = plan.pipelines.iter().map(|need| {
        let numbers: Vec<String> = need.stages.iter().map(|(_, number)| number.to_string()).collect();
        format!("{} {}", need.name, numbers.join(" "))
    });
    due.chain(skipped).chain(need).collect::<Vec<_>>().join(", ")
}

async fn pause(planner: &TickPlanner) {
    let pause = Pause { until: at("10:00:00"), reason: "freeze".to_owned() };
    let change = |pauses: &mut Pauses| _ = pauses.pipelines.insert("nlp".to_owned(), pause.clone());
    planner.documents().update(PAUSES, change).await.unwrap();
}

#[tokio::test]
async fn a_plan_has_the_numbers_of_the_pipelines_that_are_due() {
    let (planner, fleet) = (durable(Memory::default()), chained());
    let plan = async |time: &str| {
        let now = at(time);
        described(&planner.plan(&fleet, now, Minute::of(now).plus(-1), now).await)
    };
    assert_eq!(plan("09:00:00").await, "a 3, b 3, nlp 3 3");
    let previewed = planner.preview(&fleet, Mode::Open, at("09:02:00"), at("09:02:00")).await;
    assert_eq!(described(&previewed), "a 3, b 3, nlp 3 3");
    assert_eq!(
        described(&planner.preview(&super::fleet(), Mode::Open, at("09:02:00"), at("09:02:00")).await),
        "a 2, b 2"
    );
}

#[tokio::test]
async fn a_paused_pipeline_pauses_its_functions_that_nothing_else_needs() {
    let (planner, fleet) = (durable(Memory::default()), chained());
    pause(&planner).await;
    let now = at("09:00:00");
    let plan = planner.plan(&fleet, now, Minute::of(now).plus(-1), now).await;
    assert_eq!(described(&plan), "b 2, a skipped 3, nlp 3 3");
    assert_eq!(plan.skipped[0].skip_reason(), Some(SkipReason::Paused));
    let after = planner.preview(&fleet, Mode::Open, at("10:00:00"), at("10:00:00")).await;
    assert_eq!(described(&after), "a 3, b 3, nlp 3 3");
    // A request for the function itself is not paused.
    let terms = RequestTerms { at: now, concurrency: 4, keep_for: None, reason: None };
    let asks: Vec<Ask<'_>> = fleet.targets.iter().map(|target| ask(target, &terms)).collect();
    let requested = planner.request(&fleet, &asks, now).await.unwrap();
    assert_eq!(names(&requested), ["a", "b"]);
}

#[tokio::test]
async fn a_request_has_a_number_for_each_stage() {
    let mut fleet = chained();
    let mut split = Pipeline::example("nlp", &[vec![id("a"), id("b")], vec![id("c")], vec![id("gone")]]);
    split.on_request = fleet.targets[0].on_request;
    let tenant = |name: &str| {
        let tenant = Some(Tenant::parse(name).unwrap());
        Target { id: Identity { tenant, ..id("c") }, ..fleet.targets[0].clone() }
    };
    fleet.targets.extend([tenant("x"), tenant("y")]);
    let (_, other) = (fleet.pipelines.pop(), Pipeline::example("other", &[vec![id("a")]]));
    let fleet = Fleet { pipelines: vec![split, other], ..fleet };
    let asks = |messages: u32| -> Vec<Ask<'_>> {
        let ask = |target: &'_ Target| {
            let per_environment = if target.id.name == id("c").name { 10.into() } else { 20.into() };
            AskTerms::Backlog(BacklogTerms {
                at: at("09:00:00"),
                pipeline: Some("nlp".to_owned()),
                messages,
                rate: 1.into(),
                per_environment,
                hold_for: None,
                reason: None,
            })
        };
        fleet.targets.iter().filter_map(|target| Ask::new(target, ask(target))).collect()
    };
    let planner = durable(Memory::default());
    let plan = planner.request(&fleet, &asks(40), at("09:00:00")).await.unwrap();
    let [need] = &plan.pipelines[..] else { panic!("{:?}", plan.pipelines) };
    let expected = [(vec![id("a"), id("b")], 2), (vec![id("c")], 4), (vec![id("gone")], 4)];
    assert_eq!(
        (&*need.name, &need.stages[..], &need.unwarmed[..]),
        ("nlp", &expected[..], &[id("gone")][..])
    );
    let none = planner.request(&fleet, &asks(0), at("09:00:01")).await.unwrap();
    assert_eq!(none.pipelines, [], "nothing waits");
}

#[tokio::test]
async fn the_result_of_a_pipeline_is_in_the_status() {
    let (planner, fleet) = (durable(Memory::default()), chained());
    let now = at("09:00:00");
    let plan = planner.plan(&fleet, now, Minute::of(now).plus(-1), now).await;
    let pipelines = vec![PipelineReport {
        name: "nlp".to_owned(),
        region: Region::parse("eu-west-2").unwrap(),
        warm: Some(false),
        cold_stages: vec!["b".to_owned()],
    }];
    let report = TickReport { pipelines, ..TickReport::empty(now, None) };
    assert_eq!(record(&planner, &plan, &report, "09:00:10").await, StoreHealth::Sound);
    let status = status(planner.documents()).await.unwrap();
    let [last] = &status.pipelines[..] else { panic!("{status:?}") };
    assert_eq!((last.name.as_str(), last.tick, last.warm), ("nlp", now, Some(false)));
    assert_eq!(last.cold_stages, ["b"]);
}
