//! Lists in pages.

use std::collections::HashSet;
use std::time::Duration;

use crate::domain::preflight::Lookup;

/// The maximum number of pages of a list. With 50 scalable targets each, five times the default quota of an account.
const MOST_PAGES: usize = 50;
/// The maximum number of entries of a list.
const MOST_ENTRIES: usize = 10_000;
/// The time limit of a list.
const LIST_TIMEOUT: Duration = Duration::from_secs(20);

/// A page of a list, and the token of the next one.
pub(in crate::aws) type Page<T> = Lookup<(Vec<T>, Option<String>)>;

/// Reads all pages of a list. `read` gets the token of the page.
pub(in crate::aws) async fn pages<T, F>(read: impl FnMut(Option<String>) -> F) -> Lookup<Vec<T>>
where
    F: Future<Output = Page<T>>,
{
    match tokio::time::timeout(LIST_TIMEOUT, all(read)).await {
        Ok(list) => list,
        Err(_) => Lookup::Unreachable(format!("no complete list within {LIST_TIMEOUT:?}")),
    }
}

async fn all<T, F>(mut read: impl FnMut(Option<String>) -> F) -> Lookup<Vec<T>>
where
    F: Future<Output = Page<T>>,
{
    let (mut list, mut tokens, mut token) = (Vec::new(), HashSet::new(), None);
    for _ in 0..MOST_PAGES {
        let (entries, next) = match read(token).await {
            Lookup::Known(page) => page,
            unread => return unread.then(|_| Lookup::NotRead),
        };
        list.extend(entries);
        let Some(next) = next.filter(|next| !next.is_empty()) else { return Lookup::Known(list) };
        if !tokens.insert(next.clone()) {
            return Lookup::Failed("the list has a page twice".to_owned());
        }
        if list.len() > MOST_ENTRIES {
            break;
        }
        token = Some(next);
    }
    Lookup::Failed(format!("the list has more than {} entries", list.len()))
}
