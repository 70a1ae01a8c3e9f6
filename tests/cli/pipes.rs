//! Readers of the output that stop reading, or close the pipe.

use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write, pipe};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Done, Emulate, Holding, PATIENCE, Running, warmd, with_aws, write};

/// Three times what a pipe holds, as tick objects.
const TARGETS: usize = 300;

const ONE: &str = "
version: 1
defaults: { region: eu-west-2 }
functions:
  f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
";

fn many() -> String {
    let functions = (0..TARGETS).map(|index| {
        format!("  f{index}: {{ windows: [{{ days: daily, hours: all-day, concurrency: 1 }}] }}\n")
    });
    format!(
        "version: 1\ndefaults: {{ region: eu-west-2, interval: 1m }}\nfunctions:\n{}",
        functions.collect::<String>()
    )
}

/// A daemon that ticks every second and logs what it records.
fn daemon(configs: &str, endpoint: &str) -> Command {
    let args = ["--log-level", "info,warmd=debug", "run", "--json", "--cron", "* * * * * *", configs];
    with_aws(warmd(&args), endpoint)
}

/// A stream without a reader.
fn closed() -> PipeWriter {
    pipe().unwrap().1
}

/// A stream that takes no further byte until its reader reads.
fn full() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    let mut filler = writer.try_clone().unwrap();
    let (written, progress) = mpsc::channel();
    // Ends when the reader is dropped.
    thread::spawn(move || while filler.write_all(b"x").is_ok() && written.send(()).is_ok() {});
    while progress.recv_timeout(Duration::from_millis(300)).is_ok() {}
    (reader, writer)
}

/// Sleeps for a moment, in a loop that waits for another process.
fn pause() {
    let (_sender, never) = mpsc::channel::<()>();
    let _ = never.recv_timeout(Duration::from_millis(50));
}

/// A process whose output nobody reads. It is killed when this is dropped.
struct Unread(Child);

impl Unread {
    fn start(mut command: Command, stdout: PipeWriter, stderr: PipeWriter) -> Self {
        Self(command.stdout(stdout).stderr(stderr).spawn().unwrap())
    }

    fn terminate(&self) {
        let id = self.0.id().to_string();
        // It may have ended by itself meanwhile.
        let _ = Command::new("kill").args(["-s", "TERM", &id]).stderr(Stdio::null()).status().unwrap();
    }

    /// Sends SIGTERM until the process ends. A process that hears signals needs two.
    fn terminate_until_it_ends(&mut self) -> ExitStatus {
        for _ in 0..400 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            self.terminate();
            pause();
        }
        panic!("it ignores signals");
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the values of a metric in CloudWatch.
fn values(emulate: &Emulate, name: &str) -> Vec<f64> {
    let seen = emulate.observations();
    let metrics = seen["metrics"].as_array().unwrap().iter().filter(|metric| metric["name"] == name);
    metrics.map(|metric| metric["values"][0][0].as_f64().unwrap()).collect()
}

/// Returns the number of ticks of the schedule in CloudWatch.
fn ticks(emulate: &Emulate) -> usize {
    values(emulate, "TickDuration").len()
}

/// Waits until CloudWatch has the tick with all targets.
fn await_large_tick(running: &Running, emulate: &Emulate) {
    while !values(emulate, "Functions").contains(&(TARGETS as f64)) {
        running.await_stderr("recorded");
    }
}

/// Waits until CloudWatch has at least so many ticks.
fn await_ticks(emulate: &Emulate, least: usize) {
    for _ in 0..600 {
        if ticks(emulate) >= least {
            return;
        }
        pause();
    }
    panic!("CloudWatch has {} ticks", ticks(emulate));
}

fn lines(reader: PipeReader) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

#[test]
fn a_daemon_with_a_blocked_reader_records_ticks_and_prints_them_later() {
    let folder = tempfile::tempdir().unwrap();
    let emulate = Emulate::start(folder.path(), "default: { profile: rust }\n");
    let configs = write(folder.path(), "many.yaml", &many());
    let (reader, writer) = pipe().unwrap();
    let running = Running::start_into(daemon(configs.to_str().unwrap(), &emulate.endpoint), writer);
    await_large_tick(&running, &emulate);
    for _ in 0..2 {
        running.await_stderr("recorded");
    }
    // Nothing was lost: there was room for these few.
    let ticks = lines(reader);
    let mut rounds = 0;
    while rounds == 0 {
        let tick: Value = serde_json::from_str(&ticks.recv_timeout(PATIENCE).unwrap()).unwrap();
        rounds = tick["rounds"].as_array().unwrap().len();
    }
    assert_eq!(rounds, TARGETS);
    running.signal("TERM");
    let (status, _, stderr) = running.end();
    assert_eq!(status.code(), Some(0), "{stderr}");
}

#[test]
fn a_daemon_with_a_blocked_reader_ends_at_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let emulate = Emulate::start(folder.path(), "default: { profile: rust }\n");
    let configs = write(folder.path(), "many.yaml", &many());
    let (_unread, writer) = pipe().unwrap();
    let running = Running::start_into(daemon(configs.to_str().unwrap(), &emulate.endpoint), writer);
    await_large_tick(&running, &emulate);
    running.signal("TERM");
    let (status, _, stderr) = running.end();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("stopped"), "{stderr}");
}

