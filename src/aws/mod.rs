//! Adapters of the ports on the AWS SDK.
