//! The CloudWatch dashboard. `warmd dashboard --print` prints its body, `template.yaml` contains a copy.
//!
//! Fleet totals are metrics. Figures per function are queries over the tick lines in the log (see
//! [`tick_line`]): a custom metric per function and kind often costs more than the warming.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::domain::alarm::objective_text;
use crate::domain::coverage::Slo;
use crate::domain::metric_data::DIMENSIONS;
use crate::domain::metrics::Metric;
use crate::domain::tick_line;

/// The width of a dashboard in grid units. Source: CloudWatch, dashboard body structure.
const WIDTH: u32 = 24;
/// The period of the graphs in seconds: the default interval between two rounds.
const PERIOD: u32 = 300;
/// The period of coverage in seconds: the minutes of a round are known at the next one.
const COVERAGE_PERIOD: u32 = 3_600;
/// Seconds in a day. Data points of this period start at midnight UTC, so each belongs to one month.
const DAY: u32 = 86_400;
/// Bytes in a GiB, which AWS bills as a GB.
const GIB: u64 = 1 << 30;

/// The sentence by which a dashboard of warmd is recognised. It is text that people see: CloudWatch does not document what
/// happens to keys that it does not know.
pub const MARKER: &str = "Made by `warmd dashboard`.";
/// The functions whose invocations are shown, those with the most.
const MOST_FUNCTIONS: u32 = 10;
/// The longest name in characters.
const LONGEST_NAME: usize = 255;

/// Returns true for the name of a dashboard: 1 to 255 letters, digits, `-` and `_`. Source: CloudWatch API reference,
/// PutDashboard.
pub fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_plain)
}

/// Returns true if a body contains the text widget of warmd.
pub fn is_ours(body: &Value) -> bool {
    let widgets = body["widgets"].as_array().into_iter().flatten();
    let mut texts = widgets.filter_map(|widget| widget["properties"]["markdown"].as_str());
    texts.any(|text| text.contains(MARKER))
}

/// The place of the data, and what the dashboard compares them with.
#[derive(Debug, Clone, Copy)]
pub struct DashboardInput<'a> {
    /// The namespace of the metrics.
    pub namespace: &'a str,
    /// The Lambda's log group.
    pub log_group: &'a str,
    /// The region of both.
    pub region: &'a str,
    /// The objective for coverage.
    pub objective: Slo,
    /// The cost of observing, US dollars for each day; `None` when unknown.
    pub observing_per_day: Option<Decimal>,
}

/// Returns the body.
pub fn body(on: &DashboardInput<'_>) -> Value {
    let rows: [(u32, Vec<Value>); 9] = [
        (4, vec![on.month_to_date()]),
        (6, vec![on.coverage(), on.error_budget(), on.budgets()]),
        (6, vec![on.desired_and_reached(), on.problems()]),
        (6, vec![on.cold_starts(), on.egress(), on.cost()]),
        (6, vec![on.capacity(), on.own_invocations(), on.invocations()]),
        (6, vec![on.cost_by_route(), on.cost_by_owner()]),
        (8, vec![on.top_ten()]),
        (8, vec![on.short_rounds(), on.ticks()]),
        (3, vec![on.notes()]),
    ];
    let mut widgets = Vec::new();
    let mut y = 0;
    for (height, row) in rows {
        let width = WIDTH / u32::try_from(row.len().max(1)).unwrap_or(1);
        for (mut widget, x) in row.into_iter().zip((0..).step_by(width as usize)) {
            for (key, value) in [("x", x), ("y", y), ("width", width), ("height", height)] {
                widget[key] = json!(value);
            }
            widgets.push(widget);
        }
        y += height;
    }
    // `inherit` keeps the period of each graph at every time range. Sums over other periods are not comparable.
    json!({ "start": "-PT12H", "periodOverride": "inherit", "widgets": widgets })
}

