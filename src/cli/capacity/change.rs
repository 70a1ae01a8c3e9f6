//! `warmd capacity release` and `warmd capacity adopt`.

use std::io::{self, IsTerminal, Write};

use super::{AdoptArgs, CommonArgs, ReleaseArgs, Work};
use crate::cli::error::Failure;
use crate::cli::exit::Exit;
use crate::cli::output::{Stderr, print, print_json, print_message};
use crate::cli::render;
use crate::cli::signals::Termination;
use crate::domain::capacity::{CapacityReport, Status, Strategy};
use crate::domain::clean::clean;
use crate::domain::function::Identity;
use crate::engine::stop::{Stop, stop};

/// The reason in the report of a target without anything to take over.
const NOTHING_TO_ADOPT: &str = "nothing-to-adopt";

/// Deletes the capacity that warmd has made.
///
/// # Errors
/// Invalid arguments or configuration, no consent, or a state store that cannot be read. Nothing was changed then.
pub(super) async fn release(args: &ReleaseArgs) -> Result<Exit, Failure> {
    let CommonArgs { json, .. } = args.common;
    let mut work = Work::begin(&args.common, args.function.as_ref()).await?;
    work.check_known()?;
    let (_stopper, never) = stop();
    let found = work.keeper.release(&work.context(&never), true, |id| work.selects(id)).await;
    let unread = found.iter().filter(|report| is_unread(report));
    unread.for_each(|report| warn(report, "cannot be read"));
    let planned: Vec<CapacityReport> =
        found.iter().filter(|report| !report.changes.is_empty()).cloned().collect();
    let unlisted = if args.function.is_none() { work.keeper.unlisted() } else { Vec::new() };
    for region in &unlisted {
        print_message(&format!(
            "error: the scalable targets of {region} cannot be listed: what is recorded nowhere may be left"
        ));
    }
    if planned.is_empty() {
        let is_left = !unlisted.is_empty() || found.iter().any(is_left_without_change);
        if json {
            print_json(&work.priced(&found))?;
        } else if !is_left {
            print("nothing to delete\n")?;
        }
        let left = found.iter().filter(|report| is_left_without_change(report) && !is_unread(report));
        left.for_each(|report| warn(report, "is not deleted"));
        return Ok(if is_left { Exit::Failed } else { Exit::Success });
    }
    print_message(render::capacity::changes(&work.priced(&planned)).trim_end());
    if let Some(note) = made_again(&work, &planned) {
        print_message(&note);
    }
    if !is_agreed(args.yes, "Delete these?").await? {
        return Ok(not_agreed());
    }
    work.renew().await?;
    let selected = |id: &Identity| planned.iter().any(|report| report.id == *id);
    let done = interruptible(async |stop| work.keeper.release(&work.context(stop), false, selected).await);
    let Some(done) = done.await? else { return Ok(Exit::Interrupted) };
    // What is still recorded is still there.
    work.renew().await?;
    let is_recorded = |id: &Identity| work.plan.loaded.of(id).is_some_and(|kept| kept.made.is_some());
    let is_left = |report: &CapacityReport| {
        is_left_without_change(report) || is_recorded(&report.id) || is_shorter(report, &planned)
    };
    if json {
        print_json(&work.priced(&done))?;
    } else {
        let released = done.iter().filter(|report| !report.changes.is_empty() && !is_left(report));
        for report in released {
            print(&format!("{} released\n", render::capacity::name(report)))?;
        }
    }
    let missing = planned.iter().filter(|report| !done.iter().any(|done| done.id == report.id));
    let left: Vec<&CapacityReport> = done.iter().filter(|report| is_left(report)).chain(missing).collect();
    left.iter().for_each(|report| warn(report, "is not deleted"));
    Ok(if left.is_empty() && unlisted.is_empty() { Exit::Success } else { Exit::Failed })
}

