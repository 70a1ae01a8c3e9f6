//! A stream with its own writer thread. A reader that stops reading blocks that thread only.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{error, warn};

/// The maximum number of bytes that wait for the reader of a stream of the daemon. A tick object of 1,000 rounds has
/// about 700,000.
pub const DAEMON_QUEUE: usize = 4 << 20;
/// The time before the thread tries again to write to a stream in non-blocking mode.
const RETRY: Duration = Duration::from_millis(20);

/// The treatment of messages while the reader does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// Messages are dropped and counted above this number of waiting bytes. A single message may have any size.
    DropAbove(usize),
    /// Every message is kept until it is written.
    Keep,
}

/// The result of pushing a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It waits to be written.
    Queued,
    /// It was dropped and counted.
    Dropped,
    /// The reader has closed the stream.
    Closed,
}

/// The state of an outlet after the wait for its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// All messages are written, or dropped and counted.
    Done,
    /// The reader of standard output has closed its end.
    Closed,
    /// A signal ended the wait for the reader.
    Abandoned,
}

/// A stream with its own writer thread. Clones are the same stream.
#[derive(Debug, Clone)]
pub struct Outlet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    overflow: Overflow,
    state: Mutex<Queue>,
    /// Signalled when a message arrives.
    arrived: Condvar,
    /// Signalled when a message has been written or discarded.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    queue: VecDeque<Vec<u8>>,
    /// The bytes in `queue`.
    bytes: usize,
    /// The thread is writing a message.
    writing: bool,
    /// Messages dropped and not yet reported.
    dropped: u64,
    /// The reader has closed its end, or a kept message could not be written.
    closed: bool,
    /// The last message could not be written.
    failing: bool,
    /// The error of the first message that could not be written.
    failure: Option<io::Error>,
}

thread_local! {
    /// The result of the last message that this thread pushed to any outlet.
    static LAST_PUSHED: Cell<Pushed> = const { Cell::new(Pushed::Queued) };
}

impl Outlet {
    /// Starts the thread that writes to `stream`. `name` is for logs, such as `standard output`.
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub fn start(
        name: &'static str,
        overflow: Overflow,
        stream: impl Write + Send + 'static,
    ) -> io::Result<Self> {
        let outlet = Self(Arc::new(Inner {
            name,
            overflow,
            state: Mutex::default(),
            arrived: Condvar::new(),
            ended: Notify::new(),
        }));
        let writer = outlet.clone();
        thread::Builder::new().name(name.to_owned()).spawn(move || writer.write_messages(stream))?;
        Ok(outlet)
    }

    /// Queues a message. Never waits for the reader.
    pub fn push(&self, message: Vec<u8>) -> Pushed {
        let pushed = self.state().push(message, self.0.overflow);
        self.0.arrived.notify_one();
        LAST_PUSHED.set(pushed);
        pushed
    }

    /// Waits until nothing is left to write.
    pub async fn drained(&self) {
        loop {
            let ended = self.0.ended.notified();
            let mut ended = std::pin::pin!(ended);
            ended.as_mut().enable();
            if self.state().is_idle() {
                return;
            }
            ended.await;
        }
    }

    /// Returns true if the reader has closed its end.
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Takes the error of the first message that could not be written. A closed stream is not an error.
    pub fn take_failure(&self) -> Option<io::Error> {
        self.state().failure.take()
    }

    /// Logs how many messages have been dropped since the last report, if any.
    pub fn report_dropped(&self) {
        let dropped = std::mem::take(&mut self.state().dropped);
        if dropped == 0 {
            return;
        }
        LAST_PUSHED.set(Pushed::Queued);
        warn!(stream = self.0.name, dropped, "output was dropped because its reader did not read");
        if LAST_PUSHED.get() == Pushed::Dropped {
            // The log is full as well: the next report includes them.
            self.state().dropped += dropped;
        }
    }

    fn state(&self) -> MutexGuard<'_, Queue> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_messages(&self, mut stream: impl Write) {
        while let Some(message) = self.next() {
            match write_whole(&mut stream, &message) {
                Ok(()) => self.written(),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.state().close();
                    if self.0.overflow != Overflow::Keep {
                        warn!(
                            stream = self.0.name,
                            "the reader has closed the stream: nothing more is written to it"
                        );
                    }
                    self.0.ended.notify_waiters();
                }
                Err(error) => self.failed(error),
            }
        }
    }

    /// Waits for a message. Returns `None` when the stream is closed.
    fn next(&self) -> Option<Vec<u8>> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(message) = state.queue.pop_front() {
                state.bytes -= message.len();
                state.writing = true;
                return Some(message);
            }
            state = self.0.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn written(&self) {
        let reads_again = {
            let mut state = self.state();
            state.failing = false;
            let catching_up = match self.0.overflow {
                Overflow::DropAbove(limit) => state.bytes <= limit / 2,
                Overflow::Keep => true,
            };
            state.dropped > 0 && catching_up
        };
        if reads_again {
            self.report_dropped();
        }
        self.state().writing = false;
        self.0.ended.notify_waiters();
    }

    fn failed(&self, error: io::Error) {
        match self.0.overflow {
            Overflow::DropAbove(_) => {
                let first = {
                    let mut state = self.state();
                    state.dropped += 1;
                    !std::mem::replace(&mut state.failing, true)
                };
                if first {
                    error!(stream = self.0.name, %error, "output cannot be written");
                }
                self.state().writing = false;
            }
            Overflow::Keep => {
                let mut state = self.state();
                state.failure.get_or_insert(error);
                state.close();
            }
        }
        self.0.ended.notify_waiters();
    }
}

