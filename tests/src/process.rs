//! The real program as a process of its own: started, watched and ended.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;

/// `berth demo` gives up by itself after 90 s, and says why.
const DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);

/// Variables that would change what the program does on one machine and not on another.
const FOREIGN: &[&str] = &["BERTH_", "AWS_", "DATABASE_URL", "HTTP_PROXY", "http_proxy"];

/// A running program. It is killed when it is dropped.
pub struct Process {
    what: String,
    child: Child,
    stdout: Captured,
    stderr: Captured,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

/// A stream that a thread of its own reads to the end.
struct Captured {
    text: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Captured {
    fn start(stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let mut text = written.lock().expect("no reader panics");
                text.push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, reader }
    }

    fn text(&self) -> String {
        self.text.lock().expect("no reader panics").clone()
    }
}

impl Process {
    /// Starts a program with these arguments, and these variables instead of what this process has of that kind.
    pub fn start(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os() {
            let name_text = name.to_string_lossy();
            if FOREIGN.iter().any(|front| name_text.starts_with(front)) {
                command.env_remove(&name);
            }
        }
        let mut child = command
            .args(arguments)
            // Its nodes are instances of a simulator, unless the test says that they call home.
            .env("BERTH_READINESS", "instance")
            .envs(environment.iter().copied())
            // What a machine has in its home folder may not count, nor what its instance metadata says.
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = Captured::start(child.stdout.take().expect("it is piped"));
        let stderr = Captured::start(child.stderr.take().expect("it is piped"));
        Self {
            what: arguments.join(" "),
            child,
            stdout,
            stderr,
        }
    }

    /// What it has written to standard output up to now.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to standard error up to now.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until `probe` finds something in what the program has written; it must still run.
    pub async fn until<T>(&mut self, what: &str, mut probe: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let status = self.status();
            if let Some(found) = probe(self) {
                return found;
            }
            assert!(
                status.is_none() && Instant::now() < deadline,
                "waited in vain for {what} of `{}` ({status:?})\n{}\n{}",
                self.what,
                self.stdout(),
                self.stderr()
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// Where it listens, by its log, which must be in JSON.
    pub async fn address(&mut self) -> SocketAddr {
        self.until("a log line with its address", |process| {
            process.stderr().lines().find_map(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                let fields = &line["fields"];
                (fields["message"] == "listening")
                    .then(|| fields["address"].as_str()?.parse().ok())?
            })
        })
        .await
    }

    /// Asks it to end, as an orchestrator does.
    pub fn sigterm(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        // The shell's own `kill`: there is always one.
        let command = format!("kill -{name} \"$0\"");
        let status = Command::new("/bin/sh")
            .args(["-c", &command, &self.child.id().to_string()])
            .status()
            .expect("a shell");
        assert!(status.success(), "`{}` is gone already", self.what);
    }

    /// Waits until it has ended by itself.
    pub async fn ended(mut self) -> Ended {
        let deadline = Instant::now() + DEADLINE;
        let code = loop {
            if let Some(status) = self.status()
                && self.stdout.reader.is_finished()
                && self.stderr.reader.is_finished()
            {
                break status.code();
            }
            assert!(
                Instant::now() < deadline,
                "`{}` does not end\n{}\n{}",
                self.what,
                self.stdout(),
                self.stderr()
            );
            tokio::time::sleep(POLL).await;
        };
        Ended {
            code,
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port outside the range from which the system takes those of connections and of port 0, so that nobody takes
/// it meanwhile.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 18_000;
    (0..COUNT)
        .map(|_| {
            NEXT.fetch_add(1, Ordering::Relaxed)
                .wrapping_add(std::process::id() * 37)
        })
        .filter_map(|n| u16::try_from(FIRST + n % COUNT).ok())
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}
