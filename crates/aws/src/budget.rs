//! Keeps the calls of one account in one region under EC2's limits, and shares them out fairly.
//!
//! EC2 gives each action a bucket of tokens that refills continuously; a call takes one, and a launch or termination also
//! takes one for each instance out of a second bucket (EC2 developer guide, "Request throttling for the Amazon EC2 API").
//! A call waits here until its tokens are there, so that EC2 need not refuse it. The account may have other users, and
//! limits of its own: a refusal empties the bucket and halves its refill, which then grows back.
//!
//! Who waits is served by what was served to its cluster before (start-time fair queuing), so that a small deploy does
//! not stand behind all batches of a large one.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::ids::ClusterId;
use tokio::{sync::Notify, time::Instant};

/// For whom a call is made: a cluster, or the site as a whole.
pub(crate) type Flow = Option<ClusterId>;

/// How long without a refusal it takes until a halved refill has doubled again.
const RECOVERY: Duration = Duration::from_secs(30);
/// A refill never gets slower than this part of the documented one.
const SLOWEST: f64 = 1.0 / 64.0;
/// Refusals within this time of one that counted are of the same burst: calls that were sent before it was known.
const BURST: Duration = Duration::from_secs(1);
/// EC2 counts a call when it arrives. A full bucket's refill is relied on this much later than the call that begins it
/// was sent, so that EC2 has the tokens of the calls after it although one of them travels faster.
const TRAVEL: Duration = Duration::from_millis(250);

/// A bucket's capacity and its refill in tokens a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit {
    capacity: f64,
    refill: f64,
}

const fn limit(capacity: f64, refill: f64) -> Limit {
    Limit { capacity, refill }
}

/// What EC2 documents for an action: its calls, and the instances in them.
fn limits(action: &str) -> (Limit, Option<Limit>) {
    match action {
        "RunInstances" => (limit(5.0, 2.0), Some(limit(1000.0, 2.0))),
        "TerminateInstances" => (limit(100.0, 5.0), Some(limit(1000.0, 20.0))),
        "CreateTags" => (limit(100.0, 10.0), None),
        describe if describe.starts_with("Describe") => (limit(100.0, 20.0), None),
        _ => (limit(50.0, 5.0), None),
    }
}

#[derive(Debug)]
struct Bucket {
    limit: Limit,
    tokens: f64,
    /// When `tokens` was right.
    at: Instant,
    /// The part of the documented refill that is relied on.
    share: f64,
    refused_at: Option<Instant>,
    /// The last refusal that halved the share.
    counted_at: Option<Instant>,
}

impl Bucket {
    fn new(limit: Limit, now: Instant) -> Self {
        Self {
            limit,
            tokens: limit.capacity,
            at: now,
            share: 1.0,
            refused_at: None,
            counted_at: None,
        }
    }

    fn refill(&mut self, now: Instant) {
        if let Some(refused_at) = self.refused_at {
            let quiet = now.duration_since(refused_at);
            if quiet >= RECOVERY {
                self.share = (self.share * 2.0).min(1.0);
                self.refused_at = (self.share < 1.0).then_some(now);
            }
        }
        if now <= self.at {
            return;
        }
        let passed = now.duration_since(self.at).as_secs_f64();
        self.at = now;
        let grown = self.tokens + passed * self.limit.refill * self.share;
        self.tokens = grown.min(self.limit.capacity);
    }

    /// How long until so many tokens are there. More than it can hold is taken when it is full.
    fn wait(&self, wanted: f64, now: Instant) -> Duration {
        let missing = wanted.min(self.limit.capacity) - self.tokens;
        if missing <= 0.0 {
            Duration::ZERO
        } else {
            self.at.saturating_duration_since(now)
                + Duration::from_secs_f64(missing / (self.limit.refill * self.share))
        }
    }

    fn take(&mut self, wanted: f64, now: Instant) {
        if self.tokens >= self.limit.capacity {
            self.at = now + TRAVEL;
        }
        self.tokens -= wanted;
    }

    fn give_back(&mut self, unused: f64) {
        self.tokens = (self.tokens + unused).min(self.limit.capacity);
    }

