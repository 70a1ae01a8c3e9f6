//! One function under two names: as `name`, and by its ARN.

use std::collections::HashMap;

use super::{MOST_PROBLEMS, Mark, Problem, Resolver};
use crate::domain::fleet::Target;
use crate::domain::function::{Identity, account_of};

impl Resolver<'_, '_> {
    /// Looks for functions that stand both as `name` and by their ARN. Where the account that `name` is in is known, by
    /// its role, that is an error; the account that warmd runs in is not known here, so elsewhere it is a warning.
    pub(super) fn named_twice(&mut self) -> Vec<Problem> {
        let by_name: HashMap<&Identity, (&Target, Mark)> = self
            .targets
            .iter()
            .filter(|(target, _)| target.id.account.is_none())
            .map(|(target, marks)| (&target.id, (target, marks.function)))
            .collect();
        let (mut certain, mut possible) = (Vec::new(), Vec::new());
        for (target, marks) in &self.targets {
            let Some(account) = &target.id.account else { continue };
            let Some((named, mark)) = by_name.get(&Identity { account: None, ..target.id.clone() }) else {
                continue;
            };
            let earlier_and_later = match (*mark, marks.function) {
                (one, other) if place(one) <= place(other) => (one, other),
                (one, other) => (other, one),
            };
            match named.role.as_ref().and_then(|role| account_of(&role.arn)) {
                Some(known) if known == account.as_str() => {
                    let message = format!("{} is configured twice: by its name, and by its ARN", named.id);
                    certain.push((earlier_and_later, message));
                }
                Some(_) => {}
                None if target.is_warmed() && named.is_warmed() => {
                    let account = account.as_str();
                    let message =
                        format!("{} is pinged twice if warmd runs in the account {account}", named.id);
                    possible.push((earlier_and_later, message));
                }
                None => {}
            }
        }
        for ((first, second), message) in certain {
            let problem = self
                .error(second, message)
                .hint("keep one of the two; several windows can stand under one function")
                .related(self.place(first));
            self.problems.push(problem);
        }
        let warning = |mark, message: String| self.error(mark, message).into_warning();
        let mut warnings: Vec<Problem> = possible
            .iter()
            .take(MOST_PROBLEMS)
            .map(|((first, second), message)| {
                warning(*second, message.clone())
                    .hint("it stands here by its name and by its ARN: keep one of the two, or name both by their ARNs")
                    .related(self.place(*first))
            })
            .collect();
        if let Some(((_, second), _)) = possible.get(MOST_PROBLEMS) {
            let more = possible.len() - MOST_PROBLEMS;
            warnings.push(warning(*second, format!("from here on {more} more may be pinged twice")));
        }
        warnings
    }
}

fn place(mark: Mark) -> (usize, usize) {
    (mark.file, mark.span.start())
}
