//! The strategies.

use std::fmt;

/// Means that keep a target warm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Pings.
    #[default]
    Pings,
    /// Provisioned concurrency.
    Provisioned(Provisioned),
    /// The environments of managed instances.
    Managed(Managed),
}

impl Strategy {
    /// Returns the name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pings => "pings",
            Self::Provisioned(_) => "provisioned",
            Self::Managed(_) => "managed",
        }
    }

    /// Returns true if capacity is changed: any strategy but pings.
    pub fn is_capacity(self) -> bool {
        self != Self::Pings
    }

    /// Returns true if pings are ever sent.
    pub fn may_ping(self) -> bool {
        match self {
            Self::Pings => true,
            Self::Provisioned(provisioned) => provisioned.fallback == Fallback::Pings,
            Self::Managed(_) => false,
        }
    }

    /// Returns the way in which provisioned concurrency is changed.
    pub fn by(self) -> Option<By> {
        match self {
            Self::Provisioned(provisioned) => Some(provisioned.by),
            Self::Pings | Self::Managed(_) => None,
        }
    }
}

impl fmt::Display for Strategy {
    /// Formats the strategy with its settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Pings => Ok(()),
            Self::Provisioned(Provisioned { by, fallback }) => {
                write!(f, " by {}", by.name())?;
                if let By::Autoscaling { max, utilization } = by {
                    write!(f, " up to {max} at {utilization}%")?;
                }
                match fallback {
                    Fallback::Pings => f.write_str(", otherwise pings"),
                    Fallback::None => Ok(()),
                }
            }
            Self::Managed(Managed { floor, max }) => write!(f, " from {floor} up to {max}"),
        }
    }
}

/// The settings of provisioned concurrency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provisioned {
    /// The way in which it is changed.
    pub by: By,
    /// The means that replace it while it is not available.
    pub fallback: Fallback,
}

/// The way in which provisioned concurrency is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// PutProvisionedConcurrencyConfig and DeleteProvisionedConcurrencyConfig at each change.
    Direct,
    /// A scalable target of Application Auto Scaling with target tracking and scheduled actions.
    Autoscaling {
        /// The maximum number of environments while a window is open, at least its number.
        max: u32,
        /// The utilization that target tracking keeps, in percent, 10 to 90.
        utilization: u32,
    },
}

impl By {
    /// Returns the name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Autoscaling { .. } => "autoscaling",
        }
    }
}

/// Means that replace provisioned concurrency while it is not available.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fallback {
    /// Pings for the number of the window.
    #[default]
    Pings,
    /// Nothing.
    None,
}

/// The settings of managed instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Managed {
    /// The minimum number of environments outside of windows, 0 to 15,000. With 0 the maximum is 0 as well, which
    /// deactivates the version.
    pub floor: u32,
    /// The maximum number of environments, at least the number of every window.
    pub max: u32,
}

/// The owner of capacity in the tags and names of what warmd creates: 1 to 64 ASCII letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(String);

impl Owner {
    /// The key of the tag.
    pub const TAG: &str = "warmd:owner";

    /// Parses a name; `None` if it is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        let is_valid = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        ((1..=64).contains(&text.len()) && text.chars().all(is_valid)).then(|| Self(text.to_owned()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if a policy or a scheduled action has a name of the owner.
    pub(super) fn has_made(&self, name: &str) -> bool {
        name == self.policy() || name.starts_with(&self.action_prefix())
    }

    /// Returns the name of the scaling policy.
    pub fn policy(&self) -> String {
        format!("warmd-{}-utilization", self.0)
    }

    /// Returns the beginning of the names of scheduled actions.
    pub fn action_prefix(&self) -> String {
        format!("warmd-{}-", self.0)
    }
}

impl Default for Owner {
    fn default() -> Self {
        Self("warmd".to_owned())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
