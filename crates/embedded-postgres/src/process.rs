//! The processes: `initdb`, and the server beneath a small supervisor that outlives us.
//!
//! Both start in a shell that has the database's folder open as descriptor 9. Started by root, they run as an
//! unprivileged user, and by that descriptor's name under `/proc` they enter the folder even when one of its
//! parents (root's home, a private temporary folder) is closed to that user.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::account::Account;

const DESCRIPTORS: &str = "/proc/self/fd";

const RUN: &str = r#"exec 9<&1 1>&2; exec "$@""#;

/// Standard input is a pipe whose other end our process holds and never writes to: it closes when we stop the
/// server, and when we die, however we die. SIGINT is the server's fast shutdown; it is repeated because the
/// server ignores it until it has set its handlers. The helpers let go of the log, whose lock says "in use".
const SUPERVISE: &str = r#"
exec 9<&1 1>&2 8<&0
"$@" 8<&- </dev/null &
server=$!
{
    read -r _ <&8
    while kill -INT "$server" 2>/dev/null; do sleep 1 >/dev/null 2>&1 8<&- 9<&-; done
} &
watcher=$!
wait "$server"
status=$?
kill "$watcher" 2>/dev/null
wait "$watcher" 2>/dev/null
exit "$status"
"#;

/// How to start the programs of one database.
#[derive(Debug)]
pub(crate) struct Launcher {
    pub(crate) bin: PathBuf,
    pub(crate) account: Option<Account>,
    pub(crate) log: File,
}

impl Launcher {
    /// `initdb` into `data`, an empty folder of the account's.
    pub(crate) fn initdb(&self, data: &Path, durable: bool) -> io::Result<Command> {
        // macOS has no C.UTF-8 everywhere; the order of strings is the same.
        let locale = if cfg!(target_os = "linux") {
            "C.UTF-8"
        } else {
            "C"
        };
        let mut command = self.shell(RUN, "initdb", data)?;
        command
            .args([
                "--username",
                crate::USER,
                "--encoding",
                "UTF8",
                "--locale",
                locale,
            ])
            // Whoever may enter the folder with the socket may connect; nobody else can.
            .args(["--auth-local", "trust", "--auth-host", "reject"])
            .stdin(Stdio::null());
        if !durable {
            command.arg("--no-sync");
        }
        Ok(command)
    }

    /// The server, which ends when the command's standard input is closed.
    pub(crate) fn server(&self, data: &Path, durable: bool) -> io::Result<Command> {
        let mut command = self.shell(SUPERVISE, "postgres", data)?;
        // The server's working folder is its data: a relative socket path is never too long.
        command.args(["-k", "."]);
        for setting in [
            "listen_addresses=",
            "port=5432",
            "max_connections=200",
            "shared_buffers=32MB",
            "timezone=UTC",
            "log_timezone=UTC",
            "lc_messages=C",
        ] {
            command.args(["-c", setting]);
        }
        if !durable {
            for setting in [
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
            ] {
                command.args(["-c", setting]);
            }
        }
        command.stdin(Stdio::piped());
        Ok(command)
    }

    fn shell(&self, script: &str, program: &str, data: &Path) -> io::Result<Command> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script, "sh"])
            .arg(self.bin.join(program));
        // A folder that every user may enter.
        command.current_dir("/");
        // Ctrl-C in a terminal is for us; the server ends when we let go of it.
        command.process_group(0);
        for name in ["PGDATA", "PGPORT", "PGHOST", "PGUSER", "PGOPTIONS"] {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C");
        match self.account {
            Some(account) => {
                command.uid(account.uid).gid(account.gid);
                if Path::new(DESCRIPTORS).is_dir() {
                    command.arg("-D").arg(Path::new(DESCRIPTORS).join("9"));
                } else {
                    command.arg("-D").arg(data);
                }
            }
            None => {
                command.arg("-D").arg(data);
            }
        }
        command
            .stdout(File::open(data)?)
            .stderr(self.log.try_clone()?);
        Ok(command)
    }
}
