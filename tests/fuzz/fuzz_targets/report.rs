//! Any log before a REPORT line causes no panic, and the durations are numbers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use warmd_fuzz::domain::report::Report;

fuzz_target!(|data: &[u8]| {
    if let Some(report) = Report::parse(&String::from_utf8_lossy(data)) {
        for ms in [Some(report.duration_ms), report.init_ms, report.restore_ms].into_iter().flatten() {
            assert!(ms.is_finite() && ms >= 0.0, "{ms}");
        }
    }
});
