//! `warmd run`: the daemon.

use std::future;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{debug, error, info};

use super::app::App;
use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::listen::{self, Server};
use super::notify::{Notifier, READY};
use super::output::{print, print_json};
use super::overview::Overview;
use super::render::{self, Style};
use super::run::{RunArgs, interrupted};
use super::signals::Termination;
use crate::engine::ports::Clock;
use crate::engine::stop::stop;
use crate::service::budget::TimeBudget;
use crate::service::clock::SystemClock;
use crate::service::health::TickWatch;
use crate::service::live_config::{LiveConfig, ReloadReason};
use crate::service::rounds::Part;
use crate::service::store::Spool;
use crate::service::{Observer, Policy, ScheduledTicks, daemon};

/// Runs the daemon until a signal ends it.
///
/// # Errors
/// The reason why it cannot start.
pub async fn run(args: &RunArgs, style: Style) -> Result<Exit, Failure> {
    let source = configuration::source(args.configs.paths(), &args.only).await;
    let source = source.with_prices(args.prices.prices.clone()).for_pings();
    let live_config = LiveConfig::load(source.for_capacity(args.state.location().is_some())).await?;
    let fleet = live_config.fleet();
    let unexpected = |error: io::Error| Failure::Unexpected(error.to_string());
    let termination = Termination::listen().map_err(unexpected)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(unexpected)?;
    let listener = match args.listen {
        Some(address) => Some(listen::bind(address).await?),
        None => None,
    };
    let lock = args.state.lock()?;
    // The embedded emulator must not receive the metrics that AWS has refused.
    let spool = lock.as_ref().filter(|_| !args.local).map(|(state, lock)| Spool::new(state, lock));
    let app = App::of(args.local, &fleet.targets).await?;
    let documents = app.documents(args.state.location())?;
    let mut recorder = app.recorder()?.with_spool(spool);
    let totals = Arc::new(Mutex::default());
    recorder.totals = listener.is_some().then(|| Arc::clone(&totals));
    let mut service = app.service(live_config, documents.clone(), Some(recorder), None)?;
    app.guard(&mut service, Policy { checks_contact: true, refreshes_facts: true, ..Policy::default() });
    app.drive(&mut service, &documents);
    let service = Arc::new(service);
    documents.sweep(SystemClock.now()).await;
    service.live_config().warn_if_empty();
    info!(targets = fleet.targets.len(), config = %fleet.hash, cron = %args.cron, "started");
    let (stopper, stop) = stop();
    let watch = Arc::new(TickWatch::start(args.cron.clone(), Arc::clone(&service.clock), stop.clone()));
    let mut background = JoinSet::new();
    if let Some(listener) = listener {
        let pages = Overview { service: Arc::clone(&service), watch: Arc::clone(&watch), totals };
        background.spawn(Server::new(pages).serve(listener));
    }
    let ticks = Arc::new(ScheduledTicks {
        service: Arc::clone(&service),
        budget: TimeBudget::until_stopped(stop.clone(), Some(args.grace)),
        observer: TickOutput { json: args.json, style, watch: Arc::clone(&watch) },
    });
    let notifier = Notifier::from_environment();
    notifier.send(READY);
    background.spawn({
        let stop = stop.clone();
        async move { notifier.keep(&watch, stop).await }
    });
    let reloading = async {
        while hangup.recv().await.is_some() {
            service.reload(ReloadReason::Signal).await;
        }
        future::pending().await
    };
    tokio::select! {
        ended = daemon::run(ticks, &SystemClock, &args.cron, stop) => {
            if ended.lost_ticks > 0 {
                error!(lost_ticks = ended.lost_ticks, "stopped; ticks ended unexpectedly");
                return Ok(Exit::Failed);
            }
            info!("stopped");
            Ok(Exit::Success)
        }
        exit = interrupted(termination, stopper, service.engine()) => Ok(exit),
        () = reloading => Ok(Exit::Failed),
    }
}

/// Prints ticks: a JSON object for each part, or a line.
struct TickOutput {
    json: bool,
    style: Style,
    watch: Arc<TickWatch>,
}

impl Observer for TickOutput {
    fn recorded(&self, part: &Part) {
        self.watch.note(part);
        let report = &part.report;
        let printed = if self.json {
            print_json(report)
        } else if report.rounds.is_empty() && report.unfinished.is_empty() {
            debug!(tick = %report.tick, "nothing was due");
            Ok(())
        } else {
            print(&render::tick::tick_line(report, self.style))
        };
        if let Err(error) = printed {
            error!(%error, "the tick could not be written to standard output");
        }
    }
}
