//! The embedded emulator: Lambda, CloudWatch and EventBridge over HTTP. It speaks the wire, not our types.
