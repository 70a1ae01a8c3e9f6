//! `warmd publish`: publishes a configuration in S3, or rolls it back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{SecondsFormat, TimeDelta};
use clap::Args;
use sha2::{Digest, Sha256};

use super::app::App;
use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::options::Only;
use super::output::{print, print_message};
use super::render::{self, Style};
use crate::domain::clean::clean;
use crate::domain::difference::difference;
use crate::domain::fleet::Fleet;
use crate::domain::plan::Period;
use crate::domain::s3_uri::S3Uri;
use crate::domain::schedule::Minute;
use crate::engine::ports::{Clock, Condition, Fetched, ObjectStore, PutError, Version};
use crate::service::clock::SystemClock;
use crate::service::manifest::{ConfigVersion, MANIFEST, Manifest, ManifestFile};
use crate::service::s3_config::{Text, load_version};

/// The time for which the difference is shown.
const COMPARED: TimeDelta = TimeDelta::days(7);

/// `warmd publish`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd publish warm-configs s3://my-warmd/configs
  warmd publish --rollback s3://my-warmd/configs

Validates the configuration, shows the difference to the live one over the next 7 days, uploads each
file under a name derived from its content, and then replaces one object, the manifest. A reader
sees the old or the new configuration, never a mixture. Of two concurrent calls, one is refused.
--rollback shows the difference, too.

The last ten configurations are kept for --rollback. A process that reads a broken configuration
keeps the last good one, and the metric ConfigAge counts the seconds. An instance of the Lambda
function that starts meanwhile takes the last good one from the manifest. Without a manifest (YAML
objects that were uploaded in another way) there is no earlier version, and the instance does not
start until they are corrected.")]
pub struct PublishArgs {
    /// Files or directories, then the destination s3://bucket/prefix.
    #[arg(value_name = "PATH… s3://BUCKET/PREFIX", required = true, num_args = 1..)]
    pub paths: Vec<String>,
    /// Restore the configuration that was live before.
    #[arg(long)]
    pub rollback: bool,
}

/// Publishes a configuration, or rolls it back.
///
/// # Errors
/// A configuration that is refused, a destination that cannot be written, or another version that was published at the
/// same time.
pub async fn publish(args: &PublishArgs, style: Style) -> Result<Exit, Failure> {
    let (last, paths) =
        args.paths.split_last().ok_or_else(|| Failure::Usage("no destination is given".to_owned()))?;
    let destination = match S3Uri::parse(last) {
        Some(destination) => destination.map_err(|wrong| Failure::Usage(format!("{last}: {wrong}")))?,
        None => {
            let message = format!("expected s3://bucket/prefix as the last argument, found \"{last}\"");
            return Err(Failure::Usage(message));
        }
    };
    match (args.rollback, paths) {
        (true, []) => rollback(&destination, style).await,
        (true, _) => Err(Failure::Usage("--rollback takes the destination only".to_owned())),
        (false, []) => Err(Failure::Usage("no files are given: use PATH… before the destination".to_owned())),
        (false, paths) => upload(paths, &destination, style).await,
    }
}

async fn upload(paths: &[String], destination: &S3Uri, style: Style) -> Result<Exit, Failure> {
    let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    let source = configuration::source(paths, &Only::default()).await;
    let loaded = source.load().await?;
    let files = files(source.texts(&loaded)?);
    let objects = objects(destination).await?;
    let objects = objects.as_ref();
    // Read first, so that the version that is compared is the one that is replaced.
    let live = live(objects).await?;
    show_difference(destination, live.is_some(), &loaded.fleet, style).await?;
    // Deleted objects of a version that is already live are restored.
    for (file, text) in &files {
        match objects.put(&file.key, text.clone().into_bytes(), Condition::New).await {
            // The object exists: its key contains the hash of its content.
            Ok(_) | Err(PutError::Conflict) => {}
            Err(PutError::Failed(error)) => return Err(Failure::Unexpected(error.to_string())),
        }
    }
    let version = ConfigVersion {
        config: loaded.fleet.hash.clone(),
        files: files.into_iter().map(|(file, _)| file).collect(),
        published: now(),
    };
    // The local files are valid; the uploaded objects must be, too.
    load_version(objects, destination, &version).await?;
    let mut before = live.as_ref().map(|(_, manifest)| manifest.history()).unwrap_or_default();
    if let Some((_, manifest)) = live.as_ref().filter(|(_, manifest)| manifest.live.config == version.config)
    {
        let is_valid = manifest.live.files == version.files
            || match load_version(objects, destination, &manifest.live).await {
                Ok(_) => true,
                Err(problems) if problems.unreached => return Err(problems.into()),
                // The same hash, but other objects: the live version is replaced, and no rollback leads to it.
                Err(_) => false,
            };
        if is_valid {
            print(&format!("{} is already live at {destination}\n", loaded.fleet.hash))?;
            return Ok(Exit::Success);
        }
        before.clone_from(&manifest.before);
    }
    let manifest = Manifest { live: version, before };
    switch(objects, &manifest, live.as_ref().map(|(version, _)| version)).await?;
    print(&format!("{} is live at {destination}\n", manifest.live.config))?;
    Ok(Exit::Success)
}

