//! Loads the configuration that the arguments of a command name.

use std::path::PathBuf;

use super::app::App;
use super::error::Failure;
use super::options::{Configs, Only, Prices};
use crate::config::{Loaded, Problems};
use crate::domain::fleet::Fleet;
use crate::domain::s3_uri::S3Uri;
use crate::service::config_source::ConfigSource;

/// Creates the source of a configuration. Connects to AWS if a path is in S3.
pub async fn source(paths: Vec<PathBuf>, only: &Only) -> ConfigSource {
    let app = match paths.iter().any(|path| S3Uri::of_path(path).is_some()) {
        true => Some(App::aws().await),
        false => None,
    };
    let connect = |uri: &S3Uri| app.ok_or_else(|| "not connected".to_owned())?.bucket(uri);
    ConfigSource::new(paths, only.regions.clone(), connect)
}

/// Loads a configuration with the prices of the user.
///
/// # Errors
/// Every problem in every file.
pub async fn load_priced(configs: &Configs, only: &Only, prices: &Prices) -> Result<Loaded, Problems> {
    source(configs.paths(), only).await.with_prices(prices.prices.clone()).load().await
}

/// Loads the fleet of a configuration.
///
/// # Errors
/// Every problem in every file.
pub async fn load(configs: &Configs, only: &Only) -> Result<Fleet, Failure> {
    Ok(source(configs.paths(), only).await.load().await?.fleet)
}
