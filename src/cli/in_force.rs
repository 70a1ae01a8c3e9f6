//! The configuration in force, for whatever lives longer than a tick: the newest that was sound.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tracing::{error, info};

use super::clock::SystemClock;
use super::configuration::{Fingerprint, Origin, largest};
use super::wiring::World;
use crate::aws::AwsLambda;
use crate::config::{Loaded, Problems};
use crate::domain::fleet::Fleet;
use crate::engine::ports::Clock;
use crate::engine::tick::Engine;

/// The configuration in force.
#[derive(Debug)]
pub struct InForce {
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
    behind_since: Option<DateTime<Utc>>,
}

impl State {
    fn new(loaded: Loaded, fingerprint: Option<Fingerprint>) -> Self {
        let attachments = loaded.attachments().to_vec();
        Self { fleet: Arc::new(loaded.fleet), attachments, fingerprint, refused: None, behind_since: None }
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

impl InForce {
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

    /// What is in force.
    pub fn fleet(&self) -> Arc<Fleet> {
        Arc::clone(&self.state().fleet)
    }

    /// Since when what is in force is not what the files say, because that is refused or cannot be read.
    pub fn behind_since(&self) -> Option<DateTime<Utc>> {
        self.state().behind_since
    }

    /// Looks at the files, off the threads that serve pings, and takes what has changed into force. What is not
    /// sound is reported, and the old configuration stays.
    pub async fn reload(self: Arc<Self>, asked: Asked, world: &World, engine: &Arc<Engine<AwsLambda>>) {
        let (world, engine) = (world.clone(), Arc::clone(engine));
        let look = move || self.reload_now(asked, &world, &engine);
        if let Err(error) = tokio::task::spawn_blocking(look).await {
            error!(%error, "the configuration was not looked at");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reload_now(&self, asked: Asked, world: &World, engine: &Engine<AwsLambda>) {
        let attachments = self.state().attachments.clone();
        let fingerprint = match self.origin.fingerprint(&attachments) {
            Ok(fingerprint) => Some(fingerprint),
            Err(problems) => return self.refuse(problems, None, asked),
        };
        let unchanged = {
            let state = self.state();
            // What is refused may be mended by a file that is not known yet, so it is looked at each time.
            fingerprint == state.fingerprint && state.refused.is_none() && state.behind_since.is_none()
        };
        if unchanged && asked == Asked::ByTick {
            return;
        }
        match self.origin.load() {
            Ok(loaded) => self.put_in_force(loaded, fingerprint, asked, world, engine),
            Err(problems) => self.refuse(problems, fingerprint, asked),
        }
    }

    fn refuse(&self, problems: Problems, fingerprint: Option<Fingerprint>, asked: Asked) {
        let mut state = self.state();
        // Told once, and again when somebody asks.
        if asked == Asked::Expressly || state.refused.as_ref() != Some(&problems) {
            say(&problems);
        }
        state.fingerprint = fingerprint;
        state.refused = Some(problems);
        state.behind_since.get_or_insert_with(|| SystemClock.now());
    }

    fn put_in_force(
        &self,
        loaded: Loaded,
        fingerprint: Option<Fingerprint>,
        asked: Asked,
        world: &World,
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
        match world.cap(new.fleet.limits.max_in_flight, largest(&new.fleet)) {
            Ok(cap) => {
                engine.set_max_in_flight(cap);
                engine.set_prepare(new.fleet.limits.prepare);
                engine.set_prices(new.fleet.prices.clone());
                info!(config = %new.fleet.hash, targets = new.fleet.targets.len(), "a new configuration is in force");
                *self.state() = new;
            }
            Err(failure) => {
                let mut state = self.state();
                if state.behind_since.is_none() || asked == Asked::Expressly {
                    error!("{failure}");
                    error!("the new configuration is refused; the old one stays in force");
                }
                state.fingerprint = new.fingerprint;
                state.behind_since.get_or_insert_with(|| SystemClock.now());
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
