//! One HTTP/1.1 connection, driven by the request that uses it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use aws_smithy_types::body::SdkBody;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::dial::Transport;

/// One HTTP/1.1 connection.
///
/// hyper's connection future runs inside the request's own task, not in one of its own: a released ping is written
/// in the same poll in which it learns of the release, and a task and two wake-ups per ping are saved.
///
/// Boxed: it is handed from future to future, and each of a thousand would have room for it.
pub(super) struct Line(Box<Ends>);

struct Ends {
    sender: SendRequest<SdkBody>,
    connection: Connection<TokioIo<Box<dyn Transport>>, SdkBody>,
    open: bool,
}

/// How much of an answer's body is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it; more bytes than this are an error.
    AtMost(usize),
    /// The first bytes; what follows is read and dropped.
    First(usize),
}

/// Why an exchange on a line came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
}

impl Line {
    /// Speaks HTTP/1.1 on `transport`. Nothing is written yet.
    pub(super) async fn open(transport: Box<dyn Transport>) -> hyper::Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(transport)).await?;
        Ok(Self(Box::new(Ends { sender, connection, open: true })))
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if self.0.open && Pin::new(&mut self.0.connection).poll(cx).is_ready() {
            self.0.open = false;
        }
    }

    /// Whether a request can be sent. Looks at the socket first: the server may have closed it.
    pub(super) async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(self.0.open && self.0.sender.is_ready())
        })
        .await
    }

    /// Waits for `future` while keeping an eye on the socket.
    pub(super) async fn meanwhile<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let polled = future.as_mut().poll(cx);
            if polled.is_pending() {
                self.drive(cx);
            }
            polled
        })
        .await
    }

    /// Sends a request and reads its answer. The request is written in the first poll.
    pub(super) async fn exchange(
        &mut self,
        request: http::Request<SdkBody>,
        wanted: Wanted,
    ) -> Result<http::Response<SdkBody>, Cut> {
        let mut answer = pin!(self.0.sender.send_request(request));
        let answer = poll_fn(|cx| {
            self.drive(cx);
            answer.as_mut().poll(cx)
        })
        .await?;
        let (mut head, body) = answer.into_parts();
        let (body, whole) = self.read(body, wanted).await?;
        if !whole {
            // The SDK compares it with the body's length.
            head.headers.remove(http::header::CONTENT_LENGTH);
        }
        Ok(http::Response::from_parts(head, SdkBody::from(body)))
    }

    /// Reads a body to its end. Tells whether all of it was kept.
    async fn read(&mut self, mut body: Incoming, wanted: Wanted) -> Result<(Bytes, bool), Cut> {
        // Most answers come in one piece, which is kept as it is.
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        let mut whole = true;
        while let Some(frame) = self.frame(&mut body).await {
            let Ok(mut data) = frame?.into_data() else { continue };
            let kept = first.len() + rest.len();
            match wanted {
                Wanted::AtMost(most) if kept + data.len() > most => return Err(Cut::TooLong(most)),
                Wanted::First(most) if kept + data.len() > most => {
                    whole = false;
                    data.truncate(most - kept);
                }
                Wanted::AtMost(_) | Wanted::First(_) => {}
            }
            if first.is_empty() {
                first = data;
            } else {
                rest.extend_from_slice(&data);
            }
        }
        if rest.is_empty() {
            return Ok((first, whole));
        }
        let mut joined = BytesMut::with_capacity(first.len() + rest.len());
        joined.extend_from_slice(&first);
        joined.extend_from_slice(&rest);
        Ok((joined.freeze(), whole))
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

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("open", &self.0.open).finish_non_exhaustive()
    }
}
