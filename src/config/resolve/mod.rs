//! What the files say together: names looked up, defaults filled in, every rule across keys and files checked.

mod assume;
mod calendars;
mod functions;
mod twice;
mod weight;
mod windows;

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::files::TOO_LARGE;
use super::ics::EventDays;
use super::node::{self, MOST_BYTES, Node, Value};
use super::problem::{MOST_PROBLEMS, Place, Problem, Problems};
use super::reader::{At, Reader, Wire, quoted};
use super::source::{Source, SourceFile, Span};
use super::values::Row;
use super::wire::{Defaults, FileKeys, WindowKeys};
use super::{Calendar, Loaded, TargetMarks};
use crate::domain::calendar::DateSet;
use crate::domain::fleet::{Fleet, Limits, MetricsSettings, Target};
use crate::domain::function::{Identity, Region};

/// A place in the configuration: [`super::Places::warning`] makes a problem of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Index of the file.
    pub(super) file: usize,
    pub(super) span: Span,
}

/// How the files that calendars name are read: from a path to its text, or why it could not be had.
pub type ReadFile<'r> = dyn FnMut(&str) -> Result<String, String> + 'r;

/// Something that is defined once for the fleet. Its value is none when it is wrong.
struct Named<T> {
    mark: Mark,
    value: Option<T>,
    used: bool,
}

/// A named window: the keys of it, and the file they stand in.
type NamedWindows<'k> = BTreeMap<&'k str, Named<(usize, &'k WindowKeys)>>;

/// A number of pings that a round has, and where it was asked for.
struct Demand {
    mark: Mark,
    concurrency: u32,
    spare: u32,
}

/// Everything that is known while the fleet is put together.
struct Resolver<'a, 'r> {
    sources: &'a [Source<'a>],
    problems: &'r mut Problems,
    read: &'r mut ReadFile<'r>,
    attachments: Vec<SourceFile>,
    /// The days of the files that calendars name, by path; none where a file is wrong.
    event_days: BTreeMap<String, Option<Arc<EventDays>>>,
    calendars: BTreeMap<&'a str, Named<Arc<DateSet>>>,
    windows: NamedWindows<'a>,
    identities: HashMap<Identity, Mark>,
    demands: Vec<Demand>,
    weight: usize,
    targets: Vec<(Target, TargetMarks)>,
}

/// Puts the fleet together from the texts of its files. Reads nothing but what calendars name, through `read`.
///
/// With `filter`, only targets in those regions are kept; everything is checked all the same.
///
/// # Errors
/// Everything that is wrong, in the order of files and lines.
pub fn resolve(
    files: Vec<SourceFile>,
    read: &mut ReadFile<'_>,
    filter: Option<&[Region]>,
) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let outcome = {
        let sources: Vec<Source<'_>> = files.iter().map(Source::new).collect();
        let parsed = read_files(&sources, &mut problems);
        put_together(&sources, &parsed, &mut problems, read, filter)
    };
    if !problems.is_empty() {
        let order: HashMap<&str, usize> =
            files.iter().enumerate().map(|(at, file)| (file.path.as_str(), at)).collect();
        let key = |problem: &Problem| {
            let Place { path, line, column } = &problem.place;
            (order.get(path.as_str()).copied().unwrap_or(usize::MAX), *line, *column)
        };
        problems.list.sort_by_key(key);
        return Err(problems);
    }
    let Outcome { fleet, calendars, marks, warnings } = outcome;
    Ok(Loaded { fleet, warnings, calendars, marks, files, attachments: Vec::new() })
}

/// The keys of each file; none where it could not be read, or is a file of dates or prices that another one names.
fn read_files<'a>(sources: &'a [Source<'a>], problems: &mut Problems) -> Vec<Option<FileKeys>> {
    let nodes: Vec<Option<Node<'_>>> = sources.iter().map(|source| parse_file(source, problems)).collect();
    let named: Vec<PathBuf> = sources
        .iter()
        .zip(&nodes)
        .flat_map(|(source, node)| node.iter().flat_map(|node| named_files(source, node)))
        .collect();
    sources
        .iter()
        .zip(nodes)
        .map(|(source, node)| match node {
            Some(_) if named.contains(&normal(Path::new(source.path))) => None,
            Some(node) => FileKeys::read(&node, &mut Reader::new(source, problems)),
            None => None,
        })
        .collect()
}

