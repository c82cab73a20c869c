//! The `berth-agent` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent::main()
}
