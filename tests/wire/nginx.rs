//! nginx between warmd and the emulator, with few HTTP/2 streams and without HTTP/2. The tests are skipped with a
//! message where nginx is not installed; `.ci/run` installs it.

use std::collections::HashSet;
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::RootCertStore;
use warmd::aws::connector::{Connector, Dialer, Proxies, Roots};
use warmd::aws::{AwsLambda, Clients};
use warmd::domain::cost::PriceBook;
use warmd::domain::fleet::{Hold, Target};
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::round::{RoundReport, Verdict};
use warmd::emulator::profile::Span;
use warmd::emulator::{Emulator, Profile, Scenario, listen};
use warmd::engine::stop::stop;
use warmd::engine::tick::{Due, Engine};

const N: u32 = 100;
const ROUNDS: usize = 5;

/// An nginx process, killed when dropped.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Nginx {
    /// Starts nginx with `listen` and further directives of the server; none where it is not installed.
    fn start(folder: &Path, listen: &str, directives: &str, upstream: u16) -> Option<Self> {
        let shown = folder.display();
        let config = format!(
            "daemon off; worker_processes 1; pid {shown}/pid; error_log {shown}/errors;\n\
             events {{ worker_connections 2048; }}\n\
             http {{ log_format short '$server_protocol $connection $status'; access_log {shown}/access short;\n\
             client_body_temp_path {shown}/body; proxy_temp_path {shown}/proxy; fastcgi_temp_path {shown}/f;\n\
             uwsgi_temp_path {shown}/u; scgi_temp_path {shown}/s;\n\
             upstream lambda {{ server 127.0.0.1:{upstream}; }}\n\
             server {{ listen {listen}; ssl_certificate {shown}/cert.pem; ssl_certificate_key {shown}/key.pem;\n\
             {directives} location / {{ proxy_pass http://lambda; proxy_http_version 1.1; }} }} }}\n"
        );
        std::fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut command = Command::new("nginx");
        command.args(["-e", "stderr", "-p"]).arg(folder).arg("-c").arg(folder.join("nginx.conf"));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok().map(Self)
    }
}

/// Sends rounds of 100 pings through nginx. Returns their records, the emulator and the lines of the access log.
async fn rounds(http2: &str, directives: &str) -> Option<(Vec<RoundReport>, Emulator, Vec<String>)> {
    let quick = Profile { fetch: Span::millis(0), init: Span::millis(0), ..Profile::default() };
    let emulator = Emulator::new(Scenario::default().with("f", quick));
    let upstream = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let upstream_port = upstream.local_addr().unwrap().port();
    let serving = emulator.clone();
    tokio::spawn(async move { serving.serve(upstream, None, std::future::pending()).await });

    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listening = format!("127.0.0.1:{port} ssl {http2}");
    let nginx = Nginx::start(folder.path(), &listening, directives, upstream_port);
    let Some(_nginx) = nginx else {
        eprintln!("skipped: nginx is not installed (Debian: apt-get install nginx-light)");
        return None;
    };
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let connector = Connector::new(Dialer::Tcp, Roots::Given(Arc::new(roots)), Proxies::Direct);
    let clients = Clients::local_through(&format!("https://localhost:{port}"), connector);
    let engine = Engine::new(AwsLambda::new(Arc::new(clients)), PriceBook::embedded(), N as usize);
    let (engine, (_stopper, stop)) = (Arc::new(engine), stop());
    let bare = Target::bare(&FunctionRef::parse("f").unwrap(), Region::parse("eu-west-2").unwrap());
    let target = Arc::new(Target { hold: Hold::Fixed(Duration::from_millis(300)), ..bare });
    let mut records = Vec::new();
    for _ in 0..ROUNDS {
        let due = Due::new(Arc::clone(&target), NonZeroU32::new(N).unwrap());
        let now = "2026-11-20T09:00:00Z".parse().unwrap();
        let tick = engine.tick(now, None, vec![due], &stop).await;
        records.push(tick.rounds[0].sent().unwrap().report.clone());
    }
    let access = std::fs::read_to_string(folder.path().join("access")).unwrap();
    Some((records, emulator, access.lines().map(str::to_owned).collect()))
}

fn check(records: &[RoundReport], emulator: &Emulator) {
    for record in records {
        assert_eq!((record.verdict, record.reached), (Verdict::Reached, Some(N)), "{:?}", record.messages);
    }
    let pings: u32 = records.iter().map(|record| record.pings).sum();
    assert_eq!(emulator.observe().invocations.len(), pings as usize, "no ping ran twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_with_http2_and_few_streams() {
    // A connection ends after 60 requests, between rounds and in the middle of one.
    let directives = "http2_max_concurrent_streams 32; keepalive_requests 60;";
    let Some((records, emulator, access)) = rounds("http2", directives).await else { return };
    check(&records, &emulator);
    assert!(access.iter().all(|line| line.starts_with("HTTP/2.0 ") && line.ends_with(" 200")), "{access:?}");
    let connections: HashSet<_> = access.iter().map(|line| line.split(' ').nth(1)).collect();
    // With 32 streams each, a round needs four connections. With 60 requests each, 500 pings need at least nine.
    assert!((9..=20).contains(&connections.len()), "{} connections", connections.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_without_http2() {
    let Some((records, emulator, access)) = rounds("", "").await else { return };
    check(&records, &emulator);
    assert!(access.iter().all(|line| line.starts_with("HTTP/1.1 ") && line.ends_with(" 200")), "{access:?}");
    let connections: HashSet<_> = access.iter().map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(connections.len(), N as usize, "one for each ping, reused by the next round");
}
