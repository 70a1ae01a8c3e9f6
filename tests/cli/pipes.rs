//! Readers of the output that stop reading, or close the pipe.

use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Done, Emulate, Fixture, Holding, ONE, PATIENCE, Running, lines, pause, warmd, write};

/// A tick object of so many targets is three times as large as the buffer of a pipe.
const TARGETS: usize = 300;

fn many() -> String {
    let functions = (0..TARGETS).map(|index| {
        format!("  f{index}: {{ windows: [{{ days: daily, hours: all-day, concurrency: 1 }}] }}\n")
    });
    format!(
        "version: 1\ndefaults: {{ region: eu-west-2, interval: 1m, canary: off }}\nfunctions:\n{}",
        functions.collect::<String>()
    )
}

/// Returns a daemon that ticks every second and logs each record.
fn daemon(fixture: &Fixture) -> Command {
    fixture.warmd(&["--log-level", "info,warmd=debug", "run", "--json", "--cron", "* * * * * *"])
}

/// Returns a stream without a reader.
fn closed() -> PipeWriter {
    pipe().unwrap().1
}

/// Returns a pipe with a full buffer.
fn full() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    let mut filler = writer.try_clone().unwrap();
    let (written, progress) = mpsc::channel();
    // Ends when the reader is dropped.
    thread::spawn(move || while filler.write_all(b"x").is_ok() && written.send(()).is_ok() {});
    while progress.recv_timeout(Duration::from_millis(300)).is_ok() {}
    (reader, writer)
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
        pause(Duration::from_millis(50));
    }
    panic!("CloudWatch has {} ticks", ticks(emulate));
}

#[test]
fn a_daemon_with_unread_output_records_ticks_and_prints_them_later() {
    let fixture = Fixture::new(&many());
    let (reader, writer) = pipe().unwrap();
    let running = Running::start_into(daemon(&fixture), writer);
    await_large_tick(&running, &fixture.emulate);
    for _ in 0..2 {
        running.await_stderr("recorded");
    }
    // Nothing was dropped, because these few fit into the queue.
    let ticks = lines(reader);
    let mut rounds = 0;
    while rounds == 0 {
        let tick: Value = serde_json::from_str(&ticks.recv_timeout(PATIENCE).unwrap()).unwrap();
        rounds = tick["rounds"].as_array().unwrap().len();
    }
    assert_eq!(rounds, TARGETS);
    running.stop();
}

#[test]
fn a_signal_ends_a_daemon_with_unread_output() {
    let fixture = Fixture::new(&many());
    let (_unread, writer) = pipe().unwrap();
    let running = Running::start_into(daemon(&fixture), writer);
    await_large_tick(&running, &fixture.emulate);
    let stderr = running.stop();
    assert!(stderr.contains("stopped"), "{stderr}");
}

#[test]
fn two_signals_end_a_daemon_with_full_pipes() {
    let fixture = Fixture::new(ONE);
    let lambda = Holding::new();
    let mut command = daemon(&fixture);
    command.env("AWS_ENDPOINT_URL_LAMBDA", lambda.endpoint());
    let ((_stdout, stdout), (_stderr, stderr)) = (full(), full());
    let unread = Running::start_unread(command, stdout, stderr);
    // The ping is never answered: only the second signal ends the process.
    let (sender, pinged) = mpsc::channel();
    thread::spawn(move || sender.send(lambda.ping()));
    let _ping = pinged.recv_timeout(PATIENCE).expect("no ping");
    assert_eq!(unread.terminate().code(), Some(1));
}

#[test]
fn a_daemon_continues_with_closed_pipes() {
    let fixture = Fixture::new(ONE);
    let command = daemon(&fixture);
    let unread = Running::start_unread(command, closed(), closed());
    await_ticks(&fixture.emulate, 3);
    assert_eq!(fixture.emulate.observations()["invocations"].as_array().unwrap().len(), 1);
    assert_eq!(unread.terminate().code(), Some(0));
}

#[test]
fn once_records_its_tick_before_the_output_is_read_and_prints_all_of_it() {
    let fixture = Fixture::new(&many());
    let once = || fixture.warmd(&["run", "--once", "--due-only", "--json"]);
    let (reader, writer) = pipe().unwrap();
    let running = Running::start_into(once(), writer);
    await_ticks(&fixture.emulate, 1);
    let tick: Value = serde_json::from_str(&lines(reader).recv_timeout(PATIENCE).unwrap()).unwrap();
    assert_eq!(tick["rounds"].as_array().unwrap().len(), TARGETS, "a command drops nothing");
    assert_eq!(running.end().0.code(), Some(0));

    // A signal ends the wait for the reader.
    let ((_unread, stdout), (_stderr, stderr)) = (pipe().unwrap(), pipe().unwrap());
    let unread = Running::start_unread(once(), stdout, stderr);
    await_ticks(&fixture.emulate, 2);
    assert_eq!(unread.terminate().code(), Some(1));
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
        // Standard error is closed, too.
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
