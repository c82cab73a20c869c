//! What benchmarks have in common. `cargo bench` measures all there is to measure and judges it by its limits;
//! `cargo test` runs the same code on a small scale, where what is slow or large is no failure: only what goes wrong is.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    process::{Child, Command},
    runtime::Runtime,
};

use crate::{World, free_port, wait_for};

/// The clock of `/proc/<pid>/stat` (proc_pid_stat(5), USER_HZ), the same on every Linux.
const TICKS: f64 = 100.0;

/// Whether `cargo bench` runs it.
pub fn is_bench() -> bool {
    env::args().any(|argument| argument == "--bench")
}

/// One size for `cargo bench`, another for `cargo test`.
pub fn sized<T>(measured: T, tried: T) -> T {
    if is_bench() { measured } else { tried }
}

/// Prints whether a figure keeps its limit, and answers with it.
pub fn verdict(what: &str, keeps: bool) -> bool {
    let word = match (keeps, is_bench()) {
        (true, _) => "ok",
        (false, true) => "BROKEN",
        (false, false) => "not judged on this scale",
    };
    println!("  {what}: {word}");
    keeps
}

/// Runs a benchmark, which comes to verdicts. What it measures is told by Linux alone.
pub fn run(measured: impl AsyncFnOnce() -> Vec<bool>) -> ExitCode {
    if !cfg!(target_os = "linux") {
        println!("this is measured on Linux");
        return ExitCode::SUCCESS;
    }
    let runtime = Runtime::new().expect("a runtime");
    let verdicts = runtime.block_on(measured());
    match verdicts.contains(&false) && is_bench() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// The median, the 99th percentile and the longest of these times.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// The median.
    pub p50: Duration,
    /// 99 of 100 are not above it.
    pub p99: Duration,
    /// The longest.
    pub most: Duration,
}

impl Spread {
    /// Of these times, of which there are some.
    pub fn of(times: &[Duration]) -> Self {
        let mut sorted = times.to_vec();
        sorted.sort();
        let at = |percent: usize| sorted[(sorted.len() - 1) * percent / 100];
        Self {
            p50: at(50),
            p99: at(99),
            most: at(100),
        }
    }

    /// Prints a line for each, in milliseconds.
    pub fn print(self, what: &str) {
        for (name, time) in [
            ("median", self.p50),
            ("p99", self.p99),
            ("at most", self.most),
        ] {
            println!("{:10.2} ms  {what}, {name}", millis(time));
        }
    }
}

/// In milliseconds.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A count as a number to reckon with.
pub fn count(of: usize) -> f64 {
    f64::from(u32::try_from(of).expect("a small number"))
}

/// A line of `/proc/<pid>/status` that tells a size (`VmRSS`, `VmHWM`), in bytes.
pub fn memory(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux's /proc");
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.expect("Linux's /proc").trim_end_matches("kB").trim();
    kib.parse::<f64>().expect("a number") * 1024.0
}

/// The parent of a process, and the seconds of processors that it has used. None when it has ended.
pub fn cpu(pid: u32) -> Option<(u32, f64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((
        fields.get(1)?.parse().ok()?,
        (ticks(11)? + ticks(12)?) / TICKS,
    ))
}

/// `berth serve` as a process of its own on a world's database, and where it listens. It is killed when it is dropped.
pub async fn serve(program: &str, world: &World, arguments: &[&str]) -> (Child, SocketAddr) {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let server = Command::new(program)
        .args(["--log", "error", "serve", "--readiness", "instance"])
        .args(["--listen", &address.to_string()])
        .args(arguments)
        .env("DATABASE_URL", &world.database_url)
        .env("BERTH_AMBIENT_NAMESPACES", "*")
        .env("AWS_ENDPOINT_URL", &world.endpoint.url)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", &world.endpoint.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &world.endpoint.secret_access_key)
        .kill_on_drop(true)
        .spawn()
        .expect("berth starts");
    wait_for("the server to listen", || async {
        TcpStream::connect(address).await.ok()
    })
    .await;
    (server, address)
}

/// A connection that is kept, for requests one after the other, with little cost of its own.
#[derive(Debug)]
pub struct Line {
    stream: TcpStream,
}

impl Line {
    /// To this address.
    pub async fn to(address: SocketAddr) -> Self {
        Self::between(Ipv4Addr::LOCALHOST, address).await
    }

    /// From one address of this machine to another.
    pub async fn between(from: Ipv4Addr, to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let from = SocketAddr::from((from, 0));
        socket.bind(from).expect("an address of this machine");
        let stream = socket.connect(to).await.expect("the server listens");
        stream.set_nodelay(true).expect("a socket");
        Self { stream }
    }

    /// Sends a request and answers with the whole answer, whose length must be told by its head.
    pub async fn ask(&mut self, request: &str) -> String {
        let sent = self.stream.write_all(request.as_bytes()).await;
        sent.expect("the server reads");
        let mut answer = Vec::with_capacity(1024);
        while !is_whole(&answer) {
            let read = self.stream.read_buf(&mut answer).await.expect("an answer");
            assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        }
        String::from_utf8(answer).expect("text")
    }
}

/// Whether it is an answer to its end, as its Content-Length says; one without a body has none.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let head = head.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.map_or(Some(0), |length| length.parse().ok()) == Some(body.len())
}
