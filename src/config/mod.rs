//! YAML files to a [`crate::domain::fleet::Fleet`], with every mistake reported at once.
