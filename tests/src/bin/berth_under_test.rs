//! The `berth` command, built for the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    berth::main()
}