impl DashboardInput<'_> {
    /// Returns costs, bytes and pings since the beginning of the month (UTC).
    ///
    /// A dashboard has no such time range, so the expressions add up those of the last 31 days that are in the month of
    /// the latest data point.
    fn month_to_date(&self) -> Value {
        let sum = |id: &str, of: &str, label: &str| {
            let month = format!("YEAR({id}) * 12 + MONTH({id})");
            let this_month = format!("IF({month} == MAX({month}), {of}, 0)");
            expression(&format!("RUNNING_SUM({this_month})"), label)
        };
        let hidden = |metric, id: &str| self.metric(metric, json!({ "id": id, "visible": false }));
        let mut metrics = vec![
            hidden(Metric::WarmingCost, "cost"),
            hidden(Metric::S3EgressCost, "egress"),
            hidden(Metric::S3EgressBytes, "bytes"),
            hidden(Metric::Pings, "pings"),
            sum("cost", "cost", "Warming cost (USD)"),
            sum("egress", "egress", "including S3 egress (USD)"),
            sum("bytes", &format!("bytes / {GIB}"), "S3 egress (GiB)"),
            sum("pings", "pings", "Pings"),
        ];
        if let Some(usd) = self.observing_per_day {
            metrics.push(sum("pings", &format!("{usd}"), "Observing (USD, at least)"));
        }
        let more = json!({ "start": "-P31D", "period": DAY, "view": "singleValue" });
        self.graph("Month to date (UTC)", metrics, more)
    }

    /// Returns the share of the window minutes that were warm, with the objective as a line.
    fn coverage(&self) -> Value {
        let objective = objective_text(&self.objective);
        let hidden = |metric, id: &str| self.metric(metric, json!({ "id": id, "visible": false }));
        let metrics = vec![
            hidden(Metric::WindowMinutes, "window"),
            hidden(Metric::WarmMinutes, "warm"),
            expression("100 * FILL(warm, 0) / window", "Coverage (%)"),
            self.metric(
                Metric::UnknownMinutes,
                json!({ "label": "Unknown minutes (right)", "yAxis": "right" }),
            ),
        ];
        // The text of a number.
        let value: Value = serde_json::from_str(&objective).unwrap_or_default();
        let more = json!({
            "period": COVERAGE_PERIOD,
            "view": "timeSeries",
            "yAxis": { "left": { "min": 0, "max": 100 }, "right": { "min": 0 } },
            "annotations": { "horizontal": [{ "label": "Objective", "value": value }] },
        });
        self.graph("Coverage: warm of the window minutes (%)", metrics, more)
    }

    /// Returns the share of the error budget that is left.
    fn error_budget(&self) -> Value {
        let days = self.objective.over_days;
        let hidden = |metric, id: &str| self.metric(metric, json!({ "id": id, "visible": false }));
        let allowed = format!("(100 - {})", objective_text(&self.objective));
        let left = format!(
            "TIME_SERIES(100 - 10000 * (SUM(window) - SUM(FILL(warm, 0))) / SUM(window) / {allowed})"
        );
        let metrics = vec![
            hidden(Metric::WindowMinutes, "window"),
            hidden(Metric::WarmMinutes, "warm"),
            expression(&left, "Left (%)"),
        ];
        let more = json!({ "start": format!("-P{days}D"), "period": DAY, "view": "singleValue", "sparkline": false });
        self.graph(&format!("Error budget of coverage left over {days} days (%)"), metrics, more)
    }

    fn budgets(&self) -> Value {
        let reached = json!({ "label": "80 % or 100 % reached" });
        self.sums("Monthly budgets", [self.metric(Metric::BudgetExceeded, reached)])
    }

    /// Returns the invocations by others than warmd: all invocations of this region without pings. A throttled ping is no
    /// invocation. Pings of other regions can make the difference negative, so its axis has no minimum.
    fn own_invocations(&self) -> Value {
        let all = format!("SUM({})", search("AWS/Lambda,FunctionName", "Invocations"));
        let metrics = vec![
            self.metric(Metric::Pings, json!({ "id": "pings" })),
            self.metric(Metric::Throttles, json!({ "id": "throttles", "visible": false })),
            expression(
                &format!("{all} - (FILL(pings, 0) - FILL(throttles, 0))"),
                "Invocations without pings",
            ),
        ];
        let more = json!({ "period": PERIOD, "view": "timeSeries" });
        self.graph("Users' own invocations in the region (without the pings of all regions)", metrics, more)
    }

    /// Returns invocations and pings by function. Pings are there with the metrics of functions only.
    fn invocations(&self) -> Value {
        let most = |search: String| format!("SLICE(SORT({search}, SUM, DESC), 0, {MOST_FUNCTIONS})");
        let invocations = search("AWS/Lambda,FunctionName", "Invocations");
        let pings = format!("{},{}", self.namespace, DIMENSIONS.join(","));
        let metrics = [
            expression(&most(invocations), "Invocations"),
            expression(&most(search(&pings, Metric::Pings.name())), "Pings"),
        ];
        self.sums("Invocations and pings by function (detail: function)", metrics)
    }

    /// Returns the cost of downloads by route. A round with several routes counts for all of them together, the first
    /// two of which are shown.
    fn cost_by_route(&self) -> Value {
        self.log(
            "Cost of S3 egress by route",
            "table",
            &[
                "fields jsonStringify(item.routes) as routes, item.s3_egress_bytes as bytes, \
                 toDouble(item.cost_usd.s3_egress) as egress",
                r#"parse routes /"(?<route>[a-z-]+)":\d+(,"(?<and_route>[a-z-]+)":)?/"#,
                "filter ispresent(route)",
                &format!("stats sum(egress) as s3_egress_usd, sum(bytes) / {GIB} as s3_egress_gib by route, and_route"),
                "sort s3_egress_usd desc",
            ],
        )
    }

    fn cost_by_owner(&self) -> Value {
        self.log(
            "Cost by owner",
            "table",
            &[
                "fields item.owner as owner, item.pings as sent, toDouble(item.cost_usd.total) as total, \
                 toDouble(item.cost_usd.s3_egress) as egress",
                "stats sum(total) as cost_usd, sum(egress) as s3_egress_usd, sum(sent) as pings by owner",
                "sort cost_usd desc",
                "limit 20",
            ],
        )
    }

    /// Returns the text with [`MARKER`].
    fn notes(&self) -> Value {
        let markdown = format!(
            "{MARKER} `warmd dashboard --put` replaces it, with the changes that others made. Cost of warming: requests, \
             compute and S3 of pings. Cost of observing: metrics, dashboards, alarms, reads of metrics, and the log, of a \
             fleet without rounds and capacity, at the list prices of us-east-1; `warmd plan` has the estimate for a \
             configuration. Users' own invocations are those of all functions of this region, less the pings of \
             all regions that were not throttled: exact for a warmer of one region."
        );
        widget("text", json!({ "markdown": markdown }))
    }

    fn desired_and_reached(&self) -> Value {
        self.log(
            "Desired and reached (proven) environments per five minutes",
            "timeSeries",
            &[
                "fields item.verdict as verdict, item.target as wanted, item.reached as proven",
                "filter verdict != \"skipped\"",
                "stats sum(wanted) as desired, sum(proven) as reached by bin(5m)",
            ],
        )
    }

    fn problems(&self) -> Value {
        let counts = [
            Metric::RoundsShort,
            Metric::RoundsUnsafe,
            Metric::RoundsUnfinished,
            Metric::Errors,
            Metric::Throttles,
            Metric::PipelinesCold,
            Metric::TicksStale,
            Metric::EventsRefused,
            Metric::StateUnavailable,
            Metric::MetricsDropped,
        ];
        let stale = json!({ "stat": "Maximum", "label": "Configuration stale (s, right)", "yAxis": "right" });
        let mut metrics = counts.map(|metric| self.metric(metric, json!({}))).to_vec();
        metrics.push(self.metric(Metric::ConfigAge, stale));
        self.sums("Problems; age of a stale configuration (s, right)", metrics)
    }

    fn cold_starts(&self) -> Value {
        let of_kind = |metric, label: &str| self.metric(metric, json!({ "label": label }));
        let metrics = [
            of_kind(Metric::ColdStarts, "Cold starts"),
            of_kind(Metric::SemiColdStarts, "of these semi-cold"),
            of_kind(Metric::Restores, "of these restored"),
            of_kind(Metric::ProactiveInits, "Initialised ahead"),
            self.metric(Metric::Pings, json!({ "yAxis": "right" })),
        ];
        self.sums("Cold starts by kind; pings (right)", metrics)
    }

    fn egress(&self) -> Value {
        let metrics = [
            self.metric(Metric::S3EgressBytes, json!({ "id": "bytes", "visible": false })),
            expression(&format!("bytes / {GIB}"), "S3 egress (GiB)"),
            self.metric(Metric::S3EgressCost, json!({ "label": "S3 egress (USD)", "yAxis": "right" })),
        ];
        self.sums("S3 egress (GiB); its cost (USD, right)", metrics)
    }

    fn cost(&self) -> Value {
        let metrics = [
            self.metric(Metric::WarmingCost, json!({ "label": "Warming cost (USD)" })),
            self.metric(Metric::CostUnknown, json!({ "label": "Rounds of unknown cost", "yAxis": "right" })),
        ];
        self.sums("Warming cost (USD)", metrics)
    }

    /// Returns the numbers of the capacity that there is in addition to pings. Without capacity it has no data.
    fn capacity(&self) -> Value {
        let number = |metric, label: &str| self.metric(metric, json!({ "stat": "Maximum", "label": label }));
        let metrics = [
            number(Metric::CapacityDesired, "Desired"),
            number(Metric::CapacityAvailable, "Available"),
            self.metric(Metric::CapacityCost, json!({ "label": "Cost (USD)", "yAxis": "right" })),
        ];
        self.sums("Capacity (provisioned, managed): environments; its cost (USD, right)", metrics)
    }

    fn top_ten(&self) -> Value {
        self.log(
            "Top ten by cost",
            "table",
            &[
                "fields item.function as function, item.qualifier as qualifier, item.region as region, \
                 item.owner as owner, item.pings as sent, item.cold as cold, item.restored as restored, \
                 item.preinitialized as ahead, item.s3_egress_bytes as bytes, \
                 toDouble(item.cost_usd.total) as total, toDouble(item.cost_usd.s3_egress) as egress",
                &format!(
                    "stats sum(total) as cost_usd, sum(egress) as s3_egress_usd, sum(bytes) / {GIB} as s3_egress_gib, \
                     sum(sent) as pings, sum(cold) as cold_starts, sum(restored) as restores, sum(ahead) as proactive_inits \
                     by function, qualifier, region, owner"
                ),
                "sort cost_usd desc",
                "limit 10",
            ],
        )
    }

    fn short_rounds(&self) -> Value {
        self.log(
            "Rounds that were short or unproven",
            "table",
            &[
                "fields item.function as function, item.qualifier as qualifier, item.region as region, \
                 item.verdict as verdict, item.target as wanted, item.reached as proven",
                "filter verdict in [\"short\", \"unproven\"]",
                "stats count(*) as rounds, max(wanted) as desired, min(proven) as least_reached \
                 by function, qualifier, region, verdict",
                "sort rounds desc",
                "limit 20",
            ],
        )
    }

    fn ticks(&self) -> Value {
        let duration =
            |stat, label: &str| self.metric(Metric::TickDuration, json!({ "stat": stat, "label": label }));
        let metrics = [
            duration("p50", "Tick duration, median (ms)"),
            duration("Maximum", "Tick duration, longest (ms)"),
            self.metric(
                Metric::TickDuration,
                json!({ "stat": "SampleCount", "label": "Ticks", "yAxis": "right" }),
            ),
        ];
        self.sums("Ticks", metrics)
    }

    /// Returns a metric of a graph with rendering properties.
    fn metric(&self, metric: Metric, rendering: Value) -> Value {
        match rendering.as_object().is_some_and(Map::is_empty) {
            true => json!([self.namespace, metric.name()]),
            false => json!([self.namespace, metric.name(), rendering]),
        }
    }

    /// Returns a graph of sums over [`PERIOD`].
    fn sums(&self, title: &str, metrics: impl Into<Vec<Value>>) -> Value {
        let more = json!({ "period": PERIOD, "view": "timeSeries", "yAxis": { "left": { "min": 0 } } });
        self.graph(title, metrics.into(), more)
    }

    fn graph(&self, title: &str, metrics: Vec<Value>, more: Value) -> Value {
        let mut properties =
            json!({ "title": title, "region": self.region, "stat": "Sum", "metrics": metrics });
        if let Value::Object(more) = more {
            more.into_iter().for_each(|(key, value)| properties[key] = value);
        }
        widget("metric", properties)
    }

    /// Returns a query over the rounds in the tick lines. Each round is an `item`.
    fn log(&self, title: &str, view: &str, commands: &[&str]) -> Value {
        let (message, key) = (tick_line::MESSAGE, tick_line::KEY);
        let rounds = [
            format!("filter message = \"{message}\""),
            "fields jsonParse(@message) as line".to_owned(),
            format!("unnest line.{key}.rounds into item"),
        ];
        let commands = rounds.iter().map(String::as_str).chain(commands.iter().copied());
        let query = commands
            .fold(format!("SOURCE '{}'", self.log_group), |query, command| format!("{query}\n| {command}"));
        widget("log", json!({ "title": title, "region": self.region, "view": view, "query": query }))
    }
}

