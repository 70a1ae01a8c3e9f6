//! What a ping says, and what an answer tells: warmd's own protocol and the presets of other warmers.

/// How a target is pinged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// warmd's own: holds as asked, answers with the environment's id.
    Warmd,
    /// serverless-plugin-warmup.
    ServerlessPluginWarmup,
    /// lambda-warmer (npm).
    LambdaWarmer,
    /// lambda-warmer-py.
    LambdaWarmerPy,
    /// OpenNext and SST.
    OpenNext,
    /// Bref.
    Bref,
    /// Laravel Vapor.
    Vapor,
    /// Thundra.
    Thundra,
    /// Any JSON of the user's, with placeholders.
    Custom(CustomPayload),
}

/// A custom payload: JSON text with placeholders for index, concurrency, hold and round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomPayload(pub serde_json::Value);

/// What a payload may mention.
#[derive(Debug, Clone, Copy)]
pub struct PingContext<'a> {
    /// The round's id.
    pub round: &'a str,
    /// The ping's index, from 0.
    pub index: u32,
    /// How many pings the round has.
    pub concurrency: u32,
    /// How long to hold, in ms.
    pub hold_ms: u64,
}
