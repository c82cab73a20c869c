//! How often an account may call: EC2's token buckets ("Request throttling for the Amazon EC2 API").
//!
//! There is one bucket per account, region and action, and for the actions that start, stop or end instances one more
//! that counts these. Buckets are full at the start and are refilled as simulated time passes.
//!
//! The documentation's own example says what a launch of many takes: with a resource bucket of 1000, "you can
//! immediately launch 1000 instances, using any number of API requests, such as one request for 1000 instances". So the
//! instances of a request are taken from the bucket all at once, and a request for more than the bucket can hold is
//! always refused. It counts the instances that are asked for (`MaxCount`), and it takes its tokens again when it is
//! resent with its client token; where the documentation is silent, this is the stricter reading.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::ec2;
use crate::protocol::ApiError;
use crate::protocol::auth::{Caller, Service};
use crate::state::Millis;

const TABLE: &str = include_str!("../data/token_buckets.csv");

/// "Unfiltered and unpaginated non-mutating actions": without a filter and a page size they have a smaller bucket. Ids
/// are neither.
const UNFILTERED: &[&str] = &[
    "DescribeInstances",
    "DescribeInstanceStatus",
    "DescribeNetworkInterfaces",
    "DescribeSecurityGroups",
    "DescribeSnapshots",
    "DescribeSpotInstanceRequests",
    "DescribeVolumes",
];

/// "All requests – five requests per second per AWS account" ("Quotas", Amazon Route 53 Developer Guide).
const OF_ROUTE53: Bucket = Bucket {
    size: 5,
    refill_per_s: 5.0,
};

/// A token bucket's size and refill.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// How many tokens it holds.
    pub size: u64,
    /// How many tokens a second it gets back.
    pub refill_per_s: f64,
}

/// The buckets of an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buckets {
    /// The one that loses a token per call.
    pub request: Option<Bucket>,
    /// The one that loses a token per instance.
    pub resource: Option<Bucket>,
}

static DOCUMENTED: LazyLock<BTreeMap<&'static str, Buckets>> = LazyLock::new(|| {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(row).collect()
});

fn row(line: &'static str) -> Option<(&'static str, Buckets)> {
    let fields: Vec<&str> = line.split(',').collect();
    let [_, name, request, request_refill, resource, resource_refill] = fields[..] else {
        return None;
    };
    let bucket = |size: &str, refill: &str| {
        Some(Bucket {
            size: size.parse().ok()?,
            refill_per_s: refill.parse().ok()?,
        })
    };
    let buckets = Buckets {
        request: bucket(request, request_refill),
        resource: bucket(resource, resource_refill),
    };
    Some((name, buckets))
}

/// The documented buckets of an action, or of its category.
fn documented(action: &str) -> Buckets {
    let reads = ["Describe", "Get", "List", "Search"];
    let category = if UNFILTERED.iter().any(|it| action == unfiltered(it)) {
        "unfiltered"
    } else if reads.iter().any(|prefix| action.starts_with(prefix)) {
        "non-mutating"
    } else {
        "mutating"
    };
    let found = DOCUMENTED.get(action).or_else(|| DOCUMENTED.get(category));
    found.copied().unwrap_or_default()
}

fn unfiltered(action: &str) -> String {
    format!("{action} (unfiltered)")
}

/// What is wrong with buckets that somebody typed.
pub(crate) fn check(action: &str, buckets: Buckets) -> Result<(), String> {
    let known = ec2::names();
    let mut whole = UNFILTERED.iter().filter(|it| known.contains(it));
    if !known.contains(&action) && !whole.any(|it| action == unfiltered(it)) {
        return Err(format!(
            "action: '{action}' has no bucket; GET /_sim/actions lists the actions, and some have another as 'DescribeInstances (unfiltered)'"
        ));
    }
    for bucket in [buckets.request, buckets.resource].into_iter().flatten() {
        if !(0.0..=1e6).contains(&bucket.refill_per_s) {
            let refill = bucket.refill_per_s;
            return Err(format!(
                "refill_per_s: {refill} is not between 0 and 1000000"
            ));
        }
    }
    Ok(())
}

/// The tokens of one bucket, in millionths: a refill per second is that many thousandths per millisecond.
#[derive(Clone, Copy, Debug)]
struct Level {
    tokens: u64,
    at: Millis,
}

const TOKEN: u64 = 1_000_000;

impl Level {
    fn full(bucket: Bucket, now: Millis) -> Self {
        Self {
            tokens: bucket.size.saturating_mul(TOKEN),
            at: now,
        }
    }

