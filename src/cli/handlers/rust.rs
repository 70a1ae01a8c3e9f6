//! Answers warmd's pings and leaves every other event to your handler. Needs `serde_json` and `tokio` (feature `time`),
//! which come with `lambda_runtime`.
//!
//! ```ignore
//! async fn handler(event: LambdaEvent<serde_json::Value>) -> Result<serde_json::Value, Error> {
//!     if let Some(answer) = warmd_handler::answer(&event.payload).await {
//!         return Ok(answer);
//!     }
//!     // yours
//! }
//! ```

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

/// Made on the environment's first invocation, not at start: environments that are restored from one snapshot would
/// share what is made before.
static ENVIRONMENT: OnceLock<String> = OnceLock::new();

/// Whoever may invoke the function must not keep it busy for longer.
const LONGEST_HOLD_MS: f64 = 10_000.0;

/// The answer to a ping, after its hold; `None` when the event is not a ping. Call it first, on every invocation.
pub async fn answer(event: &Value) -> Option<Value> {
    // The standard library seeds its hash maps at random: two of them make 128 random bits.
    let random = || RandomState::new().build_hasher().finish();
    let environment = ENVIRONMENT.get_or_init(|| format!("{:016x}{:016x}", random(), random()));

    let ping = event.get("warmd")?;
    if ping.get("version")?.as_u64() != Some(1) {
        return None;
    }
    let hold_ms = ping.get("hold_ms")?.as_f64().filter(|ms| (0.0..=900_000.0).contains(ms))?;
    // Keeps this environment busy, so that the next ping meets another.
    tokio::time::sleep(Duration::from_secs_f64(hold_ms.min(LONGEST_HOLD_MS) / 1000.0)).await;
    let initialization = std::env::var("AWS_LAMBDA_INITIALIZATION_TYPE").ok();
    Some(json!({"warmd": {"environment": environment, "initialization": initialization}}))
}
