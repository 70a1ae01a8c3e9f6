//! The daemon seen from outside: `/healthz` and `/metrics` over sockets, and the notifications for systemd.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Fixture, Holding, ONE, PATIENCE, Running, closed_endpoint, done, run};

/// Starts a daemon at a free port of loopback. Returns it and its address.
fn start(mut command: Command) -> (Running, SocketAddr) {
    command.args(["--listen", "0"]);
    let running = Running::start(command);
    let line = running.await_stderr("listening for /healthz and /metrics");
    let address = line.trim().rsplit_once("address=").unwrap().1.parse().unwrap();
    (running, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a request and returns the head and the body of the answer.
fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = connect(address);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn health(address: SocketAddr) -> Value {
    let (head, body) = get(address, "/healthz");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    serde_json::from_str(&body).unwrap()
}

/// Returns the samples that are not zero and have no duration.
fn samples(address: SocketAddr) -> String {
    let (head, body) = get(address, "/metrics");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let is_steady = |line: &&str| {
        let changes = [
            "#",
            "warmd_tick_duration_seconds_sum",
            "warmd_last_tick_timestamp_seconds",
            "warmd_warming_cost",
            "warmd_function_warming_cost",
        ];
        !line.ends_with(" 0") && !changes.iter().any(|changing| line.starts_with(changing))
    };
    body.lines().filter(is_steady).map(|line| format!("{line}\n")).collect()
}

#[test]
fn health_and_metrics_follow_the_ticks() {
    let fixture = Fixture::new(&ONE.replace("functions:", "metrics: { detail: function }\nfunctions:"));
    let lambda = Holding::new();
    let mut command = fixture.warmd(&["run", "--cron", "0 0 0 1 1 *"]);
    command.env("AWS_ENDPOINT_URL_LAMBDA", lambda.endpoint());
    let (running, address) = start(command);
    assert!(address.ip().is_loopback());
    let ping = lambda.ping();
    let starting = health(address);
    assert_eq!((&starting["status"], &starting["last_tick"]), (&"starting".into(), &Value::Null));
    ping.answer();
    running.await_stdout("1 ping");
    let ok = health(address);
    assert_eq!(
        (&ok["status"], &ok["last_error"], &ok["config_age_seconds"]),
        (&"ok".into(), &Value::Null, &0.into())
    );
    assert!(ok["last_tick"].as_str().unwrap().ends_with('Z') && ok["config"].is_string(), "{ok}");
    insta::assert_snapshot!(samples(address), @r#"
    warmd_pings_total 1
    warmd_tick_duration_seconds_count 1
    warmd_functions_total 1
    warmd_function_pings_total{function="f",region="eu-west-2"} 1
    warmd_function_target{function="f",region="eu-west-2"} 1
    warmd_function_reached{function="f",region="eu-west-2"} 1
    warmd_build_info{version="0.1.0"} 1
    warmd_healthy 1
    "#);
    let (_, metrics) = get(address, "/metrics");
    let help = run(&["run", "--help"]).stdout;
    let names = help.split('`').filter(|text| text.starts_with("warmd_") && !text.ends_with('…'));
    let unknown = names.clone().filter(|name| !metrics.contains(&format!("# TYPE {name} ")));
    assert_eq!((names.clone().count(), unknown.collect::<Vec<_>>()), (5, vec![]));
    fixture.write("fleet.yaml", "version: 2");
    running.signal("HUP");
    running.await_stderr("the new configuration is refused");
    let refused = health(address);
    assert_eq!(refused["status"], "ok", "ticks continue with the old configuration");
    assert_eq!(
        refused["last_error"]["message"],
        "the new configuration is refused; the old one stays in force problems=1"
    );
    running.stop();
}

#[test]
fn metrics_and_the_last_error_are_kept_without_cloudwatch_and_without_a_log() {
    let fixture = Fixture::new(ONE);
    let log = "off,warmd::cli::listen=info";
    let mut command = fixture.warmd(&["run", "--cron", "0 0 0 1 1 *", "--log-level", log]);
    command.env("AWS_ENDPOINT_URL_CLOUDWATCH", closed_endpoint());
    let (running, address) = start(command);
    running.await_stdout("1 ping");
    assert!(samples(address).contains("warmd_pings_total 1\n"), "{}", samples(address));
    let message = health(address)["last_error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("CloudWatch did not accept the metrics"), "{message}");
    assert!(!running.stop().contains("ERROR"));
}

#[test]
fn an_address_that_is_in_use_is_an_error_before_any_ping() {
    let fixture = Fixture::new(ONE);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = done(fixture.warmd(&["run", "--listen", &address]));
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(
        ended.stderr.contains(&format!("error: cannot listen on {address}: Address already in use")),
        "{}",
        ended.stderr
    );
    assert_eq!(fixture.emulate.observations()["invocations"], json!([]));
    let ended = run(&["run", "--once", "--listen", "0"]);
    assert!(ended.code == 2 && ended.stderr.contains("cannot be used with"), "{}", ended.stderr);
    let ended = run(&["run", "--listen", "warmd.example:9464"]);
    assert!(
        ended.code == 2 && ended.stderr.contains("expected an IP address and a port"),
        "{}",
        ended.stderr
    );
}

#[test]
fn clients_that_send_nothing_or_never_read_delay_no_tick_and_no_later_client() {
    let fixture = Fixture::new(ONE);
    let (running, address) = start(fixture.warmd(&["run", "--json", "--cron", "* * * * * *"]));
    // More than are served at a time.
    let mut idle: Vec<TcpStream> = (0..40).map(|_| connect(address)).collect();
    for stream in &mut idle[..20] {
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: h\r\n\r\nGET /metrics").unwrap();
    }
    for _ in 0..3 {
        running.await_stdout("\"tick\"");
    }
    drop(idle);
    assert_eq!(health(address)["status"], "ok");
    running.stop();
}

/// Receives the notifications until one of them is `last`.
fn notifications(socket: &UnixDatagram, last: &str) -> Vec<String> {
    let mut all = Vec::new();
    while all.last().is_none_or(|one| one != last) {
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}: {all:?}"));
        all.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    all
}

#[test]
fn systemd_is_notified_of_readiness_of_ticks_and_of_the_stop() {
    let fixture = Fixture::new(ONE);
    let path = fixture.folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let lambda = Holding::new();
    let mut command = fixture.warmd(&["run", "--cron", "0 0 0 1 1 *"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
    let (running, ping) = lambda.start(command);
    assert_eq!(notifications(&socket, "READY=1"), ["READY=1"]);
    assert_eq!(notifications(&socket, "WATCHDOG=1"), ["WATCHDOG=1"]);
    running.signal("TERM");
    let until_stop = notifications(&socket, "STOPPING=1");
    assert!(
        until_stop.len() < 600 && until_stop[..until_stop.len() - 1].iter().all(|one| one == "WATCHDOG=1")
    );
    notifications(&socket, "WATCHDOG=1");
    ping.answer();
    assert_eq!(running.end().0.code(), Some(0));
}

#[test]
fn systemd_that_never_reads_delays_nothing_and_a_bad_socket_is_logged() {
    let fixture = Fixture::new(ONE);
    let path = fixture.folder.path().join("notify");
    let _unread = UnixDatagram::bind(&path).unwrap();
    let mut command = fixture.warmd(&["run", "--cron", "0 0 0 1 1 *"]);
    // A notification each millisecond fills the queue of the socket.
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000");
    let running = Running::start(command);
    running.await_stderr("systemd was not notified");
    running.await_stdout("1 ping");
    running.stop();
    let mut command = fixture.warmd(&["run", "--cron", "0 0 0 1 1 *"]);
    command.env("NOTIFY_SOCKET", "/nonexistent/notify");
    let running = Running::start(command);
    running.await_stderr("NOTIFY_SOCKET cannot be used");
    running.await_stdout("1 ping");
    running.stop();
}
