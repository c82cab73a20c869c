//! Upgrades of engines: the orders are rows, the agents carry them out, and this ends them.

use domain::{
    action::End,
    host::Settings,
    ids::{ActionId, ClusterId, NodeId},
    upgrade::{self, Move, Next, Situation},
};
use store::PgConnection;

use crate::Error;

/// Carries the order of an action on this node on, in a transaction that has locked the node's cluster. Answers with its
/// last words and how it ended, once it has.
pub(crate) async fn carry_on(
    tx: &mut PgConnection,
    action: ActionId,
    node: NodeId,
    is_canceling: bool,
    settings: &Settings,
) -> Result<Option<(String, End)>, Error> {
    let host = store::host::lock(tx, node).await?;
    let under_way = store::upgrade::lock(tx, action, node).await?;
    let (Some(host), Some(under_way)) = (host, under_way) else {
        return Ok(Some(failed(format!(
            "the engine of node {node} was not upgraded: no order of this action is under way; ask again"
        ))));
    };
    let is_to_end = store::upgrade::does_an_end_wait(tx, node).await?;
    let situation = Situation {
        is_to_end,
        state: host.state,
        contact: host.contact,
        can_be_asked: host.engine_address.is_some() && host.public_cert.is_some(),
        agent_version: host.agent_version.as_deref(),
        now: host.now,
    };
    let (failure, line, end) =
        match upgrade::next(&under_way.order, situation, is_canceling, settings) {
            Next::Wait => return Ok(None),
            Next::Withdraw => (None, "Canceled".to_owned(), End::Canceled),
            Next::Done(version) => {
                let before = under_way.version_before.as_deref().unwrap_or("unknown");
                let line =
                    format!("The engine of node {node} was upgraded from {before} to {version}");
                (None, line, End::Success)
            }
            Next::Failed(why) => {
                let (line, end) = failed(format!("the engine of node {node} {why}"));
                (Some(line.clone()), line, end)
            }
        };
    store::upgrade::end(tx, action, node, failure.as_deref()).await?;
    let state = upgrade::after(host.state, host.contact.reach(host.now, settings.limits));
    if state != host.state {
        store::node::set_state(tx, node, state).await?;
    }
    Ok(Some((line, end)))
}

/// Carries the upgrade of a cluster on, one node at a time, in a transaction that has locked the cluster. Answers with its
/// last words and how it ended, once it has.
pub(crate) async fn carry_on_cluster(
    tx: &mut PgConnection,
    action: ActionId,
    cluster: ClusterId,
    is_canceling: bool,
    settings: &Settings,
) -> Result<Option<(String, End)>, Error> {
    loop {
        let turns = store::upgrade::turns(tx, action).await?;
        match upgrade::next_move(&turns, is_canceling) {
            Move::CarryOn(node) => {
                let ended = carry_on(tx, action, node, is_canceling, settings).await?;
                let Some((line, _)) = ended else {
                    return Ok(None);
                };
                store::action::log(tx, action, &line).await?;
            }
            Move::Begin(node) => store::upgrade::order(tx, action, node).await?,
            Move::Leave(node) => {
                let line = format!("Node {node} is gone, so its engine needs no upgrade");
                store::action::log(tx, action, &line).await?;
                store::upgrade::end(tx, action, node, None).await?;
            }
            Move::Refuse(node, state) => {
                let why =
                    format!("the engine of node {node} was not upgraded: the node is {state}");
                store::action::log(tx, action, &why).await?;
                store::upgrade::end(tx, action, node, Some(&why)).await?;
            }
            Move::Wait => return Ok(None),
            Move::End => {
                let how = upgrade::summary(&turns);
                let line = format!("The engines of node cluster {cluster}: {how}");
                let end = match store::upgrade::failure(tx, action).await? {
                    _ if is_canceling => End::Canceled,
                    Some(why) => End::Failed(why),
                    None if turns.is_empty() => {
                        End::Failed("none of the nodes is Deployed".to_owned())
                    }
                    None => End::Success,
                };
                return Ok(Some((line, end)));
            }
        }
    }
}

fn failed(why: String) -> (String, End) {
    (why.clone(), End::Failed(why))
}
