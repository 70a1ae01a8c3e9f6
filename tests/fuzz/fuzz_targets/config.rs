//! Any configuration file causes no panic, no hang, and at most 256 MB of memory.

#![no_main]

use libfuzzer_sys::fuzz_target;
use warmd_fuzz::config::{SourceFile, resolve};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data).into_owned();
    // Calendars get the same text, so that the parsers of their files are fuzzed too.
    let attached = text.clone();
    let file = SourceFile { path: "fleet.yaml".to_owned(), text };
    match resolve(vec![file], &mut |_| Ok(attached.clone()), None) {
        Ok(loaded) => assert!(loaded.fleet.targets.len() == loaded.locations.len()),
        Err(problems) => assert!(!problems.render_text(true).is_empty()),
    }
});
