//! Responds to warmd's pings and passes every other event to your handler. Requires `serde_json` and `tokio` (feature
//! `time`), which are dependencies of `lambda_runtime`.
//!
//! ```ignore
//! async fn handler(event: LambdaEvent<serde_json::Value>) -> Result<serde_json::Value, Error> {
//!     if let Some(answer) = warmd_handler::answer(&event.payload).await {
//!         return Ok(answer);
//!     }
//!     // your code
//! }
//! ```

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

/// Set on the first invocation, because environments that are restored from one snapshot share everything that is set
/// before.
static ENVIRONMENT: OnceLock<String> = OnceLock::new();

/// The upper limit of a hold: callers cannot keep the function busy for longer.
const LONGEST_HOLD_MS: f64 = 10_000.0;

/// Returns the response to a ping after its hold, or `None` for other events. Call it first, on every invocation.
pub async fn answer(event: &Value) -> Option<Value> {
    // The standard library seeds its hash maps at random. Two of them provide 128 random bits.
    let random = || RandomState::new().build_hasher().finish();
    let environment = ENVIRONMENT.get_or_init(|| format!("{:016x}{:016x}", random(), random()));

    let ping = event.get("warmd")?;
    if ping.get("version")?.as_u64() != Some(1) {
        return None;
    }
    let hold_ms = ping.get("hold_ms")?.as_f64().filter(|ms| (0.0..=900_000.0).contains(ms))?;
    // Keeps this environment busy, so that the next ping reaches another one.
    tokio::time::sleep(Duration::from_secs_f64(hold_ms.min(LONGEST_HOLD_MS) / 1000.0)).await;
    let initialization = std::env::var("AWS_LAMBDA_INITIALIZATION_TYPE").ok();
    Some(json!({"warmd": {"environment": environment, "initialization": initialization}}))
}
