//! What is due at a tick, and why.
