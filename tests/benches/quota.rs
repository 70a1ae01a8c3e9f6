//! A CPU quota for child processes.

use std::path::{Path, PathBuf};

/// The CPU share of a Lambda function with 256 MB, in periods of 20 ms. A core corresponds to 1,769 MB.
const PERIOD_US: u32 = 20_000;
const QUOTA_US: u32 = PERIOD_US * 256 / 1_769;

/// A cgroup with the CPU share of 256 MB. It is removed when dropped.
pub struct Quota(PathBuf);

impl Quota {
    /// Creates the cgroup; none where the machine does not allow it.
    pub fn new() -> Option<Self> {
        let name = format!("warmd-bench-{}", std::process::id());
        let unified = Path::new("/sys/fs/cgroup").join(&name);
        let legacy = Path::new("/sys/fs/cgroup/cpu").join(&name);
        let v2 = |cgroup: &Path| std::fs::write(cgroup.join("cpu.max"), format!("{QUOTA_US} {PERIOD_US}"));
        let v1 = |cgroup: &Path| {
            std::fs::write(cgroup.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
            std::fs::write(cgroup.join("cpu.cfs_quota_us"), QUOTA_US.to_string())
        };
        let is_v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let cgroup = if is_v2 { unified } else { legacy };
        std::fs::create_dir(&cgroup).ok()?;
        let quota = Self(cgroup);
        let limited = if is_v2 { v2(&quota.0) } else { v1(&quota.0) };
        limited.ok().map(|()| quota)
    }

    /// Returns the folder of the cgroup.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}