    /// Takes tokens if there are enough.
    fn take(&mut self, bucket: Bucket, count: u64, now: Millis) -> bool {
        let per_ms = (bucket.refill_per_s * 1_000.0).max(0.0) as u64;
        let refill = now.saturating_sub(self.at).saturating_mul(per_ms);
        let full = bucket.size.saturating_mul(TOKEN);
        self.tokens = self.tokens.saturating_add(refill).min(full);
        self.at = now;
        match self.tokens.checked_sub(count.saturating_mul(TOKEN)) {
            Some(rest) => {
                self.tokens = rest;
                true
            }
            None => false,
        }
    }
}

/// Which of an action's two buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Counts {
    Requests,
    Instances,
}

/// The buckets of all accounts.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    on: bool,
    /// By account and action, where they are not the documented ones.
    special: BTreeMap<(String, String), Buckets>,
    /// By account, region and action.
    levels: BTreeMap<(String, String, String, Counts), Level>,
    /// How many calls of each action were refused.
    pub throttled: BTreeMap<String, u64>,
}

impl Limits {
    pub(crate) fn new(on: bool) -> Self {
        Self {
            on,
            ..Self::default()
        }
    }

    /// Begins with full buckets.
    pub(crate) fn switch(&mut self, on: bool) {
        self.on = on;
        self.levels.clear();
    }

    /// Gives an account other buckets for an action, full ones; a bucket that is not given stays as it is.
    pub(crate) fn set(&mut self, account: &str, action: &str, buckets: Buckets) {
        let key = (account.to_owned(), action.to_owned());
        let now = self.of(account, action);
        let changed = Buckets {
            request: buckets.request.or(now.request),
            resource: buckets.resource.or(now.resource),
        };
        self.special.insert(key, changed);
        self.levels
            .retain(|(a, _, name, _), _| (a.as_str(), name.as_str()) != (account, action));
    }

    fn of(&self, account: &str, action: &str) -> Buckets {
        let key = (account.to_owned(), action.to_owned());
        let special = self.special.get(&key).copied();
        special.unwrap_or_else(|| documented(action))
    }

    /// Asked for each request before anything else is done with it. What it takes is gone, whatever becomes of the call.
    pub(crate) fn admit(
        &mut self,
        caller: &Caller,
        action: &str,
        name: &str,
        pairs: &[(String, String)],
        now: Millis,
    ) -> Result<(), ApiError> {
        if !self.on {
            return Ok(());
        }
        match caller.service {
            Service::Ec2 => {}
            Service::Route53 => return self.admit_to_route53(caller, name, now),
            Service::Iam | Service::Sts => return Ok(()),
        }
        let has = |prefix: &str| pairs.iter().any(|(key, _)| key.starts_with(prefix));
        let is_whole = UNFILTERED.contains(&action)
            && !["Filter.", "MaxResults", "NextToken"].into_iter().any(has);
        let action = if is_whole {
            &unfiltered(action)
        } else {
            action
        };
        let buckets = self.of(&caller.account, action);
        let wanted = [
            (Counts::Requests, buckets.request, 1),
            (
                Counts::Instances,
                buckets.resource,
                instances(action, pairs),
            ),
        ];
        for (counts, bucket, count) in wanted {
            let Some(bucket) = bucket else { continue };
            let key = (
                caller.account.clone(),
                caller.region.clone(),
                action.to_owned(),
                counts,
            );
            let level = self.levels.entry(key);
            let level = level.or_insert_with(|| Level::full(bucket, now));
            if !level.take(bucket, count, now) {
                *self.throttled.entry(name.to_owned()).or_default() += 1;
                let message = "Request limit exceeded.";
                return Err(ApiError::new(503, "RequestLimitExceeded", message));
            }
        }
        Ok(())
    }

    fn admit_to_route53(
        &mut self,
        caller: &Caller,
        name: &str,
        now: Millis,
    ) -> Result<(), ApiError> {
        let (account, all) = (caller.account.clone(), Service::Route53.name());
        let key = (account, String::new(), all.to_owned(), Counts::Requests);
        let level = self.levels.entry(key);
        let level = level.or_insert_with(|| Level::full(OF_ROUTE53, now));
        if level.take(OF_ROUTE53, 1, now) {
            return Ok(());
        }
        *self.throttled.entry(name.to_owned()).or_default() += 1;
        Err(ApiError::bad("Throttling", "Rate exceeded"))
    }
}

/// How many instances a request is about; a dry run is about none.
fn instances(action: &str, pairs: &[(String, String)]) -> u64 {
    let value = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, it)| it);
    if value("DryRun").is_some_and(|it| it == "true") {
        return 0;
    }
    if action == "RunInstances" {
        // What is no number is refused later.
        let count = value("MaxCount").and_then(|it| it.parse().ok());
        return count.unwrap_or(0);
    }
    let ids = pairs
        .iter()
        .filter(|(key, _)| key.starts_with("InstanceId."));
    ids.count() as u64
}
