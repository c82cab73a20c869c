//! The crash matrix: each flow is run again and again, and each time the worker is killed at another of its EC2 calls.
//!
//! Recording runs count the calls of a flow. Then, for every one of them, the flow is run with the worker's process
//! killed (SIGKILL) just before the call takes effect, once more just after it took effect but before the answer was
//! written down, and a third time with the next worker killed as well, at the next call with which it changes something.
//! Another worker takes over, and what must hold at rest is asserted.
//!
//! How often instances are looked at depends on how long they take to boot, so a run may make fewer calls than the
//! recorded ones. One in which nobody died proves nothing: it is repeated.

use std::time::{Duration, Instant};

use futures::{StreamExt, future::join_all, stream};
use sim::{Fault, FaultRule};

use crate::{Options, WorkerProcess, World, wait_for};

mod flow;
mod stage;

pub use flow::Flow;

/// How many runs go on at the same time: most of a run is waiting for the dead worker's lease.
const AT_ONCE: usize = 8;
/// How many runs count the calls of a flow; what the shortest of them makes is what every run can be expected to make. As
/// many as go on later, since how often an instance is looked at while it boots depends on how busy the machine is.
const RECORDINGS: usize = AT_ONCE;
/// How often a run is tried until somebody dies in it.
const TRIES: usize = 10;
/// The calls that change something; a dry run is one, too.
const CHANGES: [&str; 6] = [
    "A*",
    "Create*",
    "Delete*",
    "Modify*",
    "RunInstances*",
    "TerminateInstances",
];

/// How the worker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Nothing has happened yet.
    Before,
    /// EC2 has done it, and nobody knows.
    After,
    /// The same, and so does the next worker.
    Twice,
}

impl Death {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Before, Self::After, Self::Twice];
}

/// Where the worker dies.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    /// The how-manieth call of the flow; the first one is 1.
    pub call: u64,
    /// How.
    pub death: Death,
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    /// The flow.
    pub flow: Flow,
    /// Where the worker died.
    pub crash: Crash,
    /// The calls that were under way when workers died. None where the runs made too few calls, so that nobody died.
    pub killed_at: Vec<String>,
    /// What did not hold.
    pub failure: Option<String>,
    /// How long it took.
    pub took: Duration,
    /// How often it was repeated, since nobody had died.
    pub repeated: usize,
}

