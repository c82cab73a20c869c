//! Storms, a line each.
//!
//!     cargo test -p tests --test storms                     a few, as a part of the whole test suite
//!     cargo test -p tests --test storms -- --seeds 1-200    as many as you like
//!     cargo test -p tests --test storms -- --seeds 17       the one that failed, again
#![expect(
    clippy::print_stdout,
    reason = "this is a program whose output is its result"
)]

use std::{process::ExitCode, str::FromStr, sync::Arc};

use clap::Parser;
use tests::{
    OwnPostgres,
    storm::{Programs, Report, live_through},
};
use tokio::sync::Mutex;

const PROGRAMS: Programs = Programs {
    worker: env!("CARGO_BIN_EXE_worker-under-test"),
    berth: env!("CARGO_BIN_EXE_berth-under-test"),
};

/// Lives through storms and checks that everything is as it should be when it is calm again.
#[derive(Parser)]
struct Arguments {
    /// Which storms: a number, or the first and the last one, as in 1-200.
    #[arg(long, default_value = "1-8")]
    seeds: Seeds,
    /// How many at the same time; each has a Postgres of its own.
    #[arg(long, default_value_t = 4)]
    lanes: usize,
}

#[derive(Clone, Copy)]
struct Seeds {
    first: u64,
    last: u64,
}

impl FromStr for Seeds {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Ok(Self {
            first: first.parse()?,
            last: last.parse()?,
        })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { seeds, lanes } = Arguments::parse();
    let next = Arc::new(Mutex::new(seeds.first));
    let mut running = Vec::new();
    for _ in 0..lanes {
        running.push(tokio::spawn(lane(Arc::clone(&next), seeds.last)));
    }
    let mut failed = Vec::new();
    for lane in running {
        match lane.await {
            Ok(of_lane) => failed.extend(of_lane),
            Err(error) => failed.push((0, error.to_string())),
        }
    }
    println!();
    for (seed, words) in &failed {
        println!("storm {seed} did not end well:\n{words}\n");
    }
    let all = seeds.last + 1 - seeds.first;
    println!("{} of {all} storms ended well.", all - failed.len() as u64);
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Takes one seed after the other; answers with those that failed.
async fn lane(next: Arc<Mutex<u64>>, last: u64) -> Vec<(u64, String)> {
    let mut failed = Vec::new();
    loop {
        let seed = {
            let mut next = next.lock().await;
            *next += 1;
            *next - 1
        };
        if seed > last {
            return failed;
        }
        let ended = tokio::spawn(async move {
            let mut postgres = OwnPostgres::start().await;
            let report = live_through(PROGRAMS, &mut postgres, seed).await;
            postgres.stop().await;
            report
        });
        match ended.await {
            Ok(report) => print(&report),
            Err(error) => {
                println!("storm {seed}: FAILED");
                failed.push((seed, tests::words(error)));
            }
        }
    }
}

fn print(report: &Report) {
    let actions: Vec<String> = report
        .actions
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    println!(
        "storm {}: {} events; actions: {}; {} EC2 calls; {} requests given up; {} sleeps in a transaction; {:.1} s; well",
        report.seed,
        report.events,
        actions.join(", "),
        report.calls,
        report.given_up,
        report.slept_in_transaction,
        report.took.as_secs_f64()
    );
}