/// Returns the search for the sums of a metric with all values of its dimensions. `schema` is the namespace, then the
/// dimensions.
fn search(schema: &str, name: &str) -> String {
    format!("SEARCH('{{{schema}}} MetricName=\"{name}\"', 'Sum', {PERIOD})")
}

fn expression(expression: &str, label: &str) -> Value {
    json!([{ "expression": expression, "label": label }])
}

/// Returns a widget. [`body`] sets its position and size.
fn widget(kind: &str, properties: Value) -> Value {
    json!({ "type": kind, "x": 0, "y": 0, "width": 0, "height": 0, "properties": properties })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::metrics::Scope;

    fn widgets() -> Vec<Value> {
        let input = DashboardInput {
            namespace: "warmd",
            log_group: "/aws/lambda/warmd",
            region: "eu-west-2",
            objective: Slo::DEFAULT,
            observing_per_day: Some(Decimal::new(25, 2)),
        };
        let body = body(&input);
        assert!(is_ours(&body) && !is_ours(&json!({ "widgets": [{ "type": "text" }] })));
        body["widgets"].as_array().unwrap().clone()
    }

    #[test]
    fn widgets_fill_the_width_without_overlap() {
        let mut taken = HashSet::new();
        for widget in widgets() {
            let of = |key: &str| widget[key].as_u64().unwrap();
            for x in of("x")..of("x") + of("width") {
                for y in of("y")..of("y") + of("height") {
                    assert!(x < u64::from(WIDTH) && taken.insert((x, y)), "{widget}");
                }
            }
        }
        let bottom = taken.iter().map(|(_, y)| y + 1).max().unwrap();
        assert_eq!(taken.len() as u64, u64::from(WIDTH) * bottom);
    }

    #[test]
    fn all_fleet_metrics_but_one_are_shown() {
        let sent: HashSet<&str> = Metric::ALL
            .iter()
            .filter(|metric| metric.scope() != Scope::Target)
            .map(|metric| metric.name())
            .collect();
        let mut shown = HashSet::new();
        for widget in widgets().iter().filter(|widget| widget["type"] == "metric") {
            let mut ids: HashSet<&str> = HashSet::new();
            for metric in widget["properties"]["metrics"].as_array().unwrap() {
                if let Some(name) = metric[1].as_str() {
                    assert_eq!(metric[0], "warmd");
                    shown.insert(name.to_owned());
                    ids.extend(metric[2]["id"].as_str());
                } else {
                    let expression = metric[0]["expression"].as_str().unwrap();
                    // The text of a search is in apostrophes.
                    let plain: String = expression.split('\'').step_by(2).collect();
                    let words = plain.split(|c: char| !c.is_alphanumeric());
                    let used = words.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
                    used.for_each(|id| assert!(ids.contains(id), "{id} in {expression}"));
                }
            }
        }
        let shown: HashSet<&str> = shown.iter().map(String::as_str).collect();
        let left_out: Vec<&str> = sent.difference(&shown).copied().collect();
        assert_eq!(left_out, [Metric::Functions.name()]);
        assert_eq!(shown.difference(&sent).count(), 0);
    }

    #[test]
    fn own_invocations_are_those_that_no_ping_made() {
        let widgets = widgets();
        let of = |widget: &&Value| {
            widget["properties"]["title"].as_str().is_some_and(|title| title.starts_with("Users' own"))
        };
        let properties = &widgets.iter().find(of).unwrap()["properties"];
        assert_eq!(properties.get("yAxis"), None, "negative values are visible");
        insta::assert_snapshot!(properties["metrics"][2][0]["expression"].as_str().unwrap(), @r#"SUM(SEARCH('{AWS/Lambda,FunctionName} MetricName="Invocations"', 'Sum', 300)) - (FILL(pings, 0) - FILL(throttles, 0))"#);
    }

    #[test]
    fn the_query_of_the_top_ten() {
        let widgets = widgets();
        let top = widgets.iter().find(|widget| widget["properties"]["title"] == "Top ten by cost").unwrap();
        insta::assert_snapshot!(top["properties"]["query"].as_str().unwrap(), @r#"
        SOURCE '/aws/lambda/warmd'
        | filter message = "tick"
        | fields jsonParse(@message) as line
        | unnest line.tick.rounds into item
        | fields item.function as function, item.qualifier as qualifier, item.region as region, item.owner as owner, item.pings as sent, item.cold as cold, item.restored as restored, item.preinitialized as ahead, item.s3_egress_bytes as bytes, toDouble(item.cost_usd.total) as total, toDouble(item.cost_usd.s3_egress) as egress
        | stats sum(total) as cost_usd, sum(egress) as s3_egress_usd, sum(bytes) / 1073741824 as s3_egress_gib, sum(sent) as pings, sum(cold) as cold_starts, sum(restored) as restores, sum(ahead) as proactive_inits by function, qualifier, region, owner
        | sort cost_usd desc
        | limit 10
        "#);
    }

    #[test]
    fn the_month_to_date_adds_up_the_days_of_the_latest_month() {
        let widgets = widgets();
        let metrics = widgets[0]["properties"]["metrics"].as_array().unwrap();
        let expressions = metrics.iter().filter_map(|metric| metric[0]["expression"].as_str());
        insta::assert_snapshot!(expressions.collect::<Vec<_>>().join("\n"), @r"
        RUNNING_SUM(IF(YEAR(cost) * 12 + MONTH(cost) == MAX(YEAR(cost) * 12 + MONTH(cost)), cost, 0))
        RUNNING_SUM(IF(YEAR(egress) * 12 + MONTH(egress) == MAX(YEAR(egress) * 12 + MONTH(egress)), egress, 0))
        RUNNING_SUM(IF(YEAR(bytes) * 12 + MONTH(bytes) == MAX(YEAR(bytes) * 12 + MONTH(bytes)), bytes / 1073741824, 0))
        RUNNING_SUM(IF(YEAR(pings) * 12 + MONTH(pings) == MAX(YEAR(pings) * 12 + MONTH(pings)), pings, 0))
        RUNNING_SUM(IF(YEAR(pings) * 12 + MONTH(pings) == MAX(YEAR(pings) * 12 + MONTH(pings)), 0.25, 0))
        ");
    }
}
