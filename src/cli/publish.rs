//! `warmd publish`: makes a configuration live, all of it at once, or goes back to the one before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{SecondsFormat, TimeDelta};
use clap::Args;
use sha2::{Digest, Sha256};

use super::app::App;
use super::clock::SystemClock;
use super::configuration::Origin;
use super::error::Failure;
use super::exit::Exit;
use super::options::Only;
use super::output::{complain, print};
use super::remote::{EarlierVersion, MANIFEST, Manifest, ManifestFile, Text, version};
use super::render::{self, Style};
use crate::aws::Bucket;
use crate::domain::clean::clean;
use crate::domain::difference::difference;
use crate::domain::fleet::Fleet;
use crate::domain::plan::Period;
use crate::domain::s3_uri::S3Uri;
use crate::domain::schedule::Minute;
use crate::engine::ports::{Clock, Condition, Fetched, NotStored, Objects};
use crate::engine::state::Version;

/// How many earlier versions a manifest remembers.
const REMEMBERED: usize = 10;
/// How much time the difference is shown for.
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
    pub places: Vec<String>,
    /// Restore the configuration that was live before.
    #[arg(long)]
    pub rollback: bool,
}

/// Publishes.
///
/// # Errors
/// A configuration that is refused, a place that cannot be written, or somebody who was faster.
pub async fn publish(args: &PublishArgs, style: Style) -> Result<Exit, Failure> {
    let (last, paths) =
        args.places.split_last().ok_or_else(|| Failure::Usage("no place is given".to_owned()))?;
    let place = match S3Uri::parse(last) {
        Some(place) => place.map_err(|wrong| Failure::Usage(format!("{last}: {wrong}")))?,
        None => {
            let message = format!("`{last}` is not a place to publish to: give s3://bucket/prefix last");
            return Err(Failure::Usage(message));
        }
    };
    match (args.rollback, paths) {
        (true, []) => rollback(&place, style).await,
        (true, _) => Err(Failure::Usage("--rollback takes the place only".to_owned())),
        (false, []) => Err(Failure::Usage("say what to publish: PATH… before the place".to_owned())),
        (false, paths) => upload(paths, &place, style).await,
    }
}

async fn upload(paths: &[String], place: &S3Uri, style: Style) -> Result<Exit, Failure> {
    let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    let origin = Origin::of_paths(paths, &Only::default());
    let loaded = origin.load()?;
    let files = files(origin.texts(&loaded)?);
    let bucket = bucket(place).await?;
    // Read before anything is written: what is switched is what was compared with.
    let live = live(&bucket).await?;
    show_difference(place, live.is_some(), &loaded.fleet, style)?;
    // Also when they are live already: one that somebody has deleted is there again.
    for (file, text) in &files {
        match bucket.put(&file.key, text.clone().into_bytes(), Condition::New).await {
            // It is there: its name is its content.
            Ok(_) | Err(NotStored::Conflict) => {}
            Err(NotStored::Failed(error)) => return Err(Failure::Unexpected(error.to_string())),
        }
    }
    let mut manifest = Manifest {
        config: loaded.fleet.hash.clone(),
        files: files.into_iter().map(|(file, _)| file).collect(),
        published: now(),
        before: live.as_ref().map(|(_, manifest)| earlier(manifest)).unwrap_or_default(),
    };
    // What was checked are the files here; what counts is what is there.
    version(&bucket, place, &manifest).await?;
    if let Some((_, live)) = live.as_ref().filter(|(_, live)| live.config == manifest.config) {
        let sound = live.files == manifest.files
            || match version(&bucket, place, live).await {
                Ok(_) => true,
                // The same by name, but not what is there: it is replaced, and nobody is to go back to it.
                Err(Failure::Configuration(_)) => false,
                Err(failure) => return Err(failure),
            };
        if sound {
            print(&format!("{} is live at {place} already\n", loaded.fleet.hash))?;
            return Ok(Exit::Success);
        }
        manifest.before.clone_from(&live.before);
    }
    switch(&bucket, &manifest, live.as_ref().map(|(version, _)| version)).await?;
    print(&format!("{} is live at {place}\n", manifest.config))?;
    Ok(Exit::Success)
}

