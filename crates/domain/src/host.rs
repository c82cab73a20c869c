//! Hosts: what is known of a machine that has called home, and which state this gives its node.
//!
//! Two things are known of a host: whether its engine answered when it was last asked, and when its agent was last
//! heard. The original agent is heard only when it starts; Berth's own sends heartbeats.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{cluster::Invalid, state::NodeState};

/// The longest word that an agent may say of itself, a version or a name.
const LONGEST_WORD: usize = 128;

/// The tag that a node bears whose owner brought it ("Deployment tags": the "byon status").
pub const BROUGHT_TAG: &str = "byon=true";

/// A word that an agent says of itself or its engine: a version, or the name of a driver.
///
/// # Errors
/// [`Invalid`] where it is longer than any, or holds what can't be shown.
pub fn validate_word(field: &str, word: &str) -> Result<(), Invalid> {
    if word.chars().count() > LONGEST_WORD {
        let reason = format!("is longer than {LONGEST_WORD} characters");
        return Err(Invalid::new(field, reason));
    }
    if word.chars().any(char::is_control) {
        return Err(Invalid::new(field, "may not contain control characters"));
    }
    Ok(())
}

/// How an installation deals with hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How often agents are to send heartbeats.
    pub heartbeat: Duration,
    /// How long an engine may take to answer.
    pub probe_patience: Duration,
    /// How soon an engine that did not answer is asked again; one whose agent sends no heartbeats is asked by
    /// [`Limits::silence`].
    pub probe_again: Duration,
    /// How long things may take.
    pub limits: Limits,
    /// How long the upgrade of an engine may take; longer than an agent gives it (30 minutes).
    pub upgrade: TimeDelta,
}

impl Settings {
    /// For how many seconds whoever asks an engine keeps the others from it: longer than it can take.
    pub fn claim_seconds(&self) -> f64 {
        self.probe_patience.as_secs_f64() * 2.0 + 5.0
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(30),
            probe_patience: Duration::from_secs(5),
            probe_again: Duration::from_secs(30),
            limits: Limits {
                silence: TimeDelta::seconds(90),
                deployment: TimeDelta::minutes(15),
            },
            upgrade: TimeDelta::minutes(40),
        }
    }
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For so long an agent that sends heartbeats may be silent.
    pub silence: TimeDelta,
    /// So long after its launch or registration a host's engine may answer for the first time.
    pub deployment: TimeDelta,
}

/// What is known of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// Whether its engine answered when it was last asked; none where it was not asked at its present address.
    pub engine: Option<bool>,
    /// When its last heartbeat came; none where its agent sends none.
    pub heartbeat_at: Option<DateTime<Utc>>,
    /// When it was launched, or has registered where its owner brought it.
    pub began_at: DateTime<Utc>,
    /// Whether its node was ever deployed.
    pub was_deployed: bool,
    /// Whether EC2 shows that its instance runs; that of one that its owner brought does.
    pub runs: bool,
}

/// What follows from what is known of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It can be used.
    Good,
    /// It remains to be seen.
    Unknown,
    /// It can't be reached.
    Lost,
}

impl Reach {
    /// Every one.
    pub const ALL: &'static [Self] = &[Self::Good, Self::Unknown, Self::Lost];
}

impl Contact {
    /// Whether the host can be used at this time.
    pub fn reach(&self, now: DateTime<Utc>, limits: Limits) -> Reach {
        if !self.runs {
            return Reach::Unknown;
        }
        let is_silent = self
            .heartbeat_at
            .is_some_and(|heard| now - heard > limits.silence);
        match self.engine {
            // The machine may be restarted before its node is deployed for the first time.
            _ if is_silent && self.was_deployed => Reach::Lost,
            Some(true) => Reach::Good,
            Some(false) if self.was_deployed => Reach::Lost,
            // It was usable, and its agent says that it lives: the address is asked again soon.
            None if self.was_deployed && self.heartbeat_at.is_some() => Reach::Good,
            None if self.was_deployed => Reach::Unknown,
            // The engine may still be being installed.
            _ if now - self.began_at <= limits.deployment => Reach::Unknown,
            _ => Reach::Lost,
        }
    }
}

