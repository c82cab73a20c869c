//! Faults that a test orders: chosen calls go wrong in a given way.
//!
//! A rule says which calls it is about, from the how-manieth of them on and for how many. Rules are asked in the order
//! in which they were added; the first that is due plays, and one whose turn another took stays due. So faults that wait
//! for one action play one after another.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::protocol::filter::wildcard;
use crate::state::Ids;

/// One way to go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Answer this error; nothing happened.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// AWS's error code.
        code: String,
        /// AWS's sentence.
        message: String,
    },
    /// Do what was asked, then break the connection off instead of answering.
    DropAfterEffect,
    /// Do what was asked, then answer this HTTP status and error code.
    ErrorAfterEffect(u16, String),
    /// Do nothing and never answer. It ends when the client goes away, or, by breaking the connection off, when the
    /// faults are cleared.
    Hang,
    /// Do what was asked, then never answer, as [`Fault::Hang`].
    HangAfterEffect,
    /// Do what was asked at once, and answer after so many milliseconds of real time.
    Slow(u64),
}

/// Which calls go wrong, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The action's name, or a pattern with `*` and `?` as in IAM. A launch with `DryRun` is called
    /// `RunInstances (dry run)`, as in the counts.
    pub action: String,
    /// The first call that goes wrong, of those that match from now on; 1 is the next.
    #[serde(default = "one")]
    pub nth: u64,
    /// How many matching calls, from that one on.
    #[serde(default = "one")]
    pub times: u64,
    /// The probability that each of them goes wrong. The simulator's seed decides.
    #[serde(default = "certain")]
    pub probability: f64,
    /// Only calls with this access key.
    #[serde(default)]
    pub access_key: Option<String>,
    /// Only calls to this region.
    #[serde(default)]
    pub region: Option<String>,
    /// Only calls whose `SubnetId` is this, as a launch has one; of a network interface, too.
    #[serde(default)]
    pub subnet: Option<String>,
    /// What happens to them.
    pub fault: Fault,
}

fn one() -> u64 {
    1
}

fn certain() -> f64 {
    1.0
}

impl FaultRule {
    /// The rule that the next call of an action goes wrong.
    pub fn next(action: &str, fault: Fault) -> Self {
        Self {
            action: action.to_owned(),
            nth: one(),
            times: one(),
            probability: certain(),
            access_key: None,
            region: None,
            subnet: None,
            fault,
        }
    }

    /// What is wrong with a rule that somebody typed.
    pub(crate) fn check(&self, actions: impl IntoIterator<Item = String>) -> Result<(), String> {
        if !actions.into_iter().any(|it| wildcard(&self.action, &it)) {
            return Err(format!(
                "action: no simulated action is called '{}'; GET /_sim/actions lists them",
                self.action
            ));
        }
        if self.nth == 0 || self.times == 0 {
            return Err("nth and times: must be 1 or greater".to_owned());
        }
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(format!(
                "probability: {} is not between 0 and 1",
                self.probability
            ));
        }
        Ok(())
    }

    fn is_about(&self, call: &CallName<'_>) -> bool {
        let only = |wanted: &Option<String>, is| wanted.as_deref().is_none_or(|it| Some(it) == is);
        wildcard(&self.action, call.action)
            && only(&self.access_key, Some(call.access_key))
            && only(&self.region, Some(call.region))
            && only(&self.subnet, call.subnet)
    }
}

/// A fault that was played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlayedFault {
    /// The how-manieth of the calls that match the rule this was.
    pub call_number: u64,
    /// The action that was called.
    pub action: String,
}

/// A rule and what has become of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultState {
    /// The rule's id.
    pub id: u64,
    /// The rule.
    #[serde(flatten)]
    pub rule: FaultRule,
    /// How many calls have matched it since it was added.
    pub matched: u64,
    /// The faults that it has played.
    pub played: Vec<PlayedFault>,
    /// For how many calls it was due.
    #[serde(skip)]
    tried: u64,
}

/// A call, as rules tell calls apart.
pub(crate) struct CallName<'a> {
    pub action: &'a str,
    pub access_key: &'a str,
    pub region: &'a str,
    pub subnet: Option<&'a str>,
}

/// All rules, those that are done with among them, until they are cleared.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: Vec<FaultState>,
    last_id: u64,
    dice: Ids,
    release: watch::Sender<()>,
}

/// What a call that hangs or is slow waits for: the end of its fault.
#[derive(Debug)]
pub(crate) struct Released(watch::Receiver<()>);

impl Released {
    pub(crate) async fn wait(mut self) {
        // An error means that the simulator is gone, which is an end as well.
        let _ = self.0.changed().await;
    }
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rules: Vec::new(),
            last_id: 0,
            dice: Ids::new(&[&seed.to_string(), "faults"]),
            release: watch::Sender::new(()),
        }
    }

    pub(crate) fn add(&mut self, rule: FaultRule) -> u64 {
        self.last_id += 1;
        self.rules.push(FaultState {
            id: self.last_id,
            rule,
            matched: 0,
            played: Vec::new(),
            tried: 0,
        });
        self.last_id
    }

    pub(crate) fn all(&self) -> &[FaultState] {
        &self.rules
    }

    /// Forgets all rules and ends what hangs.
    pub(crate) fn clear(&mut self) {
        self.rules.clear();
        self.release.send_replace(());
    }

    /// Counts a call, and tells what happens to it.
    pub(crate) fn play(&mut self, call: &CallName<'_>) -> Option<Fault> {
        let mut played = None;
        for state in self.rules.iter_mut().filter(|it| it.rule.is_about(call)) {
            state.matched += 1;
            let is_due = state.matched >= state.rule.nth && state.tried < state.rule.times;
            if played.is_some() || !is_due {
                continue;
            }
            state.tried += 1;
            if self.dice.fraction() < state.rule.probability {
                state.played.push(PlayedFault {
                    call_number: state.matched,
                    action: call.action.to_owned(),
                });
                played = Some(state.rule.fault.clone());
            }
        }
        played
    }

    /// To be asked for under the lock under which the fault was played: it tells of what is cleared from then on.
    pub(crate) fn released(&self) -> Released {
        Released(self.release.subscribe())
    }
}
