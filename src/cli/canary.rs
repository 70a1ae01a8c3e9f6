//! `warmd canary`: the results of first contacts with handlers.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use futures_util::future::join_all;

use super::error::Failure;
use super::exit::Exit;
use super::options::StateArgs;
use super::output::{print, print_json, print_message};
use super::render::canary::ContactObject;
use super::render::{self, Style};
use super::select::near;
use super::value_parsers;
use crate::domain::clean::clean;
use crate::domain::function::{FunctionRef, Identity, Region};
use crate::domain::records::{Contact, Guards};
use crate::service::store::{DocumentStore, Unavailable};

/// `warmd canary`.
#[derive(Debug, Args)]
pub struct CanaryArgs {
    /// The command.
    #[command(subcommand)]
    pub command: CanaryCommand,
}

/// A command on the results of first contacts.
#[derive(Debug, Subcommand)]
pub enum CanaryCommand {
    /// List the handlers that are trusted, and those that took a ping for work.
    List(ListArgs),
    /// Allow pings to an unsafe handler again. Its next round begins with one ping.
    Clear(ClearArgs),
}

/// `warmd canary list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is a result for the code that ran, by its SHA-256, and for a protocol with its payload.
Results for earlier code are listed too. `warmd status` shows the unsafe handlers of deployed code.")]
pub struct ListArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The state store.
    #[command(flatten)]
    pub state: StateArgs,
}

/// `warmd canary clear`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd canary clear nlp-inference --state s3://my-warmd/state

Results are kept for a function and its code: clearing applies to all its qualifiers and tenants, in
all regions. It takes effect at the next tick of a running daemon too. It is not needed after a
change of the code, the protocol or the payload.")]
pub struct ClearArgs {
    /// Function: NAME, NAME:QUALIFIER or ARN, as in the configuration.
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: FunctionRef,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The state store.
    #[command(flatten)]
    pub state: StateArgs,
}

/// Runs a command on the results of first contacts.
///
/// # Errors
/// The store cannot be read.
pub async fn canary(args: &CanaryArgs, style: Style) -> Result<Exit, Failure> {
    match &args.command {
        CanaryCommand::List(args) => list(args, style).await,
        CanaryCommand::Clear(args) => clear(args).await,
    }
}

async fn list(args: &ListArgs, style: Style) -> Result<Exit, Failure> {
    let store = args.state.open_existing("no state store").await?;
    let read = regions(&store).await?.into_iter().map(|region| {
        let store = &store;
        async move { store.read::<Guards>(&Guards::document(region)).await }
    });
    let (guards, unread) = divided(join_all(read).await);
    let mut contacts: Vec<ContactObject> = guards.iter().flat_map(contacts).collect();
    contacts.sort_by(|one, other| (&one.function, one.region).cmp(&(&other.function, other.region)));
    if args.json {
        print_json(&contacts)?;
    } else if contacts.is_empty() && unread.is_empty() {
        print("no first contact is recorded\n")?;
    } else {
        print(&render::canary::contacts(&contacts, style))?;
    }
    Ok(failed(&unread))
}

async fn clear(args: &ClearArgs) -> Result<Exit, Failure> {
    let store = args.state.open().await?;
    let function = FunctionRef { qualifier: None, ..args.function.clone() };
    let update = regions(&store).await?.into_iter().map(|region| {
        let (store, function) = (&store, &function);
        async move {
            let change = |guards: &mut Guards| {
                let before = guards.clone();
                guards.clear(|id| function.is_of(id));
                before
            };
            store.update(&Guards::document(region), change).await
        }
    });
    let (before, unread) = divided(join_all(update).await);
    let is_cleared =
        |(id, contact): &(&Identity, &Contact)| function.is_of(id) && contact.unsafe_because.is_some();
    let known = || before.iter().flat_map(each);
    let cleared: Vec<ContactObject> =
        known().filter(is_cleared).map(|(id, contact)| ContactObject::new(id, contact)).collect();
    if args.json {
        print_json(&cleared)?;
    } else if cleared.is_empty() {
        print(&format!("{function} was not unsafe\n"))?;
    } else {
        let regions: BTreeSet<&str> = cleared.iter().map(|contact| contact.region.as_str()).collect();
        let regions: Vec<&str> = regions.into_iter().collect();
        print(&format!(
            "{function} cleared in {}: its next round begins with one ping\n",
            regions.join(", ")
        ))?;
    }
    let labels: BTreeSet<String> = known().map(|(id, _)| id.unqualified()).collect();
    let written = function.to_string();
    let near = near(&written, || labels.iter().map(String::as_str));
    if let (true, Some(near)) = (cleared.is_empty() && !labels.contains(&written), near) {
        let near = clean(near);
        print_message(&format!("warning: no result for \"{written}\" is recorded; did you mean `{near}`?"));
    }
    Ok(failed(&unread))
}

/// Returns the regions with records of guards.
async fn regions(store: &DocumentStore) -> Result<Vec<Region>, Failure> {
    let names = store.names().await.map_err(|error| Failure::Unexpected(error.to_string()))?;
    let is_stored = |region: &Region| names.contains(&Guards::document(*region));
    Ok(Region::all().filter(is_stored).collect())
}

fn divided(read: Vec<Result<Guards, Unavailable>>) -> (Vec<Guards>, Vec<Unavailable>) {
    let (mut all, mut unread) = (Vec::new(), Vec::new());
    for guards in read {
        match guards {
            Ok(guards) => all.push(guards),
            Err(unavailable) => unread.push(unavailable),
        }
    }
    (all, unread)
}

/// Prints the reasons why documents could not be read or written.
fn failed(unread: &[Unavailable]) -> Exit {
    unread.iter().for_each(|unavailable| print_message(&format!("error: {unavailable}")));
    if unread.is_empty() { Exit::Success } else { Exit::Failed }
}

fn each(guards: &Guards) -> impl Iterator<Item = (&Identity, &Contact)> {
    guards.contacts.iter().flat_map(|(id, contacts)| contacts.iter().map(move |contact| (id, contact)))
}

fn contacts(guards: &Guards) -> impl Iterator<Item = ContactObject> {
    each(guards).map(|(id, contact)| ContactObject::new(id, contact))
}
