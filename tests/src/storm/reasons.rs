//! Why actions may fail in a storm: what befell them must account for every word of the reason.

use std::time::Duration;

use super::plan::Event;

/// An action that ended as `Failed`.
#[derive(Debug)]
pub(super) struct Failed {
    /// What was asked for.
    pub(super) name: String,
    /// Why it was not done.
    pub(super) reason: String,
    /// From its beginning to its end.
    pub(super) lasted: Duration,
}

/// What a reason begins with that names one for each zone.
const PER_ZONE: &str = "no zone can take a node: ";

impl Failed {
    /// The parts of the reason that nothing of what happened explains.
    pub(super) fn unexplained<'a>(
        &'a self,
        happened: &[Event],
        launch_deadline: Duration,
    ) -> Vec<&'a str> {
        let parts: Vec<&str> = match self.reason.strip_prefix(PER_ZONE) {
            Some(zones) => zones.split("; ").collect(),
            None => vec![self.reason.as_str()],
        };
        let is_late = self.lasted >= launch_deadline;
        let is_explained =
            |part: &&str| happened.iter().any(|event| explains(event, part, is_late));
        parts
            .into_iter()
            .filter(|part| !is_explained(part))
            .collect()
    }
}

/// Whether `event` may make an action fail with these words.
fn explains(event: &Event, words: &str, is_late: bool) -> bool {
    match event {
        Event::Room {
            instances: Some(_), ..
        } => words.contains("InsufficientInstanceCapacity") || (is_late && is_of_time(words)),
        Event::ConsoleTerminate(_) => words.ends_with("the others were lost"),
        Event::ConsoleDeleteSubnet(_) => words.starts_with("InvalidSubnetID.NotFound"),
        Event::ConsoleDetachGateway(_) => words.contains("igw-"),
        Event::Faults(_)
        | Event::Throttling(true)
        | Event::KillWorker(_)
        | Event::FreezeWorker(_)
        | Event::FreezeInTransaction(_)
        | Event::RestartPostgres => is_late && is_of_time(words),
        _ => false,
    }
}

/// Whether the words say that time was up.
fn is_of_time(words: &str) -> bool {
    words.ends_with("in time")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn failed(reason: &str, lasted_s: u64) -> Failed {
        Failed {
            name: "Node Cluster Deploy".to_owned(),
            reason: reason.to_owned(),
            lasted: Duration::from_secs(lasted_s),
        }
    }

    #[test]
    fn every_zone_needs_an_explanation_of_its_own() {
        let room = Event::Room {
            place: 0,
            zone: "a",
            instances: Some(0),
        };
        let full = "b (subnet-1): InsufficientInstanceCapacity (RunInstances): none";
        let late = "c (subnet-2): AWS did not take the launch in time";
        let both = failed(&format!("no zone can take a node: {full}; {late}"), 3);
        assert_eq!(
            both.unexplained(&[Event::RestartPostgres], DEADLINE),
            [full, late]
        );
        assert_eq!(
            both.unexplained(std::slice::from_ref(&room), DEADLINE),
            [late]
        );
        let both = failed(&both.reason, 20);
        assert!(both.unexplained(&[room], DEADLINE).is_empty());
    }

    #[test]
    fn what_passes_by_itself_is_no_reason() {
        let happened = [Event::RestartPostgres, Event::Throttling(true)];
        let reason = "InternalError (RunInstances): a storm is blowing";
        let unexplained = failed(reason, 60);
        assert_eq!(unexplained.unexplained(&happened, DEADLINE), [reason]);
    }
}
