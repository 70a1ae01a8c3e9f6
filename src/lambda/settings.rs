//! The settings in the environment variables of the Lambda.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{self, Regions};
use crate::domain::function::Region;
use crate::service::CustomPayload;

/// The default of `WARMD_MAX_TICK_AGE`.
const MAX_TICK_AGE: Duration = Duration::from_secs(120);

/// The settings of the Lambda.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `WARMD_CONFIGS`: the configuration.
    pub configs: PathBuf,
    /// `WARMD_STATE`: the state store; none means the memory of the environment.
    pub state: Option<String>,
    /// `WARMD_REGIONS`: the regions that are served.
    pub regions: Regions,
    /// `WARMD_TICK`: the minutes between two firings of the schedule.
    pub tick_minutes: i64,
    /// `WARMD_MAX_TICK_AGE`: events of the schedule or the bus that are older send nothing; none means any age.
    pub max_tick_age: Option<Duration>,
    /// `WARMD_ALLOW_CUSTOM_PAYLOAD`: the treatment of targets with a payload of the configuration.
    pub custom_payload: CustomPayload,
    /// `WARMD_BUS`: the bus for shards and results; none means no bus.
    pub bus: Option<String>,
}

impl Settings {
    /// Reads the settings. An empty variable counts as unset.
    ///
    /// # Errors
    /// Every mistake with the name of its variable.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let mut mistakes = Vec::new();
        let mut read = |name: &str, parse: &dyn Fn(&str) -> Result<Duration, String>| {
            let parsed = parse(given(name)?.trim());
            parsed.map_err(|mistake| mistakes.push(format!("{name}: {mistake}"))).ok()
        };
        let tick = read("WARMD_TICK", &|text| {
            let period = config::duration(text)?;
            let whole =
                period.as_secs() >= 60 && period.as_secs().is_multiple_of(60) && period.subsec_nanos() == 0;
            if whole { Ok(period) } else { Err("expected whole minutes, such as 1m".to_owned()) }
        });
        let age = read("WARMD_MAX_TICK_AGE", &|text| match text {
            "0" => Ok(Duration::ZERO),
            text => config::duration(text).map_err(|mistake| format!("{mistake}, or 0 for any age")),
        });
        let custom_payload = match given("WARMD_ALLOW_CUSTOM_PAYLOAD").as_deref() {
            None | Some("false") => CustomPayload::Refused,
            Some("true") => CustomPayload::Allowed,
            Some(other) => {
                mistakes
                    .push(format!("WARMD_ALLOW_CUSTOM_PAYLOAD: expected true or false, found \"{other}\""));
                CustomPayload::Refused
            }
        };
        // The Lambda's own region by default: otherwise regional stacks with one configuration would each ping every
        // target.
        let regions = match (given("WARMD_REGIONS"), given("AWS_REGION")) {
            (Some(regions), _) => config::regions(&regions),
            (None, Some(own)) => Region::parse(&own)
                .map(|own| Regions::Only(vec![own]))
                .map_err(|error| format!("{error}; it is the value of AWS_REGION")),
            (None, None) => Ok(Regions::All),
        };
        let regions = regions.map_err(|mistake| mistakes.push(format!("WARMD_REGIONS: {mistake}")));
        match regions {
            Ok(regions) if mistakes.is_empty() => Ok(Self {
                configs: given("WARMD_CONFIGS").unwrap_or_else(|| "warm-configs".to_owned()).into(),
                state: given("WARMD_STATE"),
                regions,
                tick_minutes: tick.map_or(1, |tick| i64::try_from(tick.as_secs() / 60).unwrap_or(i64::MAX)),
                max_tick_age: Some(age.unwrap_or(MAX_TICK_AGE)).filter(|age| !age.is_zero()),
                custom_payload,
                bus: given("WARMD_BUS"),
            }),
            _ => Err(mistakes.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_default_is_the_own_region_every_minute() {
        let settings = read(&[("AWS_REGION", "eu-west-2"), ("WARMD_STATE", "")]).unwrap();
        let own = Region::parse("eu-west-2").unwrap();
        assert_eq!(
            settings,
            Settings {
                configs: "warm-configs".into(),
                state: None,
                regions: Regions::Only(vec![own]),
                tick_minutes: 1,
                max_tick_age: Some(Duration::from_secs(120)),
                custom_payload: CustomPayload::Refused,
                bus: None,
            }
        );
    }

    #[test]
    fn every_setting_is_read() {
        let settings = read(&[
            ("AWS_REGION", "eu-west-2"),
            ("WARMD_REGIONS", "all"),
            ("WARMD_TICK", "5m"),
            ("WARMD_MAX_TICK_AGE", "0"),
            ("WARMD_ALLOW_CUSTOM_PAYLOAD", "true"),
            ("WARMD_BUS", "default"),
        ]);
        let settings = settings.unwrap();
        assert_eq!((settings.regions, settings.tick_minutes, settings.max_tick_age), (Regions::All, 5, None));
        assert_eq!(settings.custom_payload, CustomPayload::Allowed);
    }

    #[test]
    fn mistakes_are_reported_together() {
        let wrong = read(&[
            ("WARMD_TICK", "90s"),
            ("WARMD_MAX_TICK_AGE", "old"),
            ("WARMD_ALLOW_CUSTOM_PAYLOAD", "yes"),
            ("WARMD_REGIONS", "london"),
        ]);
        insta::assert_snapshot!(wrong.unwrap_err().replace("; WARMD", "\nWARMD"), @r#"
        WARMD_TICK: expected whole minutes, such as 1m
        WARMD_MAX_TICK_AGE: expected a duration, found "old"; write a whole number and a unit, such as `75ms`, `90s`, `5m`, `2h` or `7d`, or 0 for any age
        WARMD_ALLOW_CUSTOM_PAYLOAD: expected true or false, found "yes"
        WARMD_REGIONS: unknown region "london"; write the code of an AWS region, such as `eu-west-2`
        "#);
    }
}
