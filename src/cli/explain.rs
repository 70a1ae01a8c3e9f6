//! `warmd explain`: why a target is what it is.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::args::{ExplainArgs, Only};
use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::output::{print, print_json};
use super::plan::text;
use super::render::{self, Style};
use super::select;
use super::status::PauseObject;
use crate::domain::fleet::Target;
use crate::domain::function::Region;
use crate::domain::records::with_requests;
use crate::domain::schedule::{Explanation, Minute, explain as explanation};
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

#[derive(Serialize)]
struct ExplainObject<'e> {
    function: &'e str,
    region: Region,
    at: String,
    local: String,
    zone: &'static str,
    target: u32,
    due: bool,
    windows: Vec<WindowObject<'e>>,
    next_change: Option<ChangeObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<PauseObject<'e>>,
}

#[derive(Serialize)]
struct WindowObject<'e> {
    window: &'e str,
    state: &'static str,
    opens: Option<String>,
    closes: Option<String>,
    target: u32,
}

#[derive(Serialize)]
struct ChangeObject {
    at: String,
    target: u32,
}

/// Prints the explanation.
///
/// # Errors
/// A refused configuration, an unknown function, or a region that is not said.
pub async fn explain(args: &ExplainArgs, style: Style) -> Result<Exit, Failure> {
    let fleet = configuration::load(&args.configs, &Only::default()).await?;
    let at = args.at.unwrap_or_else(|| SystemClock.now());
    let minute = Minute::of(at);
    let (requests, pauses) = args.state.known().await?;
    let fleet = with_requests(&fleet, &requests, at);
    let target = select::target(&fleet, &args.function, args.region)?;
    let pause = pauses.of(target, at);
    let explanation = explanation(target, minute);
    if args.json {
        let paused = pause.map(PauseObject::new);
        print_json(&ExplainObject { paused, ..object(target, minute, &explanation) })?;
    } else {
        // First: whatever the schedule says, nothing is sent.
        if let Some(pause) = pause {
            print(&format!("{} ({}) is {pause}\n", target.label, target.region()))?;
        }
        print(&render::explain::explain(target, minute, &explanation, style))?;
    }
    Ok(Exit::Success)
}

fn object<'e>(target: &'e Target, minute: Minute, explanation: &'e Explanation<'_>) -> ExplainObject<'e> {
    let zone = render::plan::own_zone(target);
    let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    ExplainObject {
        function: &target.label,
        region: target.region(),
        at: text(minute),
        local: minute.instant().with_timezone(&zone).to_rfc3339_opts(chrono::SecondsFormat::Secs, false),
        zone: zone.name(),
        target: explanation.target,
        due: explanation.due.is_some(),
        windows: explanation
            .windows
            .iter()
            .map(|view| WindowObject {
                window: view.label,
                state: view.state.as_str(),
                opens: view.opens.map(instant),
                closes: view.closes.map(instant),
                target: view.target,
            })
            .collect(),
        next_change: explanation.next_change.map(|(at, target)| ChangeObject { at: text(at), target }),
        paused: None,
    }
}
