//! Any event causes no panic. A refusal and an ignored event have a reason, and a shard is the same after writing and
//! parsing it.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::{Value, json};
use warmd_fuzz::domain::events::{LambdaEvent, MOST_REASON_CHARS, Need, SOURCE, Subject, WARM_SHARD};

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(event) = serde_json::from_slice::<Value>(data) else {
        return Corpus::Reject;
    };
    match LambdaEvent::parse(&event) {
        Ok(LambdaEvent::Shard { shard, .. }) => {
            assert!(!shard.rounds.is_empty());
            assert_eq!(shard.id().len(), 32);
            let again = json!({ "source": SOURCE, "detail-type": WARM_SHARD, "detail": shard.detail() });
            let Ok(LambdaEvent::Shard { shard: again, .. }) = LambdaEvent::parse(&again) else {
                panic!("a written shard is refused");
            };
            assert_eq!(shard.detail(), again.detail());
        }
        Ok(LambdaEvent::Request(request)) => {
            if let Subject::Function(_, need) = &request.subject {
                assert!(
                    need.environments() > 0
                        || matches!(need, Need::Backlog(backlog) if backlog.messages == 0)
                );
            }
            assert!(request.reason.is_none_or(|text| text.chars().count() <= MOST_REASON_CHARS));
        }
        Ok(LambdaEvent::Deployed(deployment)) => {
            assert!(deployment.alias.is_none_or(|alias| alias.is_alias()));
        }
        Ok(LambdaEvent::Ignored(reason)) => assert!(!reason.is_empty() && reason.len() < 1_000),
        Ok(_) => {}
        Err(error) => assert!(!error.problems.is_empty() && !error.to_string().is_empty()),
    }
    Corpus::Keep
});
