//! Network objects of this installation that no row knows are removed.
//!
//! They are what a worker made that died before it could write the id down, and the second one that a call without a
//! client token made whose answer was lost. As with instances, the cloud is listed first and the rows second, and what
//! is to go must have been seen twice, a grace period apart.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use domain::network::{self, Object};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Error, site::Site};

/// How long nothing is looked for where nothing gives reason to.
const PAUSE_AT_REST: Duration = Duration::from_secs(3600);
/// How long to wait for a moment in which nobody makes anything.
const PAUSE_OF_MAKERS: Duration = Duration::from_secs(1);

/// When the next look is due.
struct Due {
    at: Instant,
    /// The pause after a look that leaves something.
    pause: Duration,
    suspected_at: Instant,
}

/// Looks a while after the site was taken, a while after whatever did not succeed, and every now and then.
pub(crate) async fn run(site: Arc<Site>, stop: &CancellationToken) {
    let mut seen = BTreeSet::new();
    let grace = site.config.grace;
    let mut due = Due {
        at: Instant::now() + grace,
        pause: grace,
        suspected_at: Instant::now(),
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = site.leftovers_suspected() => {
                due.suspected_at = Instant::now();
                due.pause = grace;
                due.at = due.at.min(due.suspected_at + grace);
            }
            () = tokio::time::sleep_until(due.at) => match clear_up(&site, &mut seen).await {
                Ok(Look::Busy) => due.at = Instant::now() + PAUSE_OF_MAKERS,
                Ok(Look::Done) if seen.is_empty() => {
                    let once_more = due.suspected_at + grace;
                    due.at = if once_more > Instant::now() {
                        once_more
                    } else {
                        Instant::now() + PAUSE_AT_REST
                    };
                }
                Ok(Look::Done) => {
                    due.at = Instant::now() + due.pause;
                    due.pause = (due.pause * 2).min(PAUSE_AT_REST);
                }
                Err(Error::Store(store::Error::LeaseLost)) => {
                    stop.cancel();
                    return;
                }
                Err(Error::Cloud(aws::Error::Stopped(_))) => return,
                Err(error) => {
                    warn!(%error, "leftovers can't be looked for; trying again");
                    due.at = Instant::now() + due.pause;
                }
            },
        }
    }
}

/// How a look went.
enum Look {
    /// Somebody is making something.
    Busy,
    Done,
}

/// One look: deletes what the look before saw, too, and remembers what it sees now.
async fn clear_up(site: &Site, seen: &mut BTreeSet<Object>) -> Result<Look, Error> {
    let Some(_nobody_makes_anything) = site.makers.nobody() else {
        return Ok(Look::Busy);
    };
    let mut conn = site.pool.acquire().await?;
    let any = store::network::any_of_site(&mut conn, site.lease.site_id).await?;
    drop(conn);
    if !any {
        seen.clear();
        return Ok(Look::Done);
    }
    let installation = site.installation.to_string();
    let objects = site.cloud.network_objects(&installation).await?;
    let mut conn = site.pool.acquire().await?;
    let known = store::network::known_ids(&mut conn).await?;
    drop(conn);
    let mut known: BTreeSet<String> = known.into_iter().collect();
    let adopted = network::adoptable(&objects, &known);
    if !adopted.is_empty() {
        let mut tx = site.fence().await?;
        for object in &adopted {
            if let Some(vpc_id) = &object.vpc_id {
                store::network::creation::adopt(&mut tx, vpc_id, object.kind, &object.id).await?;
            }
        }
        tx.commit().await?;
        known.extend(adopted.iter().map(|object| object.id.clone()));
    }
    let left = network::leftovers(&objects, &known);
    let again: Vec<&Object> = left
        .iter()
        .copied()
        .filter(|object| seen.contains(*object))
        .collect();
    *seen = left.iter().map(|object| (*object).clone()).collect();
    // A worker that has lost its lease deletes nothing.
    site.fence().await?.rollback().await?;
    for object in again {
        let (kind, id) = (object.kind.as_str(), object.id.as_str());
        match site.cloud.delete_network_object(object).await {
            Ok(()) | Err(aws::Error::NotThere(_)) => {
                info!("deleted {kind} {id} of this installation, which no row knows");
                seen.remove(object);
            }
            Err(error) => warn!(kind, id, %error, "a leftover can't be deleted"),
        }
    }
    Ok(Look::Done)
}
