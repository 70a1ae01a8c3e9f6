//! `warmd warm --like`: a version with the number of its alias, before traffic moves to it.

use std::collections::BTreeSet;

use super::{WarmArgs, bind, fixed_region, listen, protocol, serve};
use crate::cli::app::App;
use crate::cli::configuration;
use crate::cli::error::Failure;
use crate::cli::exit::Exit;
use crate::cli::options::{Configs, Only};
use crate::cli::output::print;
use crate::cli::render::{self, Style};
use crate::domain::events::{DirectNeed, DirectWarm, check_like};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{FunctionRef, Qualifier, Region};
use crate::domain::schedule::{Minute, next_change};
use crate::service::live_config::LiveConfig;
use crate::service::{Policy, Trigger, alike};

/// Warms `function` with the number of the target with the qualifier `like`.
///
/// # Errors
/// The reason why it cannot start. Nothing was sent then.
pub(super) async fn warm(
    args: &WarmArgs,
    function: &FunctionRef,
    like: &Qualifier,
    style: Style,
) -> Result<Exit, Failure> {
    check_like(function, like).map_err(Failure::Usage)?;
    let configs = Configs::of(args.configs.clone());
    let source = configuration::source(configs.paths(), &Only::default()).await;
    let mut fleet = source.load().await?.fleet;
    let (region, targets) = targets(args, function, like, &fleet)?;
    // The payloads of others may name variables that are not set here.
    for target in fleet.targets.iter_mut().filter(|one| targets.iter().any(|target| target.id == one.id)) {
        bind(&mut target.protocol)
            .map_err(|reason| Failure::Usage(format!("`{}`: {reason}", target.label)))?;
    }
    let protocol = protocol(args)?;
    let termination = listen()?;
    let app = App::of(args.local, &fleet.targets).await?;
    let state = args.state.clone().or_else(|| std::env::var("WARMD_STATE").ok());
    let documents = app.documents(state.as_deref().filter(|state| !state.is_empty()))?;
    let mut service = app.service(LiveConfig::fixed(fleet.clone()), documents, None, None)?;
    app.guard(&mut service, Policy { checks_contact: true, ..Policy::default() });
    let warm = DirectWarm {
        function: function.clone(),
        region: Some(region),
        tenant: args.tenant.clone(),
        need: DirectNeed::Like(like.clone()),
        protocol,
        hold: args.hold,
    };
    let (exit, report) = serve(args, &service, Trigger::Warm { warm, region }, termination, style).await?;
    if let Some(report) = report.filter(|report| !args.json && report.is_empty()) {
        let minute = Minute::of(report.tick);
        for target in &targets {
            print(&format!("nothing to warm: {} ({region}) has no pings now\n", target.id.shown()))?;
            if let Some((at, number)) = next_change(target, minute).filter(|_| target.is_pinged()) {
                print(&render::explain::next(target, at, number))?;
            }
        }
    }
    Ok(exit)
}

/// Returns the targets with the qualifier `like`, and their region: that of the flags, or their only one.
fn targets(
    args: &WarmArgs,
    function: &FunctionRef,
    like: &Qualifier,
    fleet: &Fleet,
) -> Result<(Region, Vec<Target>), Failure> {
    let region = fixed_region(args, function)?;
    let targets = alike(fleet, function, like, region, args.tenant.as_ref()).map_err(Failure::Usage)?;
    let regions: BTreeSet<&str> = targets.iter().map(|target| target.region().as_str()).collect();
    match (targets.first(), regions.len()) {
        (Some(first), 1) => Ok((first.region(), targets.into_iter().cloned().collect())),
        _ => {
            let regions: Vec<&str> = regions.into_iter().collect();
            Err(Failure::Usage(format!(
                "`{}:{like}` is configured in several regions: add --region with one of {}",
                function.name,
                regions.join(", ")
            )))
        }
    }
}