async fn rollback(place: &S3Uri, style: Style) -> Result<Exit, Failure> {
    let bucket = bucket(place).await?;
    let live = live(&bucket).await?;
    let Some((replaced, manifest)) = live else {
        return Err(Failure::Usage(format!("nothing has been published at {place}")));
    };
    let Some((previous, older)) = manifest.before.split_first() else {
        return Err(Failure::Usage(format!(
            "nothing was live at {place} before {}",
            clean(&manifest.config)
        )));
    };
    let restored = Manifest {
        config: previous.config.clone(),
        files: previous.files.clone(),
        published: now(),
        before: older.to_vec(),
    };
    let loaded = version(&bucket, place, &restored).await?;
    show_difference(place, true, &loaded.fleet, style)?;
    switch(&bucket, &restored, Some(&replaced)).await?;
    let (now, before) = (clean(&restored.config), clean(&manifest.config));
    print(&format!("{now} is live at {place} again, instead of {before}\n"))?;
    Ok(Exit::Success)
}

async fn bucket(place: &S3Uri) -> Result<Bucket, Failure> {
    let app = App::aws().await;
    let bucket = app.clients().bucket(&place.bucket, &place.prefix);
    bucket.map_err(|error| Failure::Usage(error.to_string()))
}

/// The live manifest and its version; none when nothing has been published.
async fn live(bucket: &Bucket) -> Result<Option<(Version, Manifest)>, Failure> {
    match bucket.get(MANIFEST, None).await.map_err(|error| Failure::Unexpected(error.to_string()))? {
        Fetched::Object { bytes, version } => {
            let manifest = serde_json::from_slice(&bytes).map_err(|error| {
                Failure::Usage(format!(
                    "the manifest that is live cannot be read: {error}\nhint: delete {MANIFEST}, or restore its earlier \
                     version"
                ))
            })?;
            Ok(Some((version, manifest)))
        }
        Fetched::Missing | Fetched::Unchanged => Ok(None),
    }
}

/// Writes the manifest, unless somebody else has.
async fn switch(bucket: &Bucket, manifest: &Manifest, replaces: Option<&Version>) -> Result<(), Failure> {
    let bytes =
        serde_json::to_vec_pretty(manifest).map_err(|error| Failure::Unexpected(error.to_string()))?;
    let condition = replaces.map_or(Condition::New, Condition::Replaces);
    bucket.put(MANIFEST, bytes, condition).await.map(drop).map_err(|error| match error {
        NotStored::Conflict => Failure::Usage(
            "somebody else has published meanwhile: nothing was changed\nhint: look at what is live now, and try again"
                .to_owned(),
        ),
        NotStored::Failed(error) => Failure::Unexpected(error.to_string()),
    })
}

fn earlier(manifest: &Manifest) -> Vec<EarlierVersion> {
    let Manifest { config, files, published, before } = manifest.clone();
    let mut all = vec![EarlierVersion { config, files, published }];
    all.extend(before);
    all.truncate(REMEMBERED);
    all
}

/// Shows what will change against what is live.
fn show_difference(place: &S3Uri, published: bool, new: &Fleet, style: Style) -> Result<(), Failure> {
    let from = Minute::of(SystemClock.now());
    let period = Period { from, until: from.plus(COMPARED.num_minutes()) };
    match Origin::of_path(Path::new(&place.to_string()), &Only::default()).load() {
        Ok(live) => print(&render::diff::table(&difference(&live.fleet, new, period), period, style))?,
        Err(problems) if published => {
            complain(&problems.render_text(false));
            complain("what is live is broken, so there is nothing to compare with");
        }
        Err(_) => complain(&format!("nothing is live at {place} yet")),
    }
    Ok(())
}

/// Every file that the configuration consists of, with its text, as it will be in the bucket.
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

/// The deepest folder that all the files are in.
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
