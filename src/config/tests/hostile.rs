//! Whatever stands in a file: no panic, no hang.
