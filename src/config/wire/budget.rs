//! The keys of objectives, budgets and owners.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::config::node::{Node, Value};
use crate::config::reader::{FromNode, Reader};
use crate::config::values::{Coverage, MonthlyUsd, SloPeriod};
use crate::config::wire_struct::wire_struct;
use crate::domain::budget::OnExceed;

wire_struct! {
    /// An objective for coverage.
    struct SloKeys ["coverage"] {
        /// The share of the minutes of open windows that are to be warm, from 1% to below 100%, with at most four
        /// decimals.
        coverage: Coverage,
        /// The days over which it holds, up to `limits.keep_history`. Default: 28d.
        over: SloPeriod,
    }
}

/// An objective, or none.
#[derive(Debug)]
pub(in crate::config) enum SloSetting {
    /// No objective, whatever the defaults have.
    Off,
    /// The objective.
    Keys(SloKeys),
}

impl FromNode for SloSetting {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(_) => SloKeys::from_node(node, reader).map(Self::Keys),
            Value::Text(text) if text == "off" => Some(Self::Off),
            _ => {
                let hint = "write `slo: { coverage: 99% }`, or `slo: off` for no objective";
                reader.expected(node, "a map", Some(hint.to_owned()))
            }
        }
    }
}

impl JsonSchema for SloSetting {
    fn schema_name() -> Cow<'static, str> {
        "SloSetting".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = generator.subschema_for::<SloKeys>();
        json_schema!({
            "description": "An objective for coverage, or `off` for none.",
            "anyOf": [keys, { "const": "off" }],
        })
    }
}

wire_struct! {
    /// A budget for a calendar month in UTC: the known cost of pings, provisioned concurrency and managed instances.
    struct BudgetKeys ["monthly_usd"] {
        /// US dollars in a month.
        monthly_usd: MonthlyUsd,
        /// The effect when it is used up: `warn` only; `reduce` lowers rounds so that the budget lasts until the end of
        /// the month; `stop` sends no ping any more, and ends capacity at its next closing. Default: `warn`.
        on_exceed: OnExceed,
        /// `true` ends capacity inside a window too. Needs `on_exceed: stop`. Default: false.
        stop_capacity: bool,
    }
}

wire_struct! {
    /// An owner of functions.
    struct OwnerKeys ["budget"] {
        /// The monthly budget of all functions of the owner.
        budget: BudgetKeys,
    }
}
