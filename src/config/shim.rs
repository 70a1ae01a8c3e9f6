//! Stands in for parsers of the domain that are on their way.

use crate::domain::protocol::{CustomPayload, Protocol};

pub(super) trait ParseProtocol: Sized {
    const NAMES: &'static [&'static str] = &[
        "warmd",
        "serverless-plugin-warmup",
        "lambda-warmer",
        "lambda-warmer-py",
        "opennext",
        "bref",
        "vapor",
        "thundra",
    ];
    fn parse(name: &str) -> Option<Self>;
}

impl ParseProtocol for Protocol {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "warmd" => Self::Warmd,
            "serverless-plugin-warmup" => Self::ServerlessPluginWarmup,
            "lambda-warmer" => Self::LambdaWarmer,
            "lambda-warmer-py" => Self::LambdaWarmerPy,
            "opennext" => Self::OpenNext,
            "bref" => Self::Bref,
            "vapor" => Self::Vapor,
            "thundra" => Self::Thundra,
            _ => return None,
        })
    }
}

pub(super) trait ParsePayload: Sized {
    fn parse(value: serde_json::Value) -> Result<Self, String>;
}

impl ParsePayload for CustomPayload {
    fn parse(value: serde_json::Value) -> Result<Self, String> {
        Ok(Self(value))
    }
}
