//! The crash matrix, printed as a table.
//!
//!     cargo test -p tests --test crash_matrix              a sample, as a part of the whole test suite
//!     cargo test -p tests --test crash_matrix -- --whole   every call of every flow, on both sides of its effect
#![expect(
    clippy::print_stdout,
    reason = "this is a program whose output is its result"
)]

use std::process::ExitCode;

use clap::Parser;
use tests::crash::{Flow, Row, Side, matrix};

const WORKER: &str = env!("CARGO_BIN_EXE_worker-under-test");

/// In the sample, of the calls of each flow every so-manieth is tried.
const SAMPLE: usize = 9;

/// Kills the worker at the EC2 calls of each flow, and checks what came of it.
#[derive(Parser)]
struct Arguments {
    /// Every call, not only a sample.
    #[arg(long)]
    whole: bool,
    /// Only the flows whose names hold this text.
    flow: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let step = if arguments.whole { 1 } else { SAMPLE };
    let mut failures = Vec::new();
    println!(
        "\n| flow | EC2 calls | killed before | killed after | not reached | clean | longest run |\n|---|---|---|---|---|---|---|"
    );
    for (n, flow) in Flow::ALL.into_iter().enumerate() {
        let wanted = arguments.flow.as_deref().unwrap_or_default();
        if !flow.name().contains(wanted) {
            continue;
        }
        // Another offset for each flow, so that a sample meets different kinds of calls.
        let row = matrix(WORKER, flow, step, if step == 1 { 0 } else { n }).await;
        print(&row);
        failures.extend(row.runs.into_iter().filter(|run| run.failure.is_some()));
    }
    for run in &failures {
        println!(
            "\n{} killed {:?} call {} ({}):\n{}",
            run.flow.name(),
            run.crash.side,
            run.crash.call,
            run.action.as_deref().unwrap_or("?"),
            run.failure.as_deref().unwrap_or_default()
        );
    }
    if failures.is_empty() {
        println!(
            "\nEvery run ended with exactly the nodes that were asked for and nothing left over."
        );
        ExitCode::SUCCESS
    } else {
        println!("\n{} runs did not.", failures.len());
        ExitCode::FAILURE
    }
}

fn print(row: &Row) {
    let killed = |side| {
        let at = row.runs.iter().filter(|run| run.crash.side == side);
        at.filter(|run| run.action.is_some()).count()
    };
    let is_clean = |run: &&tests::crash::Run| run.failure.is_none();
    let clean = row.runs.iter().filter(is_clean).count();
    let unreached = row.runs.iter().filter(is_clean);
    let longest = row.runs.iter().map(|run| run.took).max();
    println!(
        "| {} | {} | {} | {} | {} | {clean} of {} | {:.1} s |",
        row.flow.name(),
        row.calls,
        killed(Side::Before),
        killed(Side::After),
        unreached.filter(|run| run.action.is_none()).count(),
        row.runs.len(),
        longest.unwrap_or_default().as_secs_f64()
    );
}
