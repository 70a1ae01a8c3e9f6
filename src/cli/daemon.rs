//! `warmd run`: the daemon.

use std::future;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{debug, error, info, warn};

use super::args::RunArgs;
use super::clock::SystemClock;
use super::configuration::{Fingerprint, Origin, largest};
use super::error::Failure;
use super::exit::Exit;
use super::output::{print, print_json};
use super::render::{self, Style};
use super::run::{due, insisted, no_targets};
use super::signals::Termination;
use super::wiring::World;
use crate::aws::{AwsLambda, CloudWatch};
use crate::config::{Loaded, Problems};
use crate::domain::fleet::Fleet;
use crate::domain::schedule::{Minute, Mode};
use crate::domain::tick::TickReport;
use crate::engine::daemon::{self, Daemon};
use crate::engine::record::{Recorded, Recorder};
use crate::engine::stop::stop;
use crate::engine::tick::{Due, Engine};

/// The daemon, until a signal ends it.
///
/// # Errors
/// Whatever keeps it from beginning.
pub async fn run(args: &RunArgs, style: Style) -> Result<Exit, Failure> {
    let origin = Origin::new(&args.configs, &args.only).with_prices(&args.prices);
    // Before the files are read: a change in between is then seen as one.
    let fingerprint = origin.fingerprint(&[]);
    let loaded = origin.load()?;
    let unexpected = |error: io::Error| Failure::Unexpected(error.to_string());
    let termination = Termination::listen().map_err(unexpected)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(unexpected)?;
    let world = World::of(args.local, &loaded.fleet.targets).await?;
    let engine = world.engine(loaded.fleet.limits.max_in_flight, largest(&loaded.fleet))?;
    engine.set_prices(loaded.fleet.prices.clone());
    let recorder = Recorder::new(world.cloudwatch()?, Box::new(io::stderr()));
    if loaded.fleet.targets.is_empty() {
        warn!("{}", no_targets(&args.only));
    }
    info!(targets = loaded.fleet.targets.len(), config = %loaded.fleet.hash, cron = %args.cron, "started");
    let service = Arc::new(Service {
        origin,
        world,
        engine: Arc::clone(&engine),
        recorder,
        json: args.json,
        style,
        state: Mutex::new(State::new(loaded, fingerprint)),
    });
    let daemon = Arc::new(Shared(Arc::clone(&service)));
    let (stopper, stop) = stop();
    let reloading = async {
        while hangup.recv().await.is_some() {
            Arc::clone(&service).reload(Asked::Expressly).await;
        }
        future::pending().await
    };
    tokio::select! {
        () = daemon::run(Arc::clone(&engine), daemon, Arc::new(SystemClock), &args.cron, stop) => {
            info!("stopped");
            Ok(Exit::Success)
        }
        exit = insisted(termination, stopper, &engine) => Ok(exit),
        () = reloading => Ok(Exit::Failed),
    }
}

/// What the daemon does beside pinging.
struct Service {
    origin: Origin,
    world: World,
    engine: Arc<Engine<AwsLambda>>,
    recorder: Recorder<CloudWatch>,
    json: bool,
    style: Style,
    state: Mutex<State>,
}

/// The service, shared between the loop and SIGHUP.
struct Shared(Arc<Service>);

/// The configuration in force, and what was last seen of its files.
struct State {
    fleet: Arc<Fleet>,
    attachments: Vec<PathBuf>,
    fingerprint: Fingerprint,
    /// What the files say now, when that is refused.
    refused: Option<Problems>,
}

impl State {
    fn new(loaded: Loaded, fingerprint: Fingerprint) -> Self {
        let attachments = loaded.attachments().to_vec();
        Self { fleet: Arc::new(loaded.fleet), attachments, fingerprint, refused: None }
    }
}

/// Why files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// A tick is about to begin.
    ByTick,
    /// SIGHUP.
    Expressly,
}

impl Service {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the files, off the threads that serve pings.
    async fn reload(self: Arc<Self>, asked: Asked) {
        if let Err(error) = tokio::task::spawn_blocking(move || self.reload_now(asked)).await {
            error!(%error, "the configuration was not looked at");
        }
    }

    /// Takes what has changed into force. What is not sound is reported, and the old configuration stays.
    fn reload_now(&self, asked: Asked) {
        let (fingerprint, unchanged) = {
            let state = self.state();
            let fingerprint = self.origin.fingerprint(&state.attachments);
            // What is refused may be mended by a file that is not known yet, so it is looked at each time.
            let unchanged = fingerprint == state.fingerprint && state.refused.is_none();
            (fingerprint, unchanged)
        };
        if unchanged && asked == Asked::ByTick {
            return;
        }
        match self.origin.load() {
            Ok(loaded) => self.put_in_force(loaded, fingerprint, asked),
            Err(problems) => {
                let mut state = self.state();
                // Told once, and again when somebody asks.
                if asked == Asked::Expressly || state.refused.as_ref() != Some(&problems) {
                    say(&problems);
                }
                state.fingerprint = fingerprint;
                state.refused = Some(problems);
            }
        }
    }

    fn put_in_force(&self, loaded: Loaded, fingerprint: Fingerprint, asked: Asked) {
        // Taken with the attachments that were known before: when others are named now, the next look finds a
        // difference and loads once more, which is better than to miss a change.
        let new = State::new(loaded, fingerprint);
        if new.fleet.hash == self.state().fleet.hash {
            // The file of --prices is not part of the hash.
            self.engine.set_prices(new.fleet.prices.clone());
            if asked == Asked::Expressly {
                info!(config = %new.fleet.hash, "the configuration has not changed");
            }
            *self.state() = new;
            return;
        }
        match self.world.cap(new.fleet.limits.max_in_flight, largest(&new.fleet)) {
            Ok(cap) => {
                self.engine.set_max_in_flight(cap);
                self.engine.set_prices(new.fleet.prices.clone());
                info!(config = %new.fleet.hash, targets = new.fleet.targets.len(), "a new configuration is in force");
                *self.state() = new;
            }
            Err(failure) => {
                error!("{failure}");
                error!("the new configuration is refused; the old one stays in force");
                self.state().fingerprint = new.fingerprint;
            }
        }
    }
}

fn say(problems: &Problems) {
    for problem in &problems.list {
        match &problem.hint {
            Some(hint) => error!("{}: {} (hint: {hint})", problem.place, problem.message),
            None => error!("{}: {}", problem.place, problem.message),
        }
    }
    error!(
        problems = problems.list.len() + problems.omitted,
        "the new configuration is refused; the old one stays in force"
    );
}

impl Daemon for Shared {
    async fn due(&self, previous: DateTime<Utc>, now: DateTime<Utc>) -> (Option<String>, Vec<Due>) {
        Arc::clone(&self.0).reload(Asked::ByTick).await;
        let fleet = Arc::clone(&self.0.state().fleet);
        let due = due(&fleet, now, Mode::DueSince(Minute::of(previous)));
        (Some(fleet.hash.clone()), due)
    }

    async fn ticked(&self, report: TickReport) {
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
        let settings = self.0.state().fleet.metrics.clone();
        match self.0.recorder.record(&report, &settings).await {
            Recorded::Sent => debug!(tick = %report.tick, "recorded"),
            // The recorder has said so already.
            Recorded::FellBack | Recorded::Lost => {}
        }
    }
}
