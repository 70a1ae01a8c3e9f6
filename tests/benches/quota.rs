//! A part of a core, for processes that are put into it.

use std::path::{Path, PathBuf};

/// The CPU that Lambda gives 256 MB: a core has 1,769 MB. In periods of 20 ms.
const PERIOD_US: u32 = 20_000;
const QUOTA_US: u32 = PERIOD_US * 256 / 1_769;

/// A cgroup with the CPU that Lambda gives 256 MB; removed when dropped.
pub struct Quota(PathBuf);

impl Quota {
    /// The cgroup; none where the machine does not allow it.
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

    /// The cgroup's folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}
