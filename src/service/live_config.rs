//! The current configuration: the newest valid one, for processes that run longer than a tick.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::{error, info, warn};

use super::config_source::{ConfigSource, Fingerprint};
use crate::config::{Loaded, Problems};
use crate::domain::fleet::Fleet;

/// The current configuration and its source.
#[derive(Debug)]
pub struct LiveConfig {
    /// None for a configuration that never changes.
    source: Option<ConfigSource>,
    current: Mutex<Current>,
}

/// The current configuration, and the result of the last read of its source.
#[derive(Debug)]
struct Current {
    fleet: Arc<Fleet>,
    attachments: Vec<PathBuf>,
    /// The fingerprint of the source; none when it could not be read.
    fingerprint: Option<Fingerprint>,
    /// The problems of the content of the source, if it is refused.
    refused: Option<Problems>,
    /// The time since which the current configuration differs from its source.
    stale_since: Option<DateTime<Utc>>,
}

impl Current {
    fn new(loaded: Loaded, fingerprint: Option<Fingerprint>) -> Self {
        let attachments = loaded.attachments().to_vec();
        Self { fleet: Arc::new(loaded.fleet), attachments, fingerprint, refused: None, stale_since: None }
    }
}

/// The reason for a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadReason {
    /// A trigger is about to be served.
    Trigger,
    /// SIGHUP.
    Signal,
}

impl LiveConfig {
    /// Creates a configuration that never changes.
    pub fn fixed(fleet: Fleet) -> Self {
        let fleet = Arc::new(fleet);
        let current =
            Current { fleet, attachments: Vec::new(), fingerprint: None, refused: None, stale_since: None };
        Self { source: None, current: Mutex::new(current) }
    }

    /// Loads the first configuration of a source.
    ///
    /// # Errors
    /// Every problem in it.
    pub async fn load(source: ConfigSource) -> Result<Self, Problems> {
        // Before the files are read, so that the next reload detects a change in between.
        let fingerprint = source.fingerprint(&[]).await.ok();
        let loaded = source.load().await?;
        Ok(Self { source: Some(source), current: Mutex::new(Current::new(loaded, fingerprint)) })
    }

    /// Loads the first configuration of a process that must start. If the live version is refused or does not fit, the
    /// newest usable earlier version is the fallback. Only published configurations have earlier versions.
    ///
    /// # Errors
    /// The reason why the live version is refused, if no earlier version is usable.
    pub async fn load_or_earlier(
        source: ConfigSource,
        fits: impl Fn(&Fleet) -> Result<(), String>,
        now: DateTime<Utc>,
    ) -> Result<Self, String> {
        let fingerprint = source.fingerprint(&[]).await.ok();
        let (reason, refused) = match source.load().await {
            Ok(loaded) => match fits(&loaded.fleet) {
                Ok(()) => {
                    let current = Mutex::new(Current::new(loaded, fingerprint));
                    return Ok(Self { source: Some(source), current });
                }
                Err(reason) => (reason, None),
            },
            Err(problems) => (problems.to_string(), Some(problems)),
        };
        let earlier = source.earlier(|loaded| fits(&loaded.fleet).is_ok()).await;
        let (loaded, replaced) = earlier.ok_or_else(|| reason.clone())?;
        let replaced = DateTime::parse_from_rfc3339(&replaced).map_or(now, |at| at.to_utc());
        match &refused {
            Some(problems) => log_problems(problems),
            None => error!("{reason}"),
        }
        let stale_since = Some(replaced.min(now));
        let current = Current { refused, stale_since, ..Current::new(loaded, fingerprint) };
        error!(config = %current.fleet.hash, since = %replaced,
            "the live configuration is refused; an earlier version is in force");
        Ok(Self { source: Some(source), current: Mutex::new(current) })
    }

    /// Returns the current configuration.
    pub fn fleet(&self) -> Arc<Fleet> {
        Arc::clone(&self.current().fleet)
    }