    /// Notes a refusal; answers whether it is the first of its burst.
    fn refused(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens = self.tokens.min(0.0);
        let is_same_burst = self
            .counted_at
            .is_some_and(|counted_at| now.duration_since(counted_at) < BURST);
        if !is_same_burst {
            self.share = (self.share / 2.0).max(SLOWEST);
            self.counted_at = Some(now);
        }
        self.refused_at = Some(now);
        !is_same_burst
    }

    /// Notes what was taken so long ago, oldest first, by somebody who did not take it from here.
    fn taken_before(&mut self, taken: &[(Duration, f64)], now: Instant) {
        self.refill(now);
        let mut tokens = self.limit.capacity;
        let mut last = None;
        for (ago, wanted) in taken {
            let passed = last.map_or(Duration::ZERO, |last: Duration| last.saturating_sub(*ago));
            tokens = (tokens + passed.as_secs_f64() * self.limit.refill).min(self.limit.capacity);
            tokens -= wanted;
            last = Some(*ago);
        }
        if let Some(last) = last {
            tokens = (tokens + last.as_secs_f64() * self.limit.refill).min(self.limit.capacity);
        }
        self.tokens = self.tokens.min(tokens);
    }
}

/// The calls of one action: its buckets, and who waits for them.
#[derive(Debug)]
struct Line {
    calls: Bucket,
    instances: Option<Bucket>,
    /// By the virtual time of their start, then by their arrival.
    waiting: BTreeMap<(u64, u64), Flow>,
    /// The virtual time until which each cluster was served.
    served: HashMap<Flow, u64>,
    virtual_now: u64,
    arrivals: u64,
}

impl Line {
    fn new(action: &str, now: Instant) -> Self {
        let (calls, instances) = limits(action);
        Self {
            calls: Bucket::new(calls, now),
            instances: instances.map(|limit| Bucket::new(limit, now)),
            waiting: BTreeMap::new(),
            served: HashMap::new(),
            virtual_now: 0,
            arrivals: 0,
        }
    }

    fn queue(&mut self, flow: Flow, instances: u32) -> (u64, u64) {
        let served = self.served.get(&flow).copied().unwrap_or(0);
        let start = served.max(self.virtual_now);
        self.arrivals += 1;
        self.served.insert(flow, start + cost(instances));
        let place = (start, self.arrivals);
        self.waiting.insert(place, flow);
        place
    }

    /// Gives a place up; whether there was one: who was served has none any more. What it counted for is not held
    /// against its cluster.
    fn leave(&mut self, place: (u64, u64), instances: u32) -> bool {
        let Some(flow) = self.waiting.remove(&place) else {
            return false;
        };
        if let Some(served) = self.served.get_mut(&flow) {
            *served = served.saturating_sub(cost(instances));
        }
        true
    }

    fn give_back(&mut self, instances: u32) {
        self.calls.give_back(1.0);
        if let Some(bucket) = &mut self.instances {
            bucket.give_back(f64::from(instances));
        }
    }

    /// Nothing where it is the turn of the call at `place` and its tokens were taken; else how long to wait at most.
    fn try_serve(&mut self, place: (u64, u64), instances: u32, now: Instant) -> Option<Duration> {
        self.calls.refill(now);
        if let Some(bucket) = &mut self.instances {
            bucket.refill(now);
        }
        if self.waiting.first_key_value().map(|(first, _)| *first) != Some(place) {
            return Some(Duration::MAX);
        }
        let wanted = f64::from(instances);
        let for_instances = self
            .instances
            .as_ref()
            .map(|bucket| bucket.wait(wanted, now));
        let wait = self
            .calls
            .wait(1.0, now)
            .max(for_instances.unwrap_or_default());
        if wait > Duration::ZERO {
            return Some(wait);
        }
        self.calls.take(1.0, now);
        if let Some(bucket) = &mut self.instances {
            bucket.take(wanted, now);
        }
        self.waiting.remove(&place);
        self.virtual_now = place.0;
        if self.waiting.is_empty() {
            self.served.retain(|_, until| *until > place.0);
        }
        None
    }
}

