//! Notifications for systemd, see sd_notify(3): readiness, the stop, and the watchdog. Without `NOTIFY_SOCKET` there are
//! none.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use crate::engine::stop::Stop;
use crate::service::health::TickWatch;

/// The service is ready.
pub const READY: &str = "READY=1";
const STOPPING: &str = "STOPPING=1";
const WATCHDOG: &str = "WATCHDOG=1";

/// Sends notifications.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    /// The time after which systemd restarts a service without notifications; none without a watchdog.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Creates the notifier that the environment describes. Logs a warning if its socket cannot be used.
    pub fn from_environment() -> Self {
        let socket = env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()).and_then(|path| {
            let failed = |error| warn!(%error, socket = ?path, "NOTIFY_SOCKET cannot be used: systemd is not notified");
            connect(&path).map_err(failed).ok()
        });
        let number = |name| env::var(name).ok()?.parse::<u64>().ok();
        // The watchdog may be meant for another process.
        let is_own = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(std::process::id()));
        let period = number("WATCHDOG_USEC").filter(|period| *period > 0 && is_own);
        Self { socket, watchdog: period.map(Duration::from_micros) }
    }

    /// Sends a notification. It never waits: a notification that systemd has no room for is lost.
    pub fn send(&self, state: &str) {
        if let Some(Err(error)) = self.socket.as_ref().map(|socket| socket.send(state.as_bytes())) {
            warn!(%error, state, "systemd was not notified");
        }
    }

    /// Notifies systemd of the stop, and its watchdog in half of its time for as long as `watch` finds the ticks
    /// healthy. Never ends.
    pub async fn keep(&self, watch: &TickWatch, mut stop: Stop) {
        let stopping = async {
            stop.stopped().await;
            self.send(STOPPING);
        };
        let watchdog = async {
            while let Some(period) = self.watchdog {
                if watch.condition().is_healthy() {
                    self.send(WATCHDOG);
                }
                sleep(period / 2).await;
            }
        };
        tokio::join!(stopping, watchdog);
    }
}

/// Connects to a socket in the file system, or to an abstract one, whose name begins with `@`.
fn connect(path: &OsString) -> io::Result<UnixDatagram> {
    let address = match path.as_bytes().strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::stop::stop;
    use crate::service::clock::SystemClock;
    use crate::service::health::LONGEST;

    /// Returns the notifications that have arrived.
    fn arrived(socket: &UnixDatagram) -> Vec<String> {
        let next = || {
            let mut buffer = [0; 100];
            let length = socket.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        };
        std::iter::from_fn(next).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_notified_until_ticks_are_stale_and_while_the_daemon_stops() {
        let (near, far) = UnixDatagram::pair().unwrap();
        for socket in [&near, &far] {
            socket.set_nonblocking(true).unwrap();
        }
        let notifier = Notifier { socket: Some(near), watchdog: Some(Duration::from_secs(60)) };
        let (stopper, stop) = stop();
        let cron = "0 * * * * *".parse().unwrap();
        let watch = TickWatch::start(cron, std::sync::Arc::new(SystemClock), stop.clone());
        tokio::spawn(async move { notifier.keep(&watch, stop).await });
        sleep(Duration::from_secs(1)).await;
        for _ in 0..=LONGEST.as_secs() / 30 {
            assert_eq!(arrived(&far), [WATCHDOG]);
            sleep(Duration::from_secs(30)).await;
        }
        sleep(Duration::from_secs(600)).await;
        assert_eq!(arrived(&far), [""; 0]);
        stopper.stop();
        sleep(Duration::from_secs(30)).await;
        assert_eq!(arrived(&far), [STOPPING, WATCHDOG]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_abstract_socket_is_notified() {
        let name = format!("warmd-test-{}", std::process::id());
        let address = <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let near = connect(&format!("@{name}").into()).unwrap();
        Notifier { socket: Some(near), watchdog: None }.send(READY);
        assert_eq!(arrived(&socket), [READY]);
    }
}