async fn rollback(destination: &S3Uri, style: Style) -> Result<Exit, Failure> {
    let objects = objects(destination).await?;
    let objects = objects.as_ref();
    let Some((replaced, manifest)) = live(objects).await? else {
        return Err(Failure::Usage(format!("nothing has been published at {destination}")));
    };
    let Some((previous, older)) = manifest.before.split_first() else {
        return Err(Failure::Usage(format!(
            "nothing was live at {destination} before {}",
            clean(&manifest.live.config)
        )));
    };
    let restored =
        Manifest { live: ConfigVersion { published: now(), ..previous.clone() }, before: older.to_vec() };
    let loaded = load_version(objects, destination, &restored.live).await?;
    show_difference(destination, true, &loaded.fleet, style).await?;
    switch(objects, &restored, Some(&replaced)).await?;
    let (now, before) = (clean(&restored.live.config), clean(&manifest.live.config));
    print(&format!("{now} is live at {destination} again, instead of {before}\n"))?;
    Ok(Exit::Success)
}

async fn objects(destination: &S3Uri) -> Result<Arc<dyn ObjectStore>, Failure> {
    App::aws().await.bucket(destination).map_err(Failure::Usage)
}

/// Reads the live manifest and its version; none when nothing has been published.
async fn live(objects: &dyn ObjectStore) -> Result<Option<(Version, Manifest)>, Failure> {
    match objects.get(MANIFEST, None).await.map_err(|error| Failure::Unexpected(error.to_string()))? {
        Fetched::Object { bytes, version } => {
            let manifest = serde_json::from_slice(&bytes).map_err(|error| {
                Failure::Usage(format!(
                    "the live manifest cannot be read: {error}\nhint: delete {MANIFEST}, or restore its earlier \
                     version"
                ))
            })?;
            Ok(Some((version, manifest)))
        }
        Fetched::Missing | Fetched::Unchanged => Ok(None),
    }
}

/// Writes the manifest, unless another publisher has replaced it.
async fn switch(
    objects: &dyn ObjectStore,
    manifest: &Manifest,
    replaces: Option<&Version>,
) -> Result<(), Failure> {
    let bytes =
        serde_json::to_vec_pretty(manifest).map_err(|error| Failure::Unexpected(error.to_string()))?;
    let condition = replaces.map_or(Condition::New, Condition::Replaces);
    objects.put(MANIFEST, bytes, condition).await.map(drop).map_err(|error| match error {
        PutError::Conflict => Failure::Usage(
            "another version was published in the meantime: nothing was changed\n\
             hint: compare with the live version, and try again"
                .to_owned(),
        ),
        PutError::Failed(error) => Failure::Unexpected(error.to_string()),
    })
}

/// Shows the difference to the live version.
async fn show_difference(
    destination: &S3Uri,
    published: bool,
    new: &Fleet,
    style: Style,
) -> Result<(), Failure> {
    let from = Minute::of(SystemClock.now());
    let period = Period { from, until: from.plus(COMPARED.num_minutes()) };
    match configuration::source(vec![destination.to_string().into()], &Only::default()).await.load().await {
        Ok(live) => print(&render::diff::table(&difference(&live.fleet, new, period), period, style))?,
        Err(problems) if published => {
            print_message(&problems.render_text(false));
            print_message("the live version is invalid: there is no difference to show");
        }
        Err(_) => print_message(&format!("nothing is published at {destination} yet")),
    }
    Ok(())
}

/// Returns the files of the configuration as they will be in the bucket, with their texts.
fn files(texts: Vec<Text>) -> Vec<(ManifestFile, String)> {
    let texts: BTreeMap<PathBuf, (bool, String)> =
        texts.into_iter().map(|Text { path, configuration, text }| (path, (configuration, text))).collect();
    let root = common(texts.keys().map(PathBuf::as_path));
    let files = texts.into_iter().map(|(path, (configuration, text))| {
        let inside = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned();
        let digest = Sha256::digest(text.as_bytes());
        let digest: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        (ManifestFile { path: inside, key: format!("objects/{digest}/{name}"), configuration }, text)
    });
    files.collect()
}

/// Returns the deepest directory that contains all the files.
fn common<'p>(mut paths: impl Iterator<Item = &'p Path>) -> PathBuf {
    let first = paths.next().and_then(Path::parent).unwrap_or(Path::new("/")).to_owned();
    paths.fold(first, |root, path| {
        let shared = root.ancestors().find(|folder| path.starts_with(folder));
        shared.map(Path::to_owned).unwrap_or_default()
    })
}

fn now() -> String {
    SystemClock.now().to_rfc3339_opts(SecondsFormat::Secs, true)
}