fn parse_file<'a>(source: &Source<'a>, problems: &mut Problems) -> Option<Node<'a>> {
    if source.text.len() > MOST_BYTES {
        problems.push(Problem::of_file(source.path, "the file is larger than 8 MB").hint(TOO_LARGE));
        return None;
    }
    match node::parse(source) {
        Ok(Node { value: Value::Null, .. }) => {
            let problem = Problem::error(source, Span::START, "the file is empty");
            problems.push(problem.hint("begin it with `version: 1`, or remove it"));
            None
        }
        Ok(node) => Some(node),
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

/// The files that the calendars and prices of a file name.
fn named_files(source: &Source<'_>, node: &Node<'_>) -> Vec<PathBuf> {
    let parent = Path::new(source.path).parent().unwrap_or(Path::new(""));
    let path = |node: Option<&Node<'_>>| match node {
        Some(Node { value: Value::Text(path), .. }) => Some(normal(&parent.join(path.as_ref()))),
        _ => None,
    };
    let calendars = match entry(node, "calendars") {
        Some(Node { value: Value::Map(calendars), .. }) => calendars.as_slice(),
        _ => &[],
    };
    let of_calendars = calendars.iter().filter_map(|(_, calendar)| path(entry(calendar, "file")));
    of_calendars.chain(path(entry(node, "prices"))).collect()
}

fn entry<'n, 'a>(node: &'n Node<'a>, name: &str) -> Option<&'n Node<'a>> {
    match &node.value {
        Value::Map(map) => {
            map.iter().find(|(key, _)| key.text.as_deref() == Some(name)).map(|(_, value)| value)
        }
        _ => None,
    }
}

/// The path without `.` and `..`, as far as the text tells.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

struct Outcome {
    fleet: Fleet,
    calendars: Vec<Calendar>,
    marks: Vec<TargetMarks>,
    warnings: Vec<Problem>,
}

fn put_together<'a>(
    sources: &'a [Source<'a>],
    parsed: &'a [Option<FileKeys>],
    problems: &mut Problems,
    read: &mut ReadFile<'_>,
    filter: Option<&[Region]>,
) -> Outcome {
    let mut resolver = Resolver {
        sources,
        problems,
        read,
        attachments: Vec::new(),
        event_days: BTreeMap::new(),
        calendars: BTreeMap::new(),
        windows: BTreeMap::new(),
        identities: HashMap::new(),
        demands: Vec::new(),
        weight: 0,
        targets: Vec::new(),
    };
    let files =
        || parsed.iter().enumerate().filter_map(|(file, keys)| keys.as_ref().map(|keys| (file, keys)));
    let limits = resolver.limits(files().filter_map(|(file, keys)| Some((file, keys.limits.as_ref()?))));
    let metrics = resolver.metrics(files().filter_map(|(file, keys)| Some((file, keys.metrics.as_ref()?))));
    let prices = resolver.prices(files().filter_map(|(file, keys)| Some((file, keys.prices.as_ref()?))));
    for (file, keys) in files() {
        for Row { name, value } in keys.calendars.iter().flat_map(|table| &table.value.0) {
            let set = value.as_ref().and_then(|keys| resolver.calendar(file, name, keys));
            let named = Named { mark: Mark { file, span: name.span }, value: set, used: false };
            resolver.define("calendar", &name.value, named, |resolver| &mut resolver.calendars);
        }
    }
    for (file, keys) in files() {
        for Row { name, value } in keys.windows.iter().flat_map(|table| &table.value.0) {
            let sound = value
                .as_ref()
                .filter(|window| resolver.layer(file, &window.0))
                .map(|window| (file, &window.0));
            let named = Named { mark: Mark { file, span: name.span }, value: sound, used: false };
            resolver.define("window", &name.value, named, |resolver| &mut resolver.windows);
        }
    }
    let no_defaults = Defaults::default();
    for (file, keys) in files() {
        let defaults = keys.defaults.as_ref().map_or(&no_defaults, |at| &at.value);
        let defaults = resolver.defaults(file, defaults);
        for row in keys.functions.iter().flat_map(|table| &table.value.0) {
            resolver.function(file, &defaults, row);
        }
    }
    resolver.check_demands(limits);
    let mut warnings = resolver.unused();
    warnings.extend(resolver.named_twice());
    let hash = hash(sources, &resolver.attachments);
    let kept = |target: &Target| filter.is_none_or(|regions| regions.contains(&target.region()));
    let (targets, marks) = resolver.targets.into_iter().filter(|(target, _)| kept(target)).unzip();
    let calendars = resolver
        .calendars
        .into_values()
        .filter_map(|named| Some(Calendar { set: named.value?, mark: named.mark, used: named.used }))
        .collect();
    Outcome { fleet: Fleet { targets, limits, metrics, prices, hash }, calendars, marks, warnings }
}

