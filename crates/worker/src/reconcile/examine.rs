//! Nodes that have not called home are looked into: what their instances have printed says why, if anything does.

use domain::ids::NodeId;
use store::node::Node;
use tracing::warn;

use super::{Look, fence_unchanged};
use crate::{Error, site::Site};

/// As many lines of it go into the action's log; all that EC2 gives is kept with the node.
const LAST_LINES: usize = 20;
/// The longest line that is worth reading.
const LINE: usize = 200;

/// Asks EC2 what the instances of these nodes have printed, keeps it, and tells the end of it in the action's log.
pub(crate) async fn run(site: &Site, look: &Look, nodes: &[NodeId]) -> Result<(), Error> {
    let ids: Vec<_> = nodes.iter().map(|node| node.0).collect();
    let mut conn = site.pool.acquire().await?;
    let nodes = store::node::by_ids(&mut conn, &ids).await?;
    drop(conn);
    for node in &nodes {
        examine(site, look, node).await?;
    }
    Ok(())
}

async fn examine(site: &Site, look: &Look, node: &Node) -> Result<(), Error> {
    let instance_id = node.instance_id.as_deref().unwrap_or_default();
    let (output, line) = match look.cloud.console_output(instance_id).await {
        Ok(Some(output)) => {
            let end = last_lines(&output);
            let line = format!("The end of what the console of {instance_id} shows:\n{end}");
            (Some(output), line)
        }
        Ok(None) => {
            let line = format!("EC2 has no console output of {instance_id}");
            (None, line)
        }
        Err(error) if error.may_pass() => return Err(error.into()),
        // The node is what the user asked for: that nobody may look into it changes nothing of that.
        Err(error) => {
            warn!(cluster = %look.cluster.id, %error, "a node's console can't be read");
            (
                None,
                format!("The console of {instance_id} can't be read: {error}"),
            )
        }
    };
    let Some(mut tx) = fence_unchanged(site, look).await? else {
        return Ok(());
    };
    store::node::keep_console_output(&mut tx, node.id, output.as_deref()).await?;
    if let Some(action) = look.cluster.action_id {
        store::action::log(&mut tx, action, &line).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// The end of it, without what a terminal would take for a command.
fn last_lines(output: &str) -> String {
    let lines: Vec<String> = output
        .lines()
        .map(|line| {
            let shown = line.chars().filter(|char| !char.is_control());
            shown.take(LINE).collect::<String>()
        })
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_console_is_told_as_text() {
        let output: String = (0..30)
            .map(|n| format!("\u{1b}[32mline {n}\r\n\n"))
            .collect();
        let told = last_lines(&output);
        assert_eq!(told.lines().count(), LAST_LINES);
        assert!(told.starts_with("[32mline 10\n"), "{told}");
        assert!(told.ends_with("line 29"), "{told}");
        assert_eq!(last_lines(""), "");
    }
}
