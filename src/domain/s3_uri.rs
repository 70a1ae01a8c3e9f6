//! S3 URIs: `s3://bucket/prefix`.

use std::fmt;
use std::path::Path;

use super::parse::quoted;

/// A prefix in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Uri {
    /// The bucket's name.
    pub bucket: String,
    /// The prefix, without slashes at its ends; empty for the whole bucket.
    pub prefix: String,
}

impl S3Uri {
    /// Splits `s3://bucket/key` into bucket and key, both unchecked; the key may be empty. Returns `None` for a text
    /// with another scheme.
    pub fn split(text: &str) -> Option<(&str, &str)> {
        let rest = text.strip_prefix("s3://")?;
        Some(rest.split_once('/').unwrap_or((rest, "")))
    }

    /// Parses `s3://bucket` or `s3://bucket/prefix`. Returns `None` for a text with another scheme.
    ///
    /// # Errors
    /// The bucket's name is malformed.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let (bucket, prefix) = Self::split(text)?;
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(allowed) {
            let found = quoted(bucket);
            return Some(Err(format!("expected a bucket name (3 to 63 of a-z 0-9 . -), found {found}")));
        }
        Some(Ok(Self { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() }))
    }

    /// Parses an argument that is either a path or an S3 URI. Returns `None` for a path.
    ///
    /// # Errors
    /// As [`S3Uri::parse`]; also for a text that only resembles an S3 URI, such as `s3:/bucket`.
    pub fn of_path(path: &Path) -> Option<Result<Self, String>> {
        let text = path.to_str()?;
        let similar = text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("s3:/"));
        match Self::parse(text) {
            None if similar => Some(Err(format!("expected s3://bucket/prefix, found {}", quoted(text)))),
            uri => uri,
        }
    }
}

impl fmt::Display for S3Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix.as_str() {
            "" => write!(f, "s3://{}", self.bucket),
            prefix => write!(f, "s3://{}/{prefix}", self.bucket),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_a_bucket_with_a_prefix() {
        let parse = |text: &str| S3Uri::parse(text).map(|uri| uri.map(|uri| uri.to_string()));
        assert_eq!(parse("s3://warmd-config/live/"), Some(Ok("s3://warmd-config/live".to_owned())));
        assert_eq!(parse("s3://warmd-config"), Some(Ok("s3://warmd-config".to_owned())));
        assert_eq!(parse("warm-configs"), None);
        insta::assert_snapshot!(parse("s3://No_Bucket/x").unwrap().unwrap_err(), @r#"expected a bucket name (3 to 63 of a-z 0-9 . -), found "No_Bucket""#);
        insta::assert_snapshot!(S3Uri::of_path(Path::new("S3:/x")).unwrap().unwrap_err(), @r#"expected s3://bucket/prefix, found "S3:/x""#);
    }
}
