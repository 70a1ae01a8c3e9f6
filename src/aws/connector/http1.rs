//! One HTTP/1.1 connection, driven by the request that uses it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::body::{BodyLimit, Collector, TooLong};
use super::dial::Transport;
use super::origin::Origin;
use crate::aws::error::{Failure, reasons};

/// One HTTP/1.1 connection.
///
/// hyper's connection future runs inside the task of the request. That saves a task and two wake-ups per ping, and the
/// ping is written in the first poll of its task.
///
/// Boxed, because it moves from future to future, and there may be a thousand of them.
pub(in crate::aws) struct Http1(Box<Inner>);

struct Inner {
    sender: http1::SendRequest<SdkBody>,
    connection: http1::Connection<TokioIo<Box<dyn Transport>>, SdkBody>,
    open: bool,
}

/// The reason why a request has no usable answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

impl AnswerError {
    /// Adds the origin.
    pub(super) fn into_failure(self, origin: &Origin) -> Failure {
        let origin = origin.clone();
        match self {
            Self::Http(error) if error.is_parse() => Failure::NotHttp { origin, reason: reasons(&error) },
            Self::Http(error) => Failure::Broke { origin, reason: reasons(&error) },
            Self::TooLong(_) => Failure::NotHttp { origin, reason: self.to_string() },
        }
    }
}

impl Http1 {
    /// Starts an HTTP/1.1 connection over `transport`. Writes nothing yet.
    pub(super) async fn open(transport: Box<dyn Transport>) -> hyper::Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(transport)).await?;
        Ok(Self(Box::new(Inner { sender, connection, open: true })))
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if self.0.open && Pin::new(&mut self.0.connection).poll(cx).is_ready() {
            self.0.open = false;
        }
    }

    /// Returns true when a request can be sent. Polls the connection first: the server may have closed it.
    pub(super) async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(self.0.open && self.0.sender.is_ready())
        })
        .await
    }

    /// Sends a request and reads its answer. Writes the request in the first poll.
    pub(super) async fn send(
        &mut self,
        request: http::Request<SdkBody>,
        limit: BodyLimit,
    ) -> Result<http::Response<Bytes>, AnswerError> {
        let mut answer = pin!(self.0.sender.send_request(request));
        let answer = poll_fn(|cx| {
            self.drive(cx);
            answer.as_mut().poll(cx)
        })
        .await?;
        let (mut head, mut body) = answer.into_parts();
        let mut collector = Collector::new(limit);
        while let Some(frame) = self.frame(&mut body).await {
            if let Ok(data) = frame?.into_data() {
                collector.push(data)?;
            }
        }
        let (body, is_whole) = collector.finish();
        if !is_whole {
            // The SDK would compare it with the length of the cut body.
            head.headers.remove(http::header::CONTENT_LENGTH);
        }
        Ok(http::Response::from_parts(head, body))
    }

    async fn frame(&mut self, body: &mut Incoming) -> Option<hyper::Result<hyper::body::Frame<Bytes>>> {
        poll_fn(|cx| {
            let polled = Pin::new(&mut *body).poll_frame(cx);
            if polled.is_ready() {
                return polled;
            }
            self.drive(cx);
            Pin::new(&mut *body).poll_frame(cx)
        })
        .await
    }
}

impl std::fmt::Debug for Http1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http1").field("open", &self.0.open).finish_non_exhaustive()
    }
}