impl Queue {
    fn push(&mut self, message: Vec<u8>, overflow: Overflow) -> Pushed {
        if self.closed {
            return Pushed::Closed;
        }
        let fits = match overflow {
            Overflow::DropAbove(limit) => self.queue.is_empty() || self.bytes + message.len() <= limit,
            Overflow::Keep => true,
        };
        if !fits {
            self.dropped += 1;
            return Pushed::Dropped;
        }
        self.bytes += message.len();
        self.queue.push_back(message);
        Pushed::Queued
    }

    fn is_idle(&self) -> bool {
        self.closed || self.queue.is_empty() && !self.writing
    }

    fn close(&mut self) {
        self.closed = true;
        self.writing = false;
        self.queue = VecDeque::new();
        self.bytes = 0;
    }
}

/// Writes a whole message, and waits for the reader.
fn write_whole(stream: &mut impl Write, mut message: &[u8]) -> io::Result<()> {
    while !message.is_empty() {
        match stream.write(message) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => message = message.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The parent process has set the pipe to non-blocking mode.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::park_timeout(RETRY),
            Err(error) => return Err(error),
        }
    }
    stream.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A stream whose reader decides the result of each write.
    struct Reader {
        began: Sender<Vec<u8>>,
        result: Receiver<io::Result<()>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.began.send(bytes.to_vec());
            // The thread must end when the test has dropped the reader.
            self.result.recv().unwrap_or(Ok(())).map(|()| bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Pipe {
        outlet: Outlet,
        began: Receiver<Vec<u8>>,
        result: Sender<io::Result<()>>,
    }

    fn pipe(overflow: Overflow) -> Pipe {
        let ((began, begins), (results, result)) = (channel(), channel());
        let outlet = Outlet::start("test", overflow, Reader { began, result }).unwrap();
        Pipe { outlet, began: begins, result: results }
    }

    impl Pipe {
        fn read(&self) -> String {
            let message = self.began.recv().unwrap();
            self.result.send(Ok(())).unwrap();
            String::from_utf8(message).unwrap()
        }
    }

    #[tokio::test]
    async fn messages_for_a_blocked_reader_are_dropped_and_counted() {
        let pipe = pipe(Overflow::DropAbove(10));
        let push = |text: &str| pipe.outlet.push(text.into());
        assert_eq!(push("first"), Pushed::Queued);
        assert_eq!(pipe.began.recv().unwrap(), b"first", "the thread writes it and is blocked");
        assert_eq!([push("12345"), push("67890")], [Pushed::Queued; 2]);
        assert_eq!([push("x"), push("yy")], [Pushed::Dropped; 2]);
        assert_eq!(pipe.outlet.state().dropped, 2);
        pipe.result.send(Ok(())).unwrap();
        assert_eq!([pipe.read(), pipe.read()], ["12345", "67890"]);
        pipe.outlet.drained().await;
        assert_eq!(pipe.outlet.state().dropped, 0, "reported");
        assert_eq!(push("again"), Pushed::Queued);
        assert_eq!(pipe.read(), "again");
    }

    #[tokio::test]
    async fn a_single_message_may_have_any_size() {
        let pipe = pipe(Overflow::DropAbove(3));
        assert_eq!(pipe.outlet.push(vec![b'a'; 100]), Pushed::Queued);
        assert_eq!(pipe.read().len(), 100);
        pipe.outlet.drained().await;
    }

    #[tokio::test]
    async fn a_command_drops_no_message() {
        let pipe = pipe(Overflow::Keep);
        for index in 0..1_000 {
            assert_eq!(pipe.outlet.push(format!("{index}").into()), Pushed::Queued);
        }
        for index in 0..1_000 {
            assert_eq!(pipe.read(), index.to_string());
        }
        pipe.outlet.drained().await;
    }

    #[tokio::test]
    async fn a_closed_pipe_closes_the_outlet_without_an_error() {
        let pipe = pipe(Overflow::DropAbove(10));
        pipe.outlet.push("a".into());
        pipe.result.send(Err(io::ErrorKind::BrokenPipe.into())).unwrap();
        pipe.outlet.drained().await;
        assert!(pipe.outlet.is_closed() && pipe.outlet.take_failure().is_none());
        assert_eq!(pipe.outlet.push("b".into()), Pushed::Closed);
    }

    #[tokio::test]
    async fn a_stream_in_non_blocking_mode_is_written_to_the_end() {
        let pipe = pipe(Overflow::Keep);
        pipe.outlet.push("all".into());
        for result in [Err(io::ErrorKind::WouldBlock.into()), Err(io::ErrorKind::Interrupted.into()), Ok(())]
        {
            assert_eq!(pipe.began.recv().unwrap(), b"all");
            pipe.result.send(result).unwrap();
        }
        pipe.outlet.drained().await;
        assert!(pipe.outlet.take_failure().is_none());
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error_of_a_command_and_drops_a_message_of_the_daemon() {
        let full = || Err(io::ErrorKind::StorageFull.into());
        let pipe = self::pipe(Overflow::Keep);
        pipe.outlet.push("a".into());
        pipe.result.send(full()).unwrap();
        pipe.outlet.drained().await;
        assert_eq!(pipe.outlet.take_failure().map(|error| error.kind()), Some(io::ErrorKind::StorageFull));

        let pipe = self::pipe(Overflow::DropAbove(10));
        pipe.outlet.push("a".into());
        pipe.result.send(full()).unwrap();
        pipe.outlet.drained().await;
        assert_eq!(pipe.outlet.state().dropped, 1);
        assert_eq!(pipe.outlet.push("b".into()), Pushed::Queued);
    }
}