/// The state that a node in `state` takes when its host is in this reach, or the same one.
pub fn follow(state: NodeState, reach: Reach) -> NodeState {
    use NodeState as S;
    match (state, reach) {
        (S::Deploying | S::Unreachable, Reach::Good) => S::Deployed,
        (S::Deploying | S::Deployed | S::Upgrading, Reach::Lost) => S::Unreachable,
        (state, _) => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        silence: TimeDelta::seconds(90),
        deployment: TimeDelta::minutes(15),
    };

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn contact(engine: Option<bool>, heartbeat: Option<i64>, was_deployed: bool) -> Contact {
        Contact {
            engine,
            heartbeat_at: heartbeat.map(at),
            began_at: at(0),
            was_deployed,
            runs: true,
        }
    }

    #[test]
    fn a_word_of_an_agent_is_short_and_can_be_shown() {
        for word in ["", "1.1.0", "1.11.2-cs7", &"x".repeat(LONGEST_WORD)] {
            assert_eq!(validate_word("agent_version", word), Ok(()));
        }
        for word in ["1.1.0\n", "\u{7f}", &"x".repeat(LONGEST_WORD + 1)] {
            let refused = validate_word("agent_version", word).unwrap_err();
            assert_eq!(refused.field, "agent_version");
        }
    }

    #[test]
    fn a_host_is_usable_once_its_engine_answers() {
        for heartbeat in [None, Some(10)] {
            let reach = |engine| contact(engine, heartbeat, false).reach(at(20), LIMITS);
            assert_eq!(reach(None), Reach::Unknown);
            assert_eq!(reach(Some(false)), Reach::Unknown);
            assert_eq!(reach(Some(true)), Reach::Good);
        }
    }

    #[test]
    fn a_host_whose_engine_has_not_answered_by_the_deadline_is_lost() {
        for engine in [None, Some(false)] {
            let host = contact(engine, None, false);
            assert_eq!(host.reach(at(15 * 60), LIMITS), Reach::Unknown);
            assert_eq!(host.reach(at(15 * 60 + 1), LIMITS), Reach::Lost);
        }
    }

    #[test]
    fn silence_is_counted_from_the_last_heartbeat_and_only_where_there_are_any() {
        let host = contact(Some(true), Some(100), true);
        assert_eq!(host.reach(at(190), LIMITS), Reach::Good);
        assert_eq!(host.reach(at(191), LIMITS), Reach::Lost);
        let original = contact(Some(true), None, true);
        assert_eq!(original.reach(at(1_000_000), LIMITS), Reach::Good);
    }

    #[test]
    fn a_host_that_is_restarted_before_it_was_deployed_may_be_silent_until_the_deadline() {
        let host = contact(None, Some(10), false);
        assert_eq!(host.reach(at(200), LIMITS), Reach::Unknown);
        assert_eq!(host.reach(at(15 * 60 + 1), LIMITS), Reach::Lost);
    }

    #[test]
    fn a_host_whose_instance_does_not_run_can_neither_be_used_nor_be_late() {
        for engine in [None, Some(false), Some(true)] {
            for was_deployed in [false, true] {
                let stopped = Contact {
                    runs: false,
                    ..contact(engine, Some(0), was_deployed)
                };
                assert_eq!(stopped.reach(at(1_000_000), LIMITS), Reach::Unknown);
            }
        }
    }

    #[test]
    fn at_a_new_address_heartbeats_are_believed_until_the_engine_was_asked() {
        assert_eq!(
            contact(None, Some(100), true).reach(at(120), LIMITS),
            Reach::Good
        );
        assert_eq!(
            contact(Some(false), Some(100), true).reach(at(120), LIMITS),
            Reach::Lost
        );
        assert_eq!(
            contact(None, None, true).reach(at(120), LIMITS),
            Reach::Unknown
        );
    }

    #[test]
    fn what_is_known_of_the_host_leads_to_exactly_these_states() {
        use NodeState as S;
        let changes = [
            (S::Deploying, Reach::Good, S::Deployed),
            (S::Unreachable, Reach::Good, S::Deployed),
            (S::Deploying, Reach::Lost, S::Unreachable),
            (S::Deployed, Reach::Lost, S::Unreachable),
            (S::Upgrading, Reach::Lost, S::Unreachable),
        ];
        for &state in S::ALL {
            for &reach in Reach::ALL {
                let is_it = |change: &&(S, Reach, S)| (change.0, change.1) == (state, reach);
                let expected = changes.iter().find(is_it).map_or(state, |change| change.2);
                assert_eq!(follow(state, reach), expected, "{state} {reach:?}");
            }
        }
    }
}
