//! The built-in profiles.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::{Handler, HoldBehavior, Ids, LogFormat, Network, Package, Profile, Span, Unrecognized};

type Constructor = fn() -> Profile;

/// The built-in profiles by name.
const BUILT_IN: [(&str, Constructor); 8] = [
    ("python", Profile::python),
    ("node", Profile::node),
    ("rust", Profile::rust),
    ("java", Profile::java),
    ("java-snapstart", Profile::java_snapstart),
    ("container-image", Profile::container_image),
    ("model-download", Profile::model_download),
    ("model-serving", Profile::model_serving),
];

impl Profile {
    /// Returns the names of the built-in profiles, which a functions file refers to with `profile`.
    pub fn built_in_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// Returns the built-in profile with that name.
    pub fn built_in(name: &str) -> Option<Self> {
        BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, profile)| profile())
    }

    /// Returns a small Python function: 512 MB, init 250 ms, 2 ms when warm. Idle environments live for 5 to 7 minutes
    /// (measured in 2021: hardly any were gone before 5 minutes, all at 7).
    pub fn python() -> Self {
        Self {
            code: String::new(),
            runtime: Some("python3.13".to_owned()),
            memory_mb: 512,
            package: Package::Zip,
            fetch: Span::millis(150),
            init: Span::millis(250),
            init_limit: None,
            restore: None,
            ahead: None,
            duration: Span::millis(2),
            ping: Span::millis(1),
            handler: Handler::Any,
            unrecognized: Unrecognized::Work,
            hold: HoldBehavior::AsRequested,
            extension: Span::millis(0),
            ids: Ids::Environments,
            at_once: NonZeroU32::MIN,
            timeout: Duration::from_secs(60),
            idle_life: Span::between(Duration::from_secs(300), Duration::from_secs(420)),
            recycle_after: Span::from(Duration::from_secs(2 * 3600)),
            code_life: Duration::from_secs(2 * 3600),
            network: Network::default(),
            reserved: None,
            provisioned: None,
            provisioned_on: Vec::new(),
            denied_on: Vec::new(),
            prepare: Duration::ZERO,
            provisioned_fails: None,
            moving: Duration::ZERO,
            inactive: None,
            versions: BTreeMap::new(),
            aliases: BTreeMap::new(),
            log: LogFormat::Text,
            xray: false,
            chatter: 0,
            faults: Vec::new(),
            configuration: serde_json::Map::new(),
        }
    }

    /// Returns a small Node function: init 180 ms.
    pub fn node() -> Self {
        Self { runtime: Some("nodejs22.x".to_owned()), init: Span::millis(180), ..Self::python() }
    }

    /// Returns a small compiled function: 128 MB, init 20 ms.
    pub fn rust() -> Self {
        Self {
            runtime: Some("provided.al2023".to_owned()),
            memory_mb: 128,
            init: Span::millis(20),
            duration: Span::millis(1),
            ..Self::python()
        }
    }

    /// Returns a Java function, as measured in load tests: 512 MB, init 8 to 18 s.
    pub fn java() -> Self {
        Self {
            runtime: Some("java21".to_owned()),
            init: Span::between(Duration::from_secs(8), Duration::from_secs(18)),
            duration: Span::millis(20),
            ..Self::python()
        }
    }

    /// Returns [`Profile::java`] with SnapStart: published versions restore in 400 to 700 ms.
    pub fn java_snapstart() -> Self {
        Self {
            restore: Some(Span::between(Duration::from_millis(400), Duration::from_millis(700))),
            ..Self::java()
        }
    }

    /// Returns model inference in a container image: cold 90 s, semi-cold 6 to 7 s, warm 65 ms. Idle environments live
    /// for about 5 minutes, the cached image lives longer.
    pub fn container_image() -> Self {
        Self {
            runtime: None,
            memory_mb: 3008,
            package: Package::Image,
            fetch: Span::from(Duration::from_millis(83_435)),
            init: Span::between(Duration::from_secs(6), Duration::from_secs(7)),
            duration: Span::millis(65),
            timeout: Duration::from_secs(300),
            idle_life: Span::from(Duration::from_secs(300)),
            code_life: Duration::from_secs(3600),
            ..Self::python()
        }
    }

    /// Returns an API whose cold start takes 10 s, and another 15 to 20 s for the download of a 220 MB model.
    pub fn model_download() -> Self {
        Self {
            memory_mb: 1024,
            init: Span::between(Duration::from_secs(25), Duration::from_secs(30)),
            duration: Span::millis(200),
            ..Self::python()
        }
    }

    /// Returns model serving, as measured in load tests: cold about 8 s, warm about 1 s, still warm after 14 minutes
    /// but not after 30.
    pub fn model_serving() -> Self {
        Self {
            init: Span::between(Duration::from_millis(6000), Duration::from_millis(7000)),
            duration: Span::between(Duration::from_millis(900), Duration::from_millis(1100)),
            idle_life: Span::between(Duration::from_secs(15 * 60), Duration::from_secs(30 * 60)),
            ..Self::python()
        }
    }
}
