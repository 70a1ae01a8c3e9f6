//! The REPORT line of Lambda's log tail, every variant.

/// What a REPORT line (or a `platform.report` record) says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// The request's id.
    pub request_id: Option<String>,
    /// How long the handler ran, ms. Init is not in it.
    pub duration_ms: f64,
    /// Billed duration, ms.
    pub billed_ms: u64,
    /// Memory size, MB.
    pub memory_mb: Option<u32>,
    /// Most memory used, MB.
    pub max_memory_used_mb: Option<u32>,
    /// Init duration, ms: a cold start.
    pub init_ms: Option<f64>,
    /// Restore duration, ms: a SnapStart restore.
    pub restore_ms: Option<f64>,
    /// Billed restore duration, ms.
    pub billed_restore_ms: Option<u64>,
    /// `timeout`, `error`, … when the invocation did not succeed.
    pub status: Option<String>,
    /// Such as `Runtime.ExitError`.
    pub error_type: Option<String>,
}
