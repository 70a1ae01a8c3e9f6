//! The [`ObjectStore`] port on the SDK: S3, with its conditional reads and writes.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::error::{call_error, reasons};
use crate::engine::ports::{
    CallError, Condition, ErrorKind, Fetched, ObjectStore, ObjectStoreError, PutError, StoreFuture, Version,
};

/// The largest object that is read, bytes. Configurations and state documents are far smaller.
const MAX_OBJECT_BYTES: usize = 64 << 20;

/// A prefix of a bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    bucket: String,
    /// Empty, or ending with a slash.
    prefix: String,
}

impl Bucket {
    pub(super) fn new(client: Client, bucket: &str, prefix: &str) -> Self {
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Self { client, bucket: bucket.to_owned(), prefix }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn uri(&self, key: &str) -> String {
        format!("s3://{}/{}", self.bucket, self.key(key))
    }

    /// Returns the error with the URI of the object.
    fn failed<E>(&self, key: &str, error: &SdkError<E, HttpResponse>) -> ObjectStoreError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let CallError { kind, message } = call_error(error);
        ObjectStoreError(CallError::new(kind, format!("{}: {message}", self.uri(key))))
    }
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

impl Bucket {
    async fn read(&self, key: &str, known: Option<&Version>) -> Result<Fetched, ObjectStoreError> {
        let request = self.client.get_object().bucket(&self.bucket).key(self.key(key));
        let answer = request.set_if_none_match(known.map(|version| version.0.clone())).send().await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                return match (status(&error), ErrorKind::of(&error)) {
                    (Some(304), _) => Ok(Fetched::Unchanged),
                    (_, ErrorKind::NotFound) => Ok(Fetched::Missing),
                    (Some(404), _) if error.code().is_none() => Ok(Fetched::Missing),
                    _ => Err(self.failed(key, &error)),
                };
            }
        };
        let version = Version(answer.e_tag.unwrap_or_default());
        let too_large = || {
            ObjectStoreError::from(format!("{}: expected at most {MAX_OBJECT_BYTES} bytes", self.uri(key)))
        };
        if answer
            .content_length
            .is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > MAX_OBJECT_BYTES))
        {
            return Err(too_large());
        }
        let mut body = answer.body;
        let mut bytes = Vec::new();
        while let Some(part) = body.next().await {
            let part = part
                .map_err(|error| ObjectStoreError::from(format!("{}: {}", self.uri(key), reasons(&error))))?;
            // Checked here too: the length may be absent or wrong.
            if bytes.len().saturating_add(part.len()) > MAX_OBJECT_BYTES {
                return Err(too_large());
            }
            bytes.extend_from_slice(&part);
        }
        Ok(Fetched::Object { bytes, version })
    }

    async fn write(&self, key: &str, bytes: Vec<u8>, condition: Condition<'_>) -> Result<Version, PutError> {
        let request = self.client.put_object().bucket(&self.bucket).key(self.key(key));
        let request = match condition {
            Condition::Always => request,
            Condition::New => request.if_none_match("*"),
            Condition::Replaces(version) => request.if_match(&version.0),
        };
        match request.body(ByteStream::from(bytes)).send().await {
            Ok(answer) => Ok(Version(answer.e_tag.unwrap_or_default())),
            Err(error) => Err(match (status(&error), condition) {
                // 412: another version. 409: a concurrent write. 404: deleted meanwhile.
                (Some(409 | 412), _) => PutError::Conflict,
                (_, Condition::Replaces(_)) if ErrorKind::of(&error) == ErrorKind::NotFound => {
                    PutError::Conflict
                }
                _ => PutError::Failed(self.failed(key, &error)),
            }),
        }
    }

    async fn delete(&self, key: &str, expected: &Version) -> Result<(), PutError> {
        let request = || self.client.delete_object().bucket(&self.bucket).key(self.key(key));
        let mut answer = request().if_match(&expected.0).send().await;
        // 501: a store that resembles S3, without conditional deletes.
        if answer.as_ref().err().and_then(status) == Some(501) {
            answer = request().send().await;
        }
        match answer {
            Ok(_) => Ok(()),
            Err(error) => match (status(&error), ErrorKind::of(&error)) {
                (Some(409 | 412), _) => Err(PutError::Conflict),
                (Some(404), _) if error.code().is_none_or(|code| code == "NoSuchKey") => Ok(()),
                _ => Err(PutError::Failed(self.failed(key, &error))),
            },
        }
    }

    async fn read_list(&self) -> Result<Vec<(String, Version)>, ObjectStoreError> {
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(&self.prefix);
            let answer = request.set_continuation_token(next).send().await;
            let answer = answer.map_err(|error| self.failed("", &error))?;
            for object in answer.contents.unwrap_or_default() {
                let key = object.key.as_deref().and_then(|key| key.strip_prefix(&self.prefix));
                found.extend(
                    key.map(|key| (key.to_owned(), Version(object.e_tag.clone().unwrap_or_default()))),
                );
            }
            next = answer.next_continuation_token;
            if next.is_none() {
                return Ok(found);
            }
        }
    }
}

impl ObjectStore for Bucket {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        Box::pin(self.read(key, known))
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        Box::pin(self.write(key, bytes, condition))
    }

    fn remove<'a>(&'a self, key: &'a str, expected: &'a Version) -> StoreFuture<'a, (), PutError> {
        Box::pin(self.delete(key, expected))
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        Box::pin(self.read_list())
    }
}
