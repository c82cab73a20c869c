use chrono::TimeDelta;
use uuid::Uuid;

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn order(is_told: bool, report: Option<Result<&str, &str>>) -> Order {
    Order {
        ordered_at: at(0),
        is_told,
        report: report.map(|report| report.map(str::to_owned).map_err(str::to_owned)),
    }
}

/// A node whose agent was just heard, at this time.
fn heard(now: i64) -> Situation<'static> {
    Situation {
        state: NodeState::Upgrading,
        contact: Contact {
            engine: Some(true),
            heartbeat_at: Some(at(now)),
            began_at: at(0),
            was_deployed: true,
            runs: true,
        },
        can_be_asked: true,
        agent_version: Some("0.1.0"),
        is_to_end: false,
        now: at(now),
    }
}

fn step(order: &Order, node: Situation<'_>) -> Next {
    next(order, node, false, &Settings::default())
}

fn why(next: Next) -> String {
    match next {
        Next::Failed(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_order_is_waited_for_until_the_agent_has_reported_and_the_engine_answers() {
    assert_eq!(step(&order(false, None), heard(1)), Next::Wait);
    assert_eq!(step(&order(true, None), heard(1)), Next::Wait);
    let done = order(true, Some(Ok("27.0.1")));
    for engine in [None, Some(false)] {
        let mut node = heard(2);
        node.contact.engine = engine;
        assert_eq!(step(&done, node), Next::Wait, "{engine:?}");
    }
    assert_eq!(step(&done, heard(2)), Next::Done("27.0.1".to_owned()));
    let mut unreachable = heard(2);
    unreachable.state = NodeState::Unreachable;
    assert_eq!(step(&done, unreachable), Next::Wait);
}

#[test]
fn an_order_does_not_hold_up_the_end_of_its_node() {
    let mut node = heard(1);
    node.is_to_end = true;
    for is_told in [false, true] {
        let said = why(step(&order(is_told, None), node));
        assert!(said.contains("is to be terminated"), "{said}");
    }
}

#[test]
fn an_engine_that_berth_can_not_ask_is_back_with_the_heartbeat() {
    let mut node = heard(2);
    node.contact.engine = None;
    node.can_be_asked = false;
    let done = order(true, Some(Ok("27.0.1")));
    assert_eq!(step(&done, node), Next::Done("27.0.1".to_owned()));
}

#[test]
fn an_order_that_no_heartbeat_will_carry_fails_at_once() {
    let untold = order(false, None);
    let mut node = heard(1);
    node.contact.heartbeat_at = None;
    assert!(why(step(&untold, node)).contains("(0.1.0) sends no heartbeats"));
    node.agent_version = None;
    assert!(why(step(&untold, node)).contains("no agent on the node"));
    let mut silent = heard(100);
    silent.contact.heartbeat_at = Some(at(0));
    assert!(why(step(&untold, silent)).contains("last heard at 1970-01-01 00:00:00 UTC"));
    // One that was told may be restarting its machine.
    assert_eq!(step(&order(true, None), silent), Next::Wait);
}

#[test]
fn a_failure_is_told_in_the_agents_words() {
    let failed = |words| why(step(&order(true, Some(Err(words))), heard(1)));
    assert_eq!(failed("no space left"), "was not upgraded: no space left");
    assert!(failed("").contains("gave no reason"));
}

#[test]
fn nothing_is_waited_for_longer_than_the_deadline() {
    let limit = Settings::default().upgrade.num_seconds();
    for report in [None, Some(Ok("27.0.1"))] {
        let told = order(true, report);
        let mut node = heard(limit);
        node.contact.engine = Some(false);
        assert_eq!(step(&told, node), Next::Wait);
        node.now = at(limit + 1);
        assert!(why(step(&told, node)).contains("40 minutes"));
    }
}

#[test]
fn a_canceled_order_is_withdrawn_unless_it_was_told() {
    let canceled = |order: &Order| next(order, heard(1), true, &Settings::default());
    assert_eq!(canceled(&order(false, None)), Next::Withdraw);
    assert_eq!(canceled(&order(true, None)), Next::Wait);
    let done = order(true, Some(Ok("27.0.1")));
    assert_eq!(canceled(&done), Next::Done("27.0.1".to_owned()));
}

#[test]
fn an_order_for_a_node_that_is_gone_has_failed() {
    for state in [NodeState::Terminating, NodeState::Terminated] {
        let mut node = heard(1);
        node.state = state;
        let done = order(true, Some(Ok("27.0.1")));
        assert!(why(step(&done, node)).contains("terminated"));
    }
}

#[test]
fn after_its_upgrade_a_node_is_deployed_or_unreachable() {
    use NodeState as S;
    assert_eq!(after(S::Upgrading, Reach::Good), S::Deployed);
    assert_eq!(after(S::Upgrading, Reach::Unknown), S::Deployed);
    assert_eq!(after(S::Upgrading, Reach::Lost), S::Unreachable);
    assert_eq!(after(S::Terminated, Reach::Good), S::Terminated);
}

fn turns(stages: &[(NodeState, Stage)]) -> Vec<Turn> {
    stages
        .iter()
        .zip(1..)
        .map(|((state, stage), number)| Turn {
            node: Uuid::from_u128(number).into(),
            state: *state,
            stage: stage.clone(),
        })
        .collect()
}

fn node(number: u128) -> NodeId {
    Uuid::from_u128(number).into()
}

#[test]
fn nodes_take_turns_and_nobody_follows_one_that_failed() {
    use NodeState as S;
    let waiting = (S::Deployed, Stage::Waiting);
    let done = (S::Deployed, Stage::Upgraded);
    let cases = [
        (vec![waiting.clone(), waiting.clone()], Move::Begin(node(1))),
        (
            vec![(S::Upgrading, Stage::Ordered), waiting.clone()],
            Move::CarryOn(node(1)),
        ),
        (vec![done.clone(), waiting.clone()], Move::Begin(node(2))),
        (vec![done.clone(), done.clone()], Move::End),
        (
            vec![(S::Deployed, Stage::Failed), waiting.clone()],
            Move::End,
        ),
        (
            vec![(S::Terminated, Stage::Waiting), waiting.clone()],
            Move::Leave(node(1)),
        ),
        (
            vec![(S::Unreachable, Stage::Waiting)],
            Move::Refuse(node(1), S::Unreachable),
        ),
        (vec![(S::Upgrading, Stage::Waiting)], Move::Wait),
        (vec![], Move::End),
    ];
    for (stages, expected) in cases {
        assert_eq!(next_move(&turns(&stages), false), expected, "{stages:?}");
    }
    let stages = [(S::Upgrading, Stage::Ordered), waiting.clone()];
    assert_eq!(next_move(&turns(&stages), true), Move::CarryOn(node(1)));
    assert_eq!(next_move(&turns(&[done, waiting]), true), Move::End);
}

#[test]
fn the_summary_names_every_node() {
    use NodeState as S;
    let turns = turns(&[
        (S::Deployed, Stage::Upgraded),
        (S::Terminated, Stage::Left),
        (S::Deployed, Stage::Failed),
        (S::Deployed, Stage::Waiting),
    ]);
    let expected = format!(
        "upgraded: 1 ({}); failed: 1 ({}); not begun: 1 ({})",
        node(1),
        node(3),
        node(4)
    );
    assert_eq!(summary(&turns), expected);
}

#[test]
fn a_report_is_made_fit_to_be_shown() {
    let report = |order: Option<&str>, outcome, message| {
        Report::new(order.map(str::to_owned), outcome, message)
    };
    let shown = report(Some("7"), Some("Failed"), Some("a\r\n\tb\u{7f}\0c  d")).unwrap();
    assert_eq!(shown.message, "a b c d");
    let long = format!("{}end", "ä".repeat(5000));
    let shown = report(Some("7"), Some("Failed"), Some(&long)).unwrap();
    assert_eq!(shown.message.chars().count(), LONGEST_MESSAGE);
    assert!(shown.message.ends_with("end"));
    assert_eq!(
        report(Some("7"), Some("Running"), None).unwrap().message,
        ""
    );
    let refused = report(None, Some("Failed"), None).unwrap_err();
    assert_eq!(refused.field, "upgrade.order");
    for outcome in [None, Some("Fine")] {
        let refused = report(Some("7"), outcome, None).unwrap_err();
        assert_eq!(refused.field, "upgrade.outcome");
    }
}
