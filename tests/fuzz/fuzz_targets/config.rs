//! Whatever stands in a configuration file: no panic, no hang, no more than 256 MB.

#![no_main]

use libfuzzer_sys::fuzz_target;
use warmd_fuzz::config::{SourceFile, resolve};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data).into_owned();
    // Calendars get the same text, so that the readers of their files are reached too.
    let attached = text.clone();
    let file = SourceFile { path: "fleet.yaml".to_owned(), text };
    match resolve(vec![file], &mut |_| Ok(attached.clone()), None) {
        Ok(loaded) => assert!(loaded.fleet.targets.len() == loaded.locations.len()),
        Err(problems) => assert!(!problems.render_text(true).is_empty()),
    }
});
