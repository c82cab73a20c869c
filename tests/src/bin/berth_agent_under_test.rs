//! The `berth-agent` command, built for the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent::main()
}
