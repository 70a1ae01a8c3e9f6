//! Helpers: processes of the built binary, its emulator, and a Lambda that responds on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use tempfile::TempDir;

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns a command that runs `warmd` in the repository, without AWS settings of this machine.
pub fn warmd(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warmd"));
    command.args(args).current_dir(root()).env_clear().stdin(Stdio::null());
    // No profile and no instance credentials.
    command.env("HOME", "/nonexistent").env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// Adds the settings of an AWS at `endpoint`.
pub fn with_aws(mut command: Command, endpoint: &str) -> Command {
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", "eu-west-2")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    command
}

/// The result of a command.
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().expect("ended by a signal");
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Returns standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }

    /// Returns exit code and both streams, for a snapshot.
    pub fn shown(&self) -> String {
        format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.code, steady(&self.stdout), self.stderr)
    }
}

/// Runs a command to its end.
pub fn done(mut command: Command) -> Done {
    Done::of(command.output().unwrap())
}

/// Runs `warmd` to its end.
pub fn run(args: &[&str]) -> Done {
    done(warmd(args))
}

/// Replaces durations and configuration hashes.
pub fn steady(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &mut lines {
        if line.starts_with("tick ")
            && let Some((before, _)) = line.split_once("took ")
        {
            *line = format!("{before}took …");
        }
        if let Some((before, after)) = line.split_once(", configuration ") {
            *line = format!("{before}, configuration …{}", &after[8..]);
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The timeout of waits, longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Sleeps, in a loop that waits for another process.
pub fn pause(length: Duration) {
    let (_sender, never) = mpsc::channel::<()>();
    let _ = never.recv_timeout(length);
}

/// A running process. Killed when it is dropped.
pub struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { child, stdout: lines(stdout), stderr: lines(stderr) }
    }

    /// Starts a process with `stdout` as its standard output.
    pub fn start_into(mut command: Command, stdout: impl Into<Stdio>) -> Self {
        let mut child = command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = lines(child.stderr.take().unwrap());
        Self { child, stdout: lines(std::io::empty()), stderr }
    }

    /// Starts a process whose output is not read here.
    pub fn start_unread(mut command: Command, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        let child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
        Self { child, stdout: lines(std::io::empty()), stderr: lines(std::io::empty()) }
    }

    /// Sends SIGTERM until the process ends. A process that handles signals may need two.
    pub fn terminate(mut self) -> ExitStatus {
        for _ in 0..400 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            self.signal("TERM");
            pause(Duration::from_millis(50));
        }
        panic!("the process ignores signals");
    }

    /// Sends SIGTERM, expects exit code 0, and returns standard error.
    pub fn stop(self) -> String {
        self.signal("TERM");
        let (status, _, stderr) = self.end();
        assert_eq!(status.code(), Some(0), "{stderr}");
        stderr
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for a line on standard error that contains `part`, and returns it.
    pub fn await_stderr(&self, part: &str) -> String {
        await_line(&self.stderr, part)
    }

    /// Waits for a line on standard output that contains `part`, and returns it.
    pub fn await_stdout(&self, part: &str) -> String {
        await_line(&self.stdout, part)
    }

    /// Waits for the end. Returns the status and the rest of both streams.
    pub fn end(mut self) -> (ExitStatus, String, String) {
        let [stdout, stderr] = [&self.stdout, &self.stderr].map(|stream| {
            let mut rest = String::new();
            loop {
                match stream.recv_timeout(PATIENCE) {
                    Ok(line) => rest.push_str(&line),
                    Err(RecvTimeoutError::Disconnected) => return rest,
                    Err(RecvTimeoutError::Timeout) => panic!("the process does not end; output:\n{rest}"),
                }
            }
        });
        (self.child.wait().unwrap(), stdout, stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the lines of a stream, each with its line feed.
pub fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).unwrap_or(0) == 0 || sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn await_line(stream: &Receiver<String>, part: &str) -> String {
    let mut seen = String::new();
    loop {
        match stream.recv_timeout(PATIENCE) {
            Ok(line) if line.contains(part) => return line,
            Ok(line) => seen.push_str(&line),
            Err(why) => panic!("no `{part}` ({why}); output:\n{seen}"),
        }
    }
}

/// A `warmd emulate` process.
pub struct Emulate {
    pub endpoint: String,
    _process: Running,
}

impl Emulate {
    /// Starts the emulator with a functions file.
    pub fn start(folder: &Path, functions: &str) -> Self {
        let file = write(folder, "functions.yaml", functions);
        let file = file.to_str().unwrap();
        let process = Running::start(warmd(&["emulate", "--listen", "127.0.0.1:0", "--functions", file]));
        let line = process.await_stdout("listening on ");
        let endpoint = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { endpoint, _process: process }
    }

    /// Returns its observations.
    pub fn observations(&self) -> serde_json::Value {
        self.request("GET", "observations", "")
    }

    /// Makes a change, in YAML with the keys of a functions file.
    pub fn change(&self, change: &str) {
        assert_eq!(self.request("POST", "change", change), serde_json::json!({}));
    }

    fn request(&self, method: &str, path: &str, body: &str) -> serde_json::Value {
        let mut stream = TcpStream::connect(self.endpoint.strip_prefix("http://").unwrap()).unwrap();
        let head = format!("content-length: {}\r\nconnection: close", body.len());
        write!(stream, "{method} /_emulator/{path} HTTP/1.1\r\nhost: e\r\n{head}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

/// A configuration of one function with one environment, all day.
pub const ONE: &str = "
version: 1
defaults: { region: eu-west-2, canary: off }
functions:
  f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
";

/// A folder with configuration files and an emulator.
pub struct Fixture {
    pub folder: TempDir,
    pub emulate: Emulate,
}

impl Fixture {
    /// Creates the configuration `configs/fleet.yaml`, and an emulator with every function.
    pub fn new(fleet: &str) -> Self {
        Self::with_functions(fleet, "default: { profile: rust }\n")
    }

    /// Creates the configuration `configs/fleet.yaml`, and an emulator with a functions file.
    pub fn with_functions(fleet: &str, functions: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let emulate = Emulate::start(folder.path(), functions);
        std::fs::create_dir(folder.path().join("configs")).unwrap();
        let fixture = Self { folder, emulate };
        fixture.write("fleet.yaml", fleet);
        fixture
    }

    /// Returns the folder of the configuration.
    pub fn configs(&self) -> String {
        self.folder.path().join("configs").to_str().unwrap().to_owned()
    }

    /// Writes a file of the configuration.
    pub fn write(&self, name: &str, text: &str) {
        write(&self.folder.path().join("configs"), name, text);
    }

    /// Returns a command with the AWS settings of the emulator. The configuration follows `args`.
    pub fn warmd(&self, args: &[&str]) -> Command {
        with_aws(warmd(&[args, &[&self.configs()]].concat()), &self.emulate.endpoint)
    }

    /// Runs a command with the AWS settings of the emulator. The configuration is not added to `args`.
    pub fn run(&self, args: &[&str]) -> Done {
        done(with_aws(warmd(args), &self.emulate.endpoint))
    }
}

/// Returns an endpoint without a server.
pub fn closed_endpoint() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

/// Describes the result of each round of a tick object.
pub fn rounds(tick: &serde_json::Value) -> Vec<String> {
    let rounds = tick["rounds"].as_array().unwrap();
    let shown = |round: &serde_json::Value| {
        let result = round["skipped"].as_str().or(round["verdict"].as_str()).unwrap();
        format!("{} {} {result}", round["function"].as_str().unwrap(), round["target"])
    };
    rounds.iter().map(shown).collect()
}

/// Writes a file and returns its path.
pub fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A Lambda that responds to a ping when the test calls [`HeldPing::answer`].
pub struct Holding {
    listener: TcpListener,
}

/// A ping that is in flight.
pub struct HeldPing {
    stream: TcpStream,
}

impl Holding {
    pub fn new() -> Self {
        Self { listener: TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap() }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }

    /// Starts a process that sends its pings here, and waits for the first.
    pub fn start(&self, mut command: Command) -> (Running, HeldPing) {
        command.env("AWS_ENDPOINT_URL_LAMBDA", self.endpoint());
        (Running::start(command), self.ping())
    }

    /// Waits for a ping.
    pub fn ping(&self) -> HeldPing {
        loop {
            let (mut stream, _) = self.listener.accept().unwrap();
            match read_request(&mut stream) {
                Some(request) if request.starts_with("POST ") => return HeldPing { stream },
                // A read of the control plane.
                Some(_) => write!(stream, "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").unwrap(),
                None => {}
            }
        }
    }
}

impl HeldPing {
    /// Responds like a warm environment.
    pub fn answer(mut self) {
        use base64::Engine as _;
        let report = "REPORT RequestId: r\tDuration: 25.00 ms\tBilled Duration: 25 ms\tMemory Size: 128 MB\t\
                      Max Memory Used: 17 MB\t\n";
        let log = base64::engine::general_purpose::STANDARD.encode(report);
        let body = r#"{"warmd":{"environment":"e"}}"#;
        let length = body.len();
        write!(
            self.stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nx-amz-log-result: {log}\r\n\
             x-amz-executed-version: 1\r\n\r\n{body}"
        )
        .unwrap();
    }
}

/// Reads a request and returns its head and body. Returns `None` if the connection closes first.
pub fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    let mut request = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        request.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Some(request + std::str::from_utf8(&body).unwrap())
}
