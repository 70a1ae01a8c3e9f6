//! The configuration in force, for whatever lives longer than a tick: the newest that was sound.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tracing::{error, info};

use super::app::App;
use super::clock::SystemClock;
use super::configuration::{Fingerprint, Origin, largest};
use super::error::Failure;
use crate::aws::AwsLambda;
use crate::config::{Loaded, Problems};
use crate::domain::fleet::Fleet;
use crate::engine::ports::Clock;
use crate::engine::tick::Engine;

/// The configuration in force.
#[derive(Debug)]
pub struct LiveConfig {
    origin: Origin,
    state: Mutex<State>,
}

/// The configuration in force, and what was last seen of its files.
#[derive(Debug)]
struct State {
    fleet: Arc<Fleet>,
    attachments: Vec<PathBuf>,
    /// None when it could not be had.
    fingerprint: Option<Fingerprint>,
    /// What the files say now, when that is refused.
    refused: Option<Problems>,
    /// Since when what is in force is not what the files say.
    stale_since: Option<DateTime<Utc>>,
}

impl State {
    fn new(loaded: Loaded, fingerprint: Option<Fingerprint>) -> Self {
        let attachments = loaded.attachments().to_vec();
        Self { fleet: Arc::new(loaded.fleet), attachments, fingerprint, refused: None, stale_since: None }
    }
}

/// Why files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A tick is about to begin.
    ByTick,
    /// SIGHUP.
    Expressly,
}

impl LiveConfig {
    /// Loads the first configuration.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn begin(origin: Origin) -> Result<Self, Problems> {
        // Before the files are read: a change in between is then seen as one.
        let fingerprint = origin.fingerprint(&[]).ok();
        let loaded = origin.load()?;
        Ok(Self { origin, state: Mutex::new(State::new(loaded, fingerprint)) })
    }

    /// The same for what has to start whatever the configuration: when what is live is refused or does not fit, what
    /// was live before is put in force, as if this had been running when it was replaced. That can be known of
    /// published configurations only.
    ///
    /// # Errors
    /// Why what is live is refused, when nothing else is to be had.
    pub fn begin_or_earlier(
        origin: Origin,
        fits: impl Fn(&Fleet) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let fingerprint = origin.fingerprint(&[]).ok();
        let failure = match origin.load().map_err(Failure::from) {
            Ok(loaded) => match fits(&loaded.fleet) {
                Ok(()) => return Ok(Self { origin, state: Mutex::new(State::new(loaded, fingerprint)) }),
                Err(failure) => failure,
            },
            Err(failure) => failure,
        };
        let Some((loaded, replaced)) = origin.earlier(&|loaded| fits(&loaded.fleet).is_ok()) else {
            return Err(failure);
        };
        let mut state = State::new(loaded, fingerprint);
        let now = SystemClock.now();
        let replaced = DateTime::parse_from_rfc3339(&replaced).map_or(now, |at| at.to_utc());
        state.stale_since = Some(replaced.min(now));
        match failure {
            Failure::Configuration(problems) => {
                say(&problems);
                state.refused = Some(problems);
            }
            failure => error!("{failure}"),
        }
        error!(config = %state.fleet.hash, since = %replaced,
            "the configuration that is live is refused; one that was live before is in force");
        Ok(Self { origin, state: Mutex::new(state) })
    }

    /// What is in force.
    pub fn fleet(&self) -> Arc<Fleet> {
        Arc::clone(&self.state().fleet)
    }

    /// Since when what is in force is not what the files say, because that is refused or cannot be read.
    pub fn stale_since(&self) -> Option<DateTime<Utc>> {
        self.state().stale_since
    }

    /// Looks at the files, off the threads that serve pings, and takes what has changed into force. What is not
    /// sound is reported, and the old configuration stays.
    pub async fn reload(self: Arc<Self>, asked: Asked, app: &App, engine: &Arc<Engine<AwsLambda>>) {
        let (app, engine) = (app.clone(), Arc::clone(engine));
        let look = move || self.reload_now(asked, &app, &engine);
        if let Err(error) = tokio::task::spawn_blocking(look).await {
            error!(%error, "the configuration was not looked at");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reload_now(&self, asked: Asked, app: &App, engine: &Engine<AwsLambda>) {
        let attachments = self.state().attachments.clone();
        let fingerprint = match self.origin.fingerprint(&attachments) {
            Ok(fingerprint) => Some(fingerprint),
            Err(problems) => return self.refuse(problems, None, asked),
        };
        let unchanged = {
            let state = self.state();
            // What is refused may be mended by a file that is not known yet, so it is looked at each time.
            fingerprint == state.fingerprint && state.refused.is_none() && state.stale_since.is_none()
        };
        if unchanged && asked == Asked::ByTick {
            return;
        }
        match self.origin.load() {
            Ok(loaded) => self.put_in_force(loaded, fingerprint, asked, app, engine),
            Err(problems) => self.refuse(problems, fingerprint, asked),
        }
    }

    fn refuse(&self, problems: Problems, fingerprint: Option<Fingerprint>, asked: Asked) {
        let mut state = self.state();
        // Told once, and again when somebody asks.
        if asked == Asked::Expressly || state.refused.as_ref() != Some(&problems) {
            say(&problems);
            error!(
                problems = problems.list.len() + problems.omitted,
                "the new configuration is refused; the old one stays in force"
            );
        }
        state.fingerprint = fingerprint;
        state.refused = Some(problems);
        state.stale_since.get_or_insert_with(|| SystemClock.now());
    }

    fn put_in_force(
        &self,
        loaded: Loaded,
        fingerprint: Option<Fingerprint>,
        asked: Asked,
        app: &App,
        engine: &Engine<AwsLambda>,
    ) {
        // Taken with the attachments that were known before: when others are named now, the next look finds a
        // difference and loads once more, which is better than to miss a change.
        let new = State::new(loaded, fingerprint);
        if new.fleet.hash == self.state().fleet.hash {
            // The file of --prices is not part of the hash.
            engine.set_prices(new.fleet.prices.clone());
            if asked == Asked::Expressly {
                info!(config = %new.fleet.hash, "the configuration has not changed");
            }
            *self.state() = new;
            return;
        }
        match app.cap(new.fleet.limits, largest(&new.fleet)) {
            Ok(cap) => {
                engine.set_max_in_flight(cap);
                engine.set_wire(new.fleet.limits.wire);
                engine.set_prices(new.fleet.prices.clone());
                info!(config = %new.fleet.hash, targets = new.fleet.targets.len(), "a new configuration is in force");
                *self.state() = new;
            }
            Err(failure) => {
                let mut state = self.state();
                if state.stale_since.is_none() || asked == Asked::Expressly {
                    error!("{failure}");
                    error!("the new configuration is refused; the old one stays in force");
                }
                state.fingerprint = new.fingerprint;
                state.stale_since.get_or_insert_with(|| SystemClock.now());
            }
        }
    }
}

fn say(problems: &Problems) {
    for problem in &problems.list {
        match &problem.hint {
            Some(hint) => error!("{}: {} (hint: {hint})", problem.position, problem.message),
            None => error!("{}: {}", problem.position, problem.message),
        }
    }
}
