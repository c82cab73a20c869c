//! The crash matrix: each flow is run again and again, and each time the worker is killed at another of its EC2 calls.
//!
//! A recording run counts the calls of a flow. Then, for every one of them, the flow is run with the worker's process
//! killed (SIGKILL) just before the call takes effect, and once more just after it took effect but before the answer
//! was written down. Another worker takes over, and what must hold at rest is asserted.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use sim::{Fault, FaultRule};

use crate::{Options, WorkerProcess, World, wait_for};

mod flow;

pub use flow::Flow;

/// How many runs go on at the same time: most of a run is waiting for the dead worker's lease.
const AT_ONCE: usize = 8;

/// On which side of its effect the call is when the worker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Nothing has happened yet.
    Before,
    /// EC2 has done it, and nobody knows.
    After,
}

/// Where the worker dies.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    /// The how-manieth call of the flow; the first one is 1.
    pub call: u64,
    /// On which side of its effect.
    pub side: Side,
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    /// The flow.
    pub flow: Flow,
    /// Where the worker died.
    pub crash: Crash,
    /// The call that was under way; none where the run made fewer calls than the recorded one, so that nobody died.
    pub action: Option<String>,
    /// What did not hold.
    pub failure: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// What came of a flow.
#[derive(Debug)]
pub struct Row {
    /// The flow.
    pub flow: Flow,
    /// Its EC2 calls when nothing goes wrong.
    pub calls: u64,
    /// Its runs.
    pub runs: Vec<Run>,
}

/// Runs the flow at every `step`-th of its calls, beginning at `offset`, on both sides.
///
/// # Panics
/// Where the flow fails although nothing goes wrong.
pub async fn matrix(worker: &'static str, flow: Flow, step: usize, offset: usize) -> Row {
    let recorded = tokio::spawn(run(worker, flow, None)).await;
    let calls = recorded.expect("the flow works when nobody dies").calls;
    let offset = offset % usize::try_from(calls.max(1)).unwrap_or(1);
    let crashes = (1..=calls).skip(offset).step_by(step).flat_map(|call| {
        let at = |side| Crash { call, side };
        [at(Side::Before), at(Side::After)]
    });
    let mut runs: Vec<Run> = stream::iter(crashes)
        .map(|crash| async move {
            let begun = Instant::now();
            let ended = tokio::spawn(run(worker, flow, Some(crash))).await;
            let (action, failure) = match ended {
                Ok(done) => (done.killed_at, None),
                Err(error) => (None, Some(words(error))),
            };
            Run {
                flow,
                crash,
                action,
                failure,
                took: begun.elapsed(),
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    runs.sort_by_key(|run| run.crash.call);
    Row { flow, calls, runs }
}

/// What a task that panicked has said.
pub fn words(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
            (Some(text), _) => text.clone(),
            (None, Some(text)) => (*text).to_owned(),
            (None, None) => "it panicked without words".to_owned(),
        },
        Err(error) => error.to_string(),
    }
}

struct Done {
    calls: u64,
    killed_at: Option<String>,
}

async fn run(program: &str, flow: Flow, crash: Option<Crash>) -> Done {
    let world = World::with(Options {
        with_worker: false,
        sim: sim::Config {
            record: false,
            // A flow that lasts longer than the polls that wait for it has a number of calls that means something.
            boot_ms: 100..150,
            terminate_ms: 100,
            ..sim::Config::fast()
        },
        ..Options::default()
    })
    .await;
    let prepared = flow.prepare(&world).await;
    world.sim().reset_calls();
    let rule = crash.map(|crash| {
        world.sim().add_fault(FaultRule {
            nth: crash.call,
            access_key: Some(world.endpoint.access_key_id.clone()),
            ..FaultRule::next("*", crash.side.fault())
        })
    });
    let action = flow.begin(&world, &prepared).await;
    let worker = WorkerProcess::start(program, &world);
    let mut killed_at = None;
    let worker = match rule {
        Some(rule) => {
            killed_at = wait_for("the crash, or the end", || async {
                let played = world.sim().played(rule).into_iter().next();
                let killed_at = played.map(|fault| fault.action);
                let has_ended = flow.is_over(&world, &action).await;
                (killed_at.is_some() || has_ended).then_some(killed_at)
            })
            .await;
            worker.kill().await;
            world.sim().clear_faults();
            WorkerProcess::start(program, &world)
        }
        None => worker,
    };
    wait_for(&format!("the end of {action}"), || async {
        flow.is_over(&world, &action).await.then_some(())
    })
    .await;
    let calls = world.sim().calls().values().sum();
    world.nothing_is_left_over().await;
    flow.check(&world, &prepared, &action).await;
    worker.kill().await;
    world.finish().await;
    Done { calls, killed_at }
}

impl Side {
    fn fault(self) -> Fault {
        match self {
            Self::Before => Fault::Hang,
            Self::After => Fault::HangAfterEffect,
        }
    }
}
