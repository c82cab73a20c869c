//! The crash matrix, printed as a table.
//!
//!     cargo test -p tests --test crash_matrix              a sample, as a part of the whole test suite
//!     cargo test -p tests --test crash_matrix -- --whole   every call of every flow, each with every death
#![expect(
    clippy::print_stdout,
    reason = "this is a program whose output is its result"
)]

use std::process::ExitCode;

use clap::Parser;
use tests::crash::{Death, Extent, Flow, Row, Run, matrix};

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
    let mut failures = Vec::new();
    println!(
        "\n| flow | EC2 calls | killed before | killed after | killed twice | repeated | never reached | clean | longest run |\n|---|---|---|---|---|---|---|---|---|"
    );
    for (n, flow) in Flow::ALL.into_iter().enumerate() {
        let wanted = arguments.flow.as_deref().unwrap_or_default();
        if !flow.name().contains(wanted) {
            continue;
        }
        let extent = if arguments.whole {
            Extent::Whole
        } else {
            // Another offset for each flow, so that a sample meets different kinds of calls.
            let (step, offset) = (SAMPLE, n);
            Extent::Sample { step, offset }
        };
        let row = matrix(WORKER, flow, extent).await;
        print(&row);
        failures.extend(row.runs.into_iter().filter(|run| !run.is_clean()));
    }
    for run in &failures {
        println!(
            "\n{} killed {:?} call {} ({}):\n{}",
            run.flow.name(),
            run.crash.death,
            run.crash.call,
            run.killed_at.join(", then "),
            run.failure
                .as_deref()
                .unwrap_or("no run came to so many calls")
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
    let count =
        |is_meant: &dyn Fn(&Run) -> bool| row.runs.iter().filter(|run| is_meant(run)).count();
    let killed = |death| count(&|run| run.crash.death == death && !run.killed_at.is_empty());
    let longest = row.runs.iter().map(|run| run.took).max();
    println!(
        "| {} | {} | {} | {} | {} | {} | {} | {} of {} | {:.1} s |",
        row.flow.name(),
        row.calls,
        killed(Death::Before),
        killed(Death::After) + killed(Death::Twice) - count(&|run| run.killed_at.len() > 1),
        count(&|run| run.killed_at.len() > 1),
        row.runs.iter().map(|run| run.repeated).sum::<usize>(),
        count(&|run| run.failure.is_none() && run.killed_at.is_empty()),
        count(&Run::is_clean),
        row.runs.len(),
        longest.unwrap_or_default().as_secs_f64()
    );
}