/// Takes over capacity of another owner.
///
/// # Errors
/// Invalid arguments or configuration, nothing to take over, no consent, or a state store that cannot be read. Nothing
/// was changed then.
pub(super) async fn adopt(args: &AdoptArgs) -> Result<Exit, Failure> {
    let CommonArgs { json, .. } = args.common;
    let mut work = Work::begin(&args.common, Some(&args.function)).await?;
    work.check_known()?;
    let function = &args.function;
    if !work.targets().any(|target| target.strategy != Strategy::Pings) {
        let why = match work.targets().next() {
            Some(_) => "its strategy is pings",
            None => "it is not in the configuration",
        };
        return Err(Failure::Usage(format!(
            "nothing to adopt for `{function}`: {why}\nhint: set `strategy: provisioned` or `strategy: managed` first"
        )));
    }
    let (_stopper, never) = stop();
    let found = work.keeper.adopt(&work.context(&never), true, |id| work.selects(id)).await;
    let is_own = |report: &CapacityReport| {
        let made = work.plan.loaded.of(&report.id).is_some_and(|kept| kept.made.is_some());
        made && report.changes.is_empty()
    };
    let (planned, others): (Vec<CapacityReport>, Vec<CapacityReport>) =
        found.into_iter().partition(|report| report.status == Status::InProgress && !is_own(report));
    // Without an answer of the service, it is unknown whether there is something.
    let is_missing = |report: &CapacityReport| {
        report.reason.as_deref() == Some(NOTHING_TO_ADOPT) && report.requested == Some(0)
    };
    let mut exit = Exit::Success;
    for report in &others {
        let name = render::capacity::name(report);
        if is_own(report) {
            print_message(&clean(&format!("{name} belongs to warmd already")));
        } else if is_missing(report) {
            print_message(&clean(&format!("{name} has nothing to adopt: the next tick makes its own")));
        } else {
            warn(report, "cannot be read");
            exit = Exit::Failed;
        }
    }
    if planned.is_empty() {
        if json {
            print_json(&work.priced(&others))?;
        }
        return Ok(exit);
    }
    print_message(render::capacity::changes(&work.priced(&planned)).trim_end());
    print_message(
        "warmd takes over this capacity, and changes it from the next tick on. Infrastructure as code that has made \
         it should ignore it (`warmd capacity adopt --help`).",
    );
    if !is_agreed(args.yes, "Take over?").await? {
        return Ok(not_agreed());
    }
    work.renew().await?;
    let selected = |id: &Identity| planned.iter().any(|report| report.id == *id);
    let done = interruptible(async |stop| work.keeper.adopt(&work.context(stop), false, selected).await);
    let Some(done) = done.await? else { return Ok(Exit::Interrupted) };
    work.renew().await?;
    let is_adopted = |report: &&CapacityReport| {
        let kept = work.plan.loaded.of(&report.id).and_then(|kept| kept.made.as_ref());
        kept.is_some_and(|made| made.is_adopted)
            && report.status == Status::InProgress
            && !is_shorter(report, &planned)
    };
    if json {
        print_json(&work.priced(&done))?;
    } else {
        for report in done.iter().filter(is_adopted) {
            print(&format!("{} adopted\n", render::capacity::name(report)))?;
        }
    }
    let missing = planned.iter().filter(|report| !done.iter().any(|done| done.id == report.id));
    let failed: Vec<&CapacityReport> =
        done.iter().filter(|report| !is_adopted(report)).chain(missing).collect();
    failed.iter().for_each(|report| warn(report, "is not adopted"));
    Ok(if failed.is_empty() { exit } else { Exit::Failed })
}

/// Returns true if something is or may be there, and nothing is to be changed.
fn is_left_without_change(report: &CapacityReport) -> bool {
    !matches!(report.status, Status::Closed | Status::InProgress)
}

fn is_unread(report: &CapacityReport) -> bool {
    report.changes.is_empty() && report.status == Status::Unknown
}

/// Returns true if fewer changes were made than planned.
fn is_shorter(report: &CapacityReport, planned: &[CapacityReport]) -> bool {
    let planned = planned.iter().find(|planned| planned.id == report.id);
    planned.is_some_and(|planned| report.changes.len() < planned.changes.len())
}

/// Returns a note if ticks make again what is deleted.
fn made_again(work: &Work<'_>, planned: &[CapacityReport]) -> Option<String> {
    let is_driven = |report: &&CapacityReport| {
        let target = work.fleet.targets.iter().find(|target| target.id.without_tenant() == report.id);
        let pauses = work.plan.pauses.as_ref();
        target.is_some_and(|target| {
            let is_paused = pauses.is_some_and(|pauses| pauses.of(target, work.now).is_some());
            target.strategy != Strategy::Pings && !is_paused
        })
    };
    let driven = planned.iter().find(is_driven)?;
    Some(format!(
        "A running daemon or stack makes it again at its next tick, because the configuration names {}: stop it, pause \
         the function, or set `strategy: pings`.",
        clean(&driven.id.shown())
    ))
}

/// Prints what is wrong with a target.
fn warn(report: &CapacityReport, what: &str) {
    let message = format!("{} {what}: {}", render::capacity::name(report), render::capacity::state(report));
    print_message(&format!("error: {}", clean(&message)));
}

/// Asks on a terminal; true with `--yes`.
async fn is_agreed(yes: bool, question: &str) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        let message = "consent is needed, and standard input is not a terminal\nhint: add --yes";
        return Err(Failure::Usage(message.to_owned()));
    }
    let _ = Stderr.write_all(format!("{question} [y/N] ").as_bytes());
    // A signal ends the process while it waits: nothing was changed.
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = read.await.map_err(io::Error::other).and_then(|line| line);
    let line =
        line.map_err(|error| Failure::Unexpected(format!("standard input cannot be read: {error}")))?;
    Ok(is_yes(&line))
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn not_agreed() -> Exit {
    print_message("nothing was changed");
    Exit::Failed
}

/// Does work that the first signal ends after the requests in flight, and the second at once; then it returns `None`.
async fn interruptible<T>(work: impl AsyncFnOnce(&Stop) -> T) -> Result<Option<T>, Failure> {
    let mut termination = Termination::listen().map_err(|error| Failure::Unexpected(error.to_string()))?;
    let (stopper, stop) = stop();
    let signals = async {
        termination.next().await;
        stopper.stop();
        print_message("ending after the requests in flight; a second signal ends at once");
        termination.next().await;
    };
    Ok(tokio::select! {
        done = work(&stop) => Some(done),
        () = signals => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_consent() {
        assert!(["y\n", "Y", " yes \n"].into_iter().all(is_yes));
        assert!(!["", "\n", "n\n", "yy", "no yes"].into_iter().any(is_yes));
    }
}
