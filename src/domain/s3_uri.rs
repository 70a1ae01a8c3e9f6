//! Places that may be in S3: `s3://bucket/prefix`.

use std::fmt;
use std::path::Path;

/// A prefix of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Uri {
    /// The bucket's name.
    pub bucket: String,
    /// Without slashes at its ends; empty for the whole bucket.
    pub prefix: String,
}

impl S3Uri {
    /// The place that `text` names; none when it names something else than S3.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let place = text.strip_prefix("s3://")?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(named) {
            return Some(Err(format!("`{bucket}` is not a bucket's name (3 to 63 of a-z 0-9 . -)")));
        }
        Some(Ok(Self { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() }))
    }

    /// The place that a path of the command line names; none when it is a path.
    ///
    /// # Errors
    /// As [`S3Uri::parse`].
    pub fn of_path(path: &Path) -> Option<Result<Self, String>> {
        let text = path.to_str()?;
        // Otherwise these would be files that are not there.
        let meant = text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("s3:/"));
        match Self::parse(text) {
            None if meant => Some(Err("a place in S3 is written s3://bucket/prefix".to_owned())),
            place => place,
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
    fn places_are_buckets_with_a_prefix() {
        let shown = |text: &str| S3Uri::parse(text).map(|place| place.map(|place| place.to_string()));
        assert_eq!(shown("s3://warmd-config/live/"), Some(Ok("s3://warmd-config/live".to_owned())));
        assert_eq!(shown("s3://warmd-config"), Some(Ok("s3://warmd-config".to_owned())));
        assert_eq!(shown("warm-configs"), None);
        assert!(
            shown("s3://No_Bucket/x").unwrap().unwrap_err().contains("`No_Bucket` is not a bucket's name")
        );
    }
}