    /// Returns the time since which the current configuration differs from its source, because the source is refused or
    /// cannot be read; none when it does not differ.
    pub fn stale_since(&self) -> Option<DateTime<Utc>> {
        self.current().stale_since
    }

    /// Returns the time for which the current configuration has been older than its source at `now`; none if it is up to
    /// date.
    pub fn age(&self, now: DateTime<Utc>) -> Option<Duration> {
        self.stale_since().map(|since| now.signed_duration_since(since).to_std().unwrap_or_default())
    }

    /// Logs a warning if the current configuration has no targets.
    pub fn warn_if_empty(&self) {
        let warning = self.source.as_ref().and_then(|source| source.empty_warning(&self.fleet()));
        if let Some(warning) = warning {
            warn!("{warning}");
        }
    }

    /// Loads the configuration if its source has changed, and applies it with `apply`. A configuration that is invalid,
    /// or refused by `apply`, is logged, and the current one is kept.
    pub async fn reload(
        &self,
        reason: ReloadReason,
        now: DateTime<Utc>,
        apply: impl Fn(&Fleet) -> Result<(), String>,
    ) {
        let Some(source) = &self.source else { return };
        let attachments = self.current().attachments.clone();
        let fingerprint = match source.fingerprint(&attachments).await {
            Ok(fingerprint) => Some(fingerprint),
            Err(problems) => return self.refuse(problems, None, reason, now),
        };
        let is_unchanged = {
            let current = self.current();
            // A file that is not known yet may correct a refused configuration, so it is read each time.
            fingerprint == current.fingerprint && current.refused.is_none() && current.stale_since.is_none()
        };
        if is_unchanged && reason == ReloadReason::Trigger {
            return;
        }
        match source.load().await {
            Ok(loaded) => self.replace(Current::new(loaded, fingerprint), reason, now, apply),
            Err(problems) => self.refuse(problems, fingerprint, reason, now),
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(
        &self,
        problems: Problems,
        fingerprint: Option<Fingerprint>,
        reason: ReloadReason,
        now: DateTime<Utc>,
    ) {
        let mut current = self.current();
        // Logged once, and again for each signal.
        if reason == ReloadReason::Signal || current.refused.as_ref() != Some(&problems) {
            log_problems(&problems);
            error!(
                problems = problems.list.len() + problems.omitted,
                "the new configuration is refused; the old one stays in force"
            );
        }
        current.fingerprint = fingerprint;
        current.refused = Some(problems);
        current.stale_since.get_or_insert(now);
    }

    /// Replaces the current configuration if `apply` accepts the new one.
    ///
    /// The fingerprint of `new` was taken with the attachments of the configuration before. If `new` names other files,
    /// the next reload finds a difference and loads once more.
    fn replace(
        &self,
        new: Current,
        reason: ReloadReason,
        now: DateTime<Utc>,
        apply: impl Fn(&Fleet) -> Result<(), String>,
    ) {
        let applied = apply(&new.fleet);
        let mut current = self.current();
        match applied {
            Ok(()) if new.fleet.hash == current.fleet.hash => {
                if reason == ReloadReason::Signal {
                    info!(config = %new.fleet.hash, "the configuration has not changed");
                }
                *current = new;
            }
            Ok(()) => {
                let targets = new.fleet.targets.len();
                info!(config = %new.fleet.hash, targets, "a new configuration is in force");
                *current = new;
                drop(current);
                self.warn_if_empty();
            }
            Err(error) => {
                if current.stale_since.is_none() || reason == ReloadReason::Signal {
                    error!("{error}");
                    error!("the new configuration is refused; the old one stays in force");
                }
                current.fingerprint = new.fingerprint;
                current.stale_since.get_or_insert(now);
            }
        }
    }
}

fn log_problems(problems: &Problems) {
    for problem in &problems.list {
        match &problem.hint {
            Some(hint) => error!("{}: {} (hint: {hint})", problem.position, problem.message),
            None => error!("{}: {}", problem.position, problem.message),
        }
    }
}