/// What a call counts for in the sharing out.
fn cost(instances: u32) -> u64 {
    u64::from(instances.max(1))
}

/// The budget of one account in one region.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    lines: Mutex<HashMap<&'static str, Line>>,
    /// Somebody's turn may have come.
    moved: Notify,
}

/// A place in a line; it is given up when the call that waits is.
struct Place<'a> {
    budget: &'a Budget,
    action: &'static str,
    place: (u64, u64),
    instances: u32,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let left = self
            .budget
            .line(self.action, |line| line.leave(self.place, self.instances));
        if left {
            self.budget.moved.notify_waiters();
        }
    }
}

/// The tokens of one call, taken out of its buckets. They go back when the call is not made.
#[must_use]
#[derive(Debug)]
pub struct Turn {
    budget: Arc<Budget>,
    action: &'static str,
    instances: u32,
    is_used: bool,
}

impl Turn {
    /// The call is made.
    pub(crate) fn used(mut self) {
        self.is_used = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_used {
            self.budget
                .line(self.action, |line| line.give_back(self.instances));
            self.budget.moved.notify_waiters();
        }
    }
}

impl Budget {
    /// Waits until a call of `action` with so many instances in it may be made.
    pub(crate) async fn take(
        self: &Arc<Self>,
        action: &'static str,
        flow: Flow,
        instances: u32,
    ) -> Turn {
        let place = Place {
            budget: self,
            action,
            place: self.line(action, |line| line.queue(flow, instances)),
            instances,
        };
        loop {
            let moved = self.moved.notified();
            let mut moved = std::pin::pin!(moved);
            // From here on no notification is missed.
            moved.as_mut().enable();
            let wait = self.line(action, |line| {
                line.try_serve(place.place, instances, Instant::now())
            });
            let Some(wait) = wait else { break };
            tokio::select! {
                () = moved => {}
                () = tokio::time::sleep(wait.min(Duration::from_secs(3600))) => {}
            }
        }
        self.moved.notify_waiters();
        Turn {
            budget: Arc::clone(self),
            action,
            instances,
            is_used: false,
        }
    }

    /// EC2 has refused a call because there were too many.
    pub(crate) fn refused(&self, action: &'static str) {
        self.line(action, |line| {
            let now = Instant::now();
            let counts = line.calls.refused(now);
            // Which of the two was empty EC2 does not say. It is the calls' more often, and an instances' bucket takes
            // minutes to fill, so that one is relied on a little less with each refusal.
            if let Some(bucket) = line.instances.as_mut().filter(|_| counts) {
                bucket.refill(now);
                bucket.tokens = bucket.tokens.min(bucket.tokens / 2.0);
            }
        });
    }

    /// Notes launches that another worker has sent, each so long ago and with so many instances, oldest first: EC2 has
    /// counted them.
    pub(crate) fn launched_before(&self, launches: &[(Duration, u32)]) {
        self.line("RunInstances", |line| {
            let now = Instant::now();
            let calls: Vec<_> = launches.iter().map(|(ago, _)| (*ago, 1.0)).collect();
            line.calls.taken_before(&calls, now);
            // Dry runs come before launches and count as calls, but nobody has written them down.
            let refilled = line.calls.limit.capacity / line.calls.limit.refill;
            if launches
                .last()
                .is_some_and(|(ago, _)| ago.as_secs_f64() < refilled)
            {
                line.calls.tokens = line.calls.tokens.min(0.0);
            }
            if let Some(bucket) = &mut line.instances {
                let instances: Vec<_> = launches
                    .iter()
                    .map(|(ago, count)| (*ago, f64::from(*count)))
                    .collect();
                bucket.taken_before(&instances, now);
            }
        });
    }

    fn line<T>(&self, action: &'static str, on: impl FnOnce(&mut Line) -> T) -> T {
        let mut lines = self.lock();
        let line = lines
            .entry(action)
            .or_insert_with(|| Line::new(action, Instant::now()));
        on(line)
    }

    /// A panic under this lock leaves nothing half-done that would matter: at worst a token is lost.
    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