#[test]
fn two_signals_end_a_daemon_with_blocked_readers() {
    let folder = tempfile::tempdir().unwrap();
    let emulate = Emulate::start(folder.path(), "default: { profile: rust }\n");
    let configs = write(folder.path(), "one.yaml", ONE);
    let lambda = Holding::new();
    let mut command = daemon(configs.to_str().unwrap(), &emulate.endpoint);
    command.env("AWS_ENDPOINT_URL_LAMBDA", lambda.endpoint());
    let ((_stdout, stdout), (_stderr, stderr)) = (full(), full());
    let mut unread = Unread::start(command, stdout, stderr);
    // The ping is never answered: only the second signal ends the process.
    let (sender, pinged) = mpsc::channel();
    thread::spawn(move || sender.send(lambda.ping()));
    let _ping = pinged.recv_timeout(PATIENCE).expect("no ping");
    assert_eq!(unread.terminate_until_it_ends().code(), Some(1));
}

#[test]
fn a_daemon_with_closed_pipes_continues() {
    let folder = tempfile::tempdir().unwrap();
    let emulate = Emulate::start(folder.path(), "default: { profile: rust }\n");
    let configs = write(folder.path(), "one.yaml", ONE);
    let command = daemon(configs.to_str().unwrap(), &emulate.endpoint);
    let mut unread = Unread::start(command, closed(), closed());
    await_ticks(&emulate, 3);
    assert_eq!(emulate.observations()["invocations"].as_array().unwrap().len(), 1);
    assert_eq!(unread.terminate_until_it_ends().code(), Some(0));
}

#[test]
fn a_tick_with_a_blocked_reader_is_recorded_and_printed_completely() {
    let folder = tempfile::tempdir().unwrap();
    let emulate = Emulate::start(folder.path(), "default: { profile: rust }\n");
    let configs = write(folder.path(), "many.yaml", &many());
    let args = ["run", "--once", "--due-only", "--json", configs.to_str().unwrap()];
    let once = || with_aws(warmd(&args), &emulate.endpoint);
    let (reader, writer) = pipe().unwrap();
    let running = Running::start_into(once(), writer);
    await_ticks(&emulate, 1);
    let tick: Value = serde_json::from_str(&lines(reader).recv_timeout(PATIENCE).unwrap()).unwrap();
    assert_eq!(tick["rounds"].as_array().unwrap().len(), TARGETS, "a command drops nothing");
    assert_eq!(running.end().0.code(), Some(0));

    // A signal ends the wait for the reader.
    let ((_unread, stdout), (_stderr, stderr)) = (pipe().unwrap(), pipe().unwrap());
    let mut unread = Unread::start(once(), stdout, stderr);
    await_ticks(&emulate, 2);
    assert_eq!(unread.terminate_until_it_ends().code(), Some(1));
}

#[test]
fn commands_with_a_closed_pipe_end_with_0() {
    let folder = tempfile::tempdir().unwrap();
    let configs = write(folder.path(), "one.yaml", ONE);
    let other = write(folder.path(), "other.yaml", &ONE.replace("concurrency: 1", "concurrency: 2"));
    let (configs, other) = (configs.to_str().unwrap(), other.to_str().unwrap());
    let commands: &[&[&str]] = &[
        &["plan", configs],
        &["plan", "--json", configs],
        &["explain", "f", configs],
        &["check", configs],
        &["check", "--format", "json", configs],
        &["diff", configs, other, "--exit-code"],
        &["iam", configs, "--region", "eu-west-2"],
        &["price", "book"],
        &["schema"],
        &["handler", "python"],
        &["run", "--once", "--local", configs],
        &["run", "--once", "--local", "--json", configs],
        &["warm", "f", "--concurrency", "2", "--local"],
    ];
    for args in commands {
        let end = |mut command: Command| {
            let output = command.stdout(closed()).output().unwrap();
            Done::of(output)
        };
        let done = end(warmd(args));
        assert_eq!(
            (done.code, done.stderr.contains("error"), done.stderr.contains("panicked")),
            (0, false, false),
            "{args:?}: {}",
            done.stderr
        );
        // Standard error is gone as well.
        let status = warmd(args).stdout(closed()).stderr(closed()).status().unwrap();
        assert_eq!(status.code(), Some(0), "{args:?}");
    }
}

#[test]
fn a_command_that_cannot_write_its_output_fails() {
    let folder = tempfile::tempdir().unwrap();
    let configs = write(folder.path(), "one.yaml", ONE);
    for args in [&["plan"][..], &["run", "--once", "--local"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = warmd(&[args, &[configs.to_str().unwrap()]].concat());
        let done = Done::of(command.stdout(full).output().unwrap());
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(done.stderr.contains("cannot write to standard output"), "{}", done.stderr);
    }
}
