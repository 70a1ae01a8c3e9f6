//! The CloudWatch dashboard. `warmd dashboard --print` prints its body, `template.yaml` contains a copy.
//!
//! Fleet totals are metrics. Figures per function are queries over the tick lines in the log (see
//! [`tick_line`]): a custom metric per function and kind often costs more than the warming.

use serde_json::{Map, Value, json};

use crate::domain::metrics::Metric;
use crate::domain::tick_line;

/// The width of a dashboard in grid units. Source: CloudWatch, dashboard body structure.
const WIDTH: u32 = 24;
/// The period of the graphs in seconds: the default interval between two rounds.
const PERIOD: u32 = 300;
/// Seconds in a day. Data points of this period start at midnight UTC, so each belongs to one month.
const DAY: u32 = 86_400;
/// Bytes in a GiB, which AWS bills as a GB.
const GIB: u64 = 1 << 30;

/// Returns the body for the metrics in `namespace` and the Lambda's log group, both in `region`.
pub fn body(namespace: &str, log_group: &str, region: &str) -> Value {
    let on = Source { namespace, log_group, region };
    let rows: [(u32, Vec<Value>); 6] = [
        (4, vec![on.month_to_date()]),
        (6, vec![on.desired_and_reached(), on.problems()]),
        (6, vec![on.cold_starts(), on.egress(), on.cost()]),
        (6, vec![on.capacity()]),
        (8, vec![on.top_ten()]),
        (8, vec![on.short_rounds(), on.ticks()]),
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

/// The location of the data.
struct Source<'a> {
    namespace: &'a str,
    log_group: &'a str,
    region: &'a str,
}

impl Source<'_> {
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
        let metrics = vec![
            hidden(Metric::WarmingCost, "cost"),
            hidden(Metric::S3EgressCost, "egress"),
            hidden(Metric::S3EgressBytes, "bytes"),
            hidden(Metric::Pings, "pings"),
            sum("cost", "cost", "Warming cost (USD)"),
            sum("egress", "egress", "including S3 egress (USD)"),
            sum("bytes", &format!("bytes / {GIB}"), "S3 egress (GiB)"),
            sum("pings", "pings", "Pings"),
        ];
        let more = json!({ "start": "-P31D", "period": DAY, "view": "singleValue" });
        self.graph("Month to date (UTC)", metrics, more)
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
        body("warmd", "/aws/lambda/warmd", "eu-west-2")["widgets"].as_array().unwrap().clone()
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
                    let words = expression.split(|c: char| !c.is_alphanumeric());
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
        ");
    }
}