impl<'a> Resolver<'a, '_> {
    fn source(&self, mark: Mark) -> &'a Source<'a> {
        self.sources.get(mark.file).expect("marks are made from indices of these sources")
    }

    fn error(&self, mark: Mark, message: impl Into<String>) -> Problem {
        if self.problems.is_full() {
            return Problem::counted();
        }
        Problem::error(self.source(mark), mark.span, message)
    }

    fn place(&self, mark: Mark) -> Place {
        self.error(mark, "").place
    }

    /// Keeps a definition; a second one of the same name is an error that tells both places.
    fn define<T>(
        &mut self,
        what: &str,
        name: &'a str,
        named: Named<T>,
        table: impl Fn(&mut Self) -> &mut BTreeMap<&'a str, Named<T>>,
    ) {
        match table(self).get(name).map(|first| first.mark) {
            None => {
                table(self).insert(name, named);
            }
            Some(first) => {
                let problem = self
                    .error(named.mark, format!("the {what} {} is defined twice", quoted(name)))
                    .hint("names of calendars and windows hold for the whole fleet: rename one of the two")
                    .related(self.place(first));
                self.problems.push(problem);
            }
        }
    }

    /// The one value of a key that may stand in one file only.
    fn only_once<'k, T>(
        &mut self,
        key: &str,
        mut given: impl Iterator<Item = (usize, &'k At<T>)>,
    ) -> Option<&'k T>
    where
        T: 'k,
    {
        let (file, first) = given.next()?;
        let related = self.place(Mark { file, span: first.span });
        for (file, again) in given {
            let problem = self
                .error(Mark { file, span: again.span }, format!("`{key}` stands in a second file"))
                .hint("it holds for the whole fleet, so it stands in one file only")
                .related(related.clone());
            self.problems.push(problem);
        }
        Some(&first.value)
    }

    fn limits<'k>(&mut self, given: impl Iterator<Item = (usize, &'k At<super::wire::LimitKeys>)>) -> Limits {
        let mut limits = Limits::default();
        if let Some(keys) = self.only_once("limits", given) {
            if let Some(max) = &keys.max_in_flight {
                limits.max_in_flight = max.value.0;
            }
            if let Some(sign) = &keys.sign {
                limits.wire.sign = sign.value.0;
            }
            if let Some(http) = &keys.http {
                limits.wire.http = http.value.0;
            }
        }
        limits
    }

    fn metrics<'k>(
        &mut self,
        given: impl Iterator<Item = (usize, &'k At<super::wire::MetricKeys>)>,
    ) -> MetricsSettings {
        let mut metrics = MetricsSettings::default();
        if let Some(keys) = self.only_once("metrics", given) {
            if let Some(namespace) = &keys.namespace {
                metrics.namespace.clone_from(&namespace.value.0);
            }
            if let Some(detail) = &keys.detail {
                metrics.detail = detail.value.0;
            }
        }
        metrics
    }

    /// A round is never cut, so one that the cap cannot hold could never be sent.
    fn check_demands(&mut self, limits: Limits) {
        let cap = limits.max_in_flight;
        for Demand { mark, concurrency, spare } in std::mem::take(&mut self.demands) {
            let pings = concurrency.saturating_add(spare);
            if pings > cap {
                let spare = if spare > 0 { format!(" with {spare} to spare") } else { String::new() };
                let message =
                    format!("{concurrency} environments{spare} are more than limits.max_in_flight ({cap})");
                let problem = self
                    .error(mark, message)
                    .hint(format!("a round is never cut: ask for fewer, or raise max_in_flight to {pings}"));
                self.problems.push(problem);
            }
        }
    }

    /// Warnings about names that nothing takes up.
    fn unused(&self) -> Vec<Problem> {
        let calendars = self.calendars.iter().map(|(name, named)| ("calendar", name, named.mark, named.used));
        let windows = self.windows.iter().map(|(name, named)| ("window", name, named.mark, named.used));
        let mut unused: Vec<_> = calendars.chain(windows).filter(|(.., used)| !used).collect();
        unused.sort_by_key(|(_, _, mark, _)| (mark.file, mark.span.start()));
        let warning = |mark, message: String| self.error(mark, message).into_warning();
        let mut warnings: Vec<_> = unused
            .iter()
            .take(MOST_PROBLEMS)
            .map(|(what, name, mark, _)| warning(*mark, format!("the {what} {} is not used", quoted(name))))
            .collect();
        if let Some((.., mark, _)) = unused.get(MOST_PROBLEMS) {
            let more = unused.len() - MOST_PROBLEMS;
            warnings.push(warning(*mark, format!("from here on {more} more are not used")));
        }
        warnings
    }
}

/// A hash of the files' contents: 64 bits of SHA-256, in hexadecimal. It does not depend on where the files lie, nor on
/// how their lines end.
fn hash(sources: &[Source<'_>], attachments: &[SourceFile]) -> String {
    let name = |path: &str| Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
    let mut texts: Vec<(bool, Option<String>, String)> = sources
        .iter()
        .map(|source| (false, name(source.path), source.text.replace("\r\n", "\n")))
        .chain(attachments.iter().map(|file| (true, name(&file.path), file.text.replace("\r\n", "\n"))))
        .collect();
    texts.sort_unstable();
    let mut hasher = Sha256::new();
    for (attached, _, text) in &texts {
        hasher.update([u8::from(*attached)]);
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