impl Run {
    /// Whether somebody died, and all that must hold held.
    pub fn is_clean(&self) -> bool {
        self.failure.is_none() && !self.killed_at.is_empty()
    }
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

/// Which crashes of a flow are tried.
#[derive(Debug, Clone, Copy)]
pub enum Extent {
    /// Every call, each with every death.
    Whole,
    /// Every so-manieth call, beginning at the offset, each with another death than the one before.
    Sample {
        /// How many calls further the next one is.
        step: usize,
        /// How many calls are left out at first.
        offset: usize,
    },
}

impl Extent {
    fn crashes(self, calls: u64) -> Vec<Crash> {
        match self {
            Self::Whole => (1..=calls)
                .flat_map(|call| Death::ALL.map(|death| Crash { call, death }))
                .collect(),
            Self::Sample { step, offset } => {
                // The last ones are looks at instances, of which there may be fewer in another run.
                let calls = calls - calls / 10;
                let at = offset % usize::try_from(calls.max(1)).unwrap_or(1);
                let deaths = Death::ALL.into_iter().cycle().skip(offset);
                (1..=calls)
                    .skip(at)
                    .step_by(step)
                    .zip(deaths)
                    .map(|(call, death)| Crash { call, death })
                    .collect()
            }
        }
    }
}

/// Runs the flow with the worker killed at its calls.
///
/// # Panics
/// Where the flow fails although nothing goes wrong.
pub async fn matrix(worker: &'static str, flow: Flow, extent: Extent) -> Row {
    let recordings = (0..RECORDINGS).map(|_| tokio::spawn(run(worker, flow, None)));
    let recorded = join_all(recordings).await.into_iter();
    let calls = recorded
        .map(|run| run.expect("the flow works when nobody dies").calls)
        .min()
        .unwrap_or_default();
    let mut runs: Vec<Run> = stream::iter(extent.crashes(calls))
        .map(|crash| until_somebody_dies(worker, flow, crash))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    runs.sort_by_key(|run| run.crash.call);
    Row { flow, calls, runs }
}

/// Runs the flow until the crash was reached, or something did not hold, or it was tried too often.
async fn until_somebody_dies(worker: &'static str, flow: Flow, crash: Crash) -> Run {
    let mut repeated = 0;
    loop {
        let begun = Instant::now();
        let ended = tokio::spawn(run(worker, flow, Some(crash))).await;
        let (killed_at, failure) = match ended {
            Ok(done) => (done.killed_at, None),
            Err(error) => (Vec::new(), Some(words(error))),
        };
        if failure.is_some() || !killed_at.is_empty() || repeated + 1 == TRIES {
            return Run {
                flow,
                crash,
                killed_at,
                failure,
                took: begun.elapsed(),
                repeated,
            };
        }
        repeated += 1;
    }
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
    killed_at: Vec<String>,
}

async fn run(program: &'static str, flow: Flow, crash: Option<Crash>) -> Done {
    let world = World::with(Options {
        with_worker: false,
        with_hosts: flow.has_hosts(),
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
    let first_death = crash.map(|crash| rule_of(&world, "*", crash.call, crash.death.fault()));
    let actions = flow.begin(&world, &prepared).await;
    let worker = WorkerProcess::start(program, &world);
    let is_over = || flow.is_over(&world, &actions);
    let work = async {
        let mut killed_at = Vec::new();
        let mut worker = worker;
        if let (Some(crash), Some(rule)) = (crash, first_death) {
            killed_at.extend(wait_for_death(&world, &[rule], is_over).await);
            end(&world, worker).await;
            let dies_again = crash.death == Death::Twice && !killed_at.is_empty();
            let change = |action| rule_of(&world, action, 1, Fault::HangAfterEffect);
            let second = dies_again.then(|| CHANGES.map(change));
            worker = WorkerProcess::start(program, &world);
            if let Some(rules) = second
                // Where nothing is left to change it has nothing to die of.
                && let Some(action) = wait_for_death(&world, &rules, is_over).await
            {
                killed_at.push(action);
                end(&world, worker).await;
                worker = WorkerProcess::start(program, &world);
            }
            world.sim().clear_faults();
        }
        wait_for(&format!("the end of {actions:?}"), || async {
            is_over().await.then_some(())
        })
        .await;
        (worker, killed_at)
    };
    let ((worker, killed_at), ()) = tokio::join!(work, flow.interfere(&world, &actions));
    let calls = world.sim().calls().values().sum();
    flow.check(&world, &prepared, &actions).await;
    worker.kill().await;
    world.finish().await;
    Done { calls, killed_at }
}

/// A fault at the `nth` of these calls of the worker's.
fn rule_of(world: &World, action: &str, nth: u64, fault: Fault) -> u64 {
    world.sim().add_fault(FaultRule {
        nth,
        access_key: Some(world.endpoint.access_key_id.clone()),
        ..FaultRule::next(action, fault)
    })
}

/// Waits until one of the rules has played, and answers with its call; or with none when everything is over.
async fn wait_for_death<F: Future<Output = bool>>(
    world: &World,
    rules: &[u64],
    is_over: impl Fn() -> F,
) -> Option<String> {
    wait_for("the crash, or the end", || async {
        let played = || rules.iter().flat_map(|rule| world.sim().played(*rule));
        let first = || played().next().map(|fault| fault.action);
        match first() {
            Some(action) => Some(Some(action)),
            None => is_over().await.then(first),
        }
    })
    .await
}

/// The worker dies, and its call that hangs ends without an answer.
async fn end(world: &World, worker: WorkerProcess) {
    worker.kill().await;
    world.sim().clear_faults();
}

impl Death {
    fn fault(self) -> Fault {
        match self {
            Self::Before => Fault::Hang,
            Self::After | Self::Twice => Fault::HangAfterEffect,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_meets_every_death_and_the_whole_meets_each_at_every_call() {
        assert_eq!(Extent::Whole.crashes(7).len(), 21);
        let sample = Extent::Sample { step: 3, offset: 1 }.crashes(9);
        let told: Vec<(u64, Death)> = sample.iter().map(|it| (it.call, it.death)).collect();
        let expected = [(2, Death::After), (5, Death::Twice), (8, Death::Before)];
        assert_eq!(told, expected);
        assert!(Extent::Sample { step: 3, offset: 4 }.crashes(0).is_empty());
        assert_eq!(
            Extent::Sample {
                step: 9,
                offset: 11
            }
            .crashes(4)
            .len(),
            1
        );
    }
}
