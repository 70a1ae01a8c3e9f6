//! `warmd run`: the daemon.

use std::future;
use std::io;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::app::App;
use super::clock::SystemClock;
use super::configuration::{Origin, largest};
use super::error::Failure;
use super::exit::Exit;
use super::live_config::{Asked, LiveConfig};
use super::output::{Stderr, print, print_json};
use super::render::{self, Style};
use super::run::{RunArgs, insisted, no_targets};
use super::signals::Termination;
use super::store::{Store, halfway, time_of_record, unavailable};
use crate::aws::{AwsLambda, CloudWatch};
use crate::domain::metric_data::{TickFacts, TickScope};
use crate::domain::schedule::Minute;
use crate::domain::tick::TickReport;
use crate::engine::daemon::{self, Daemon};
use crate::engine::planner::{Cause, Plan, TickPlanner};
use crate::engine::ports::Clock;
use crate::engine::record::{PATIENCE, Recorded, Recorder};
use crate::engine::running::Part;
use crate::engine::stop::stop;
use crate::engine::tick::Engine;

/// The daemon, until a signal ends it.
///
/// # Errors
/// Whatever keeps it from beginning.
pub async fn run(args: &RunArgs, style: Style) -> Result<Exit, Failure> {
    let origin = Origin::new(&args.configs, &args.only).with_prices(&args.prices);
    let live_config = LiveConfig::begin(origin)?;
    let fleet = live_config.fleet();
    let unexpected = |error: io::Error| Failure::Unexpected(error.to_string());
    let termination = Termination::listen().map_err(unexpected)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(unexpected)?;
    let app = App::of(args.local, &fleet.targets).await?;
    let engine = app.engine(fleet.limits, largest(&fleet))?;
    engine.set_prices(fleet.prices.clone());
    let planner = Store::at(args.state.location(), app.clients())?.swept(SystemClock.now()).await.planner();
    let recorder = Recorder::new(app.cloudwatch()?, Box::new(Stderr));
    if fleet.targets.is_empty() {
        warn!("{}", no_targets(&args.only));
    }
    info!(targets = fleet.targets.len(), config = %fleet.hash, cron = %args.cron, "started");
    let service = Arc::new(Service {
        live_config: Arc::new(live_config),
        app,
        engine: Arc::clone(&engine),
        recorder,
        planner,
        json: args.json,
        style,
    });
    let daemon = Arc::new(Shared(Arc::clone(&service)));
    let (stopper, stop) = stop();
    let reloading = async {
        while hangup.recv().await.is_some() {
            service.reload(Asked::Expressly).await;
        }
        future::pending().await
    };
    tokio::select! {
        ended = daemon::run(Arc::clone(&engine), daemon, Arc::new(SystemClock), &args.cron, stop, args.grace) => {
            if ended.lost_ticks > 0 {
                error!(lost_ticks = ended.lost_ticks, "stopped; ticks ended unexpectedly");
                return Ok(Exit::Failed);
            }
            info!("stopped");
            Ok(Exit::Success)
        }
        exit = insisted(termination, stopper, &engine) => Ok(exit),
        () = reloading => Ok(Exit::Failed),
    }
}

/// What the daemon does beside pinging.
struct Service {
    live_config: Arc<LiveConfig>,
    app: App,
    engine: Arc<Engine<AwsLambda>>,
    recorder: Recorder<CloudWatch>,
    planner: TickPlanner<Store>,
    json: bool,
    style: Style,
}

/// The service, shared between the loop and SIGHUP.
struct Shared(Arc<Service>);

impl Service {
    async fn reload(&self, asked: Asked) {
        self.live_config.clone().reload(asked, &self.app, &self.engine).await;
    }
}

impl Daemon for Shared {
    async fn due(&self, previous: DateTime<Utc>, now: DateTime<Utc>) -> (Option<String>, Plan) {
        self.0.reload(Asked::ByTick).await;
        let fleet = self.0.live_config.fleet();
        let plan = self.0.planner.plan(&fleet, now, Minute::of(previous), now).await;
        (Some(fleet.hash.clone()), plan)
    }

    async fn ticked(&self, plan: &Plan, part: Part) {
        let Part { report, is_first, whole, running, until } = part;
        let now = SystemClock.now();
        let stale_since = self.0.live_config.stale_since();
        let settings = self.0.live_config.fleet().metrics.clone();
        let until = until.min(Instant::now() + PATIENCE);
        let mut health = plan.health;
        let noting = async {
            match &whole {
                Some(whole) => {
                    let cause = Cause::Schedule { config_behind_since: stale_since };
                    self.0.planner.note(plan, &plan.due, whole, cause, now).await
                }
                None => self.0.planner.note_part(plan, &running, &report, &plan.due, now).await,
            }
        };
        health = health.and(halfway(until, noting).await);
        let facts = if is_first {
            let age = stale_since.map(|since| now.signed_duration_since(since).to_std().unwrap_or_default());
            let state_unavailable = unavailable(health);
            TickFacts { config_age: age, state_unavailable, ..TickFacts::default() }
        } else {
            // What is counted once for a tick was counted with its first part.
            let unavailable_since = unavailable(health).saturating_sub(unavailable(plan.health));
            TickFacts { scope: TickScope::Part, state_unavailable: unavailable_since, ..TickFacts::default() }
        };
        // What ends long after its tick counts when it ends: alarms look at the latest minutes.
        let recorded = TickReport { tick: time_of_record(&report, now), ..report.clone() };
        match self.0.recorder.record(&recorded, &settings, facts, until).await {
            Recorded::Sent => debug!(tick = %report.tick, "recorded"),
            // The recorder has logged it.
            Recorded::FellBack | Recorded::Lost => {}
        }
        // After the record: an unread message changes nothing.
        let shown = if self.0.json {
            print_json(&report)
        } else if report.rounds.is_empty() && report.unfinished.is_empty() {
            debug!(tick = %report.tick, "nothing was due");
            Ok(())
        } else {
            print(&render::tick::tick_line(&report, self.0.style))
        };
        if let Err(error) = shown {
            error!(%error, "the tick could not be shown on standard output");
        }
    }
}
