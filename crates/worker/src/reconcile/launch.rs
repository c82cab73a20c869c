//! Launches are sent, and their outcome is written down.
//!
//! A launch's token is only ever sent with the request that was committed with it, as often as it takes until the
//! outcome is known: the instances' ids, or a definite refusal. A lost answer is neither.
//!
//! Each launch is followed by a task of its own, since one may wait long for its turn or its answer: meanwhile its
//! cluster's pass sees to the others, to the zones that refused, and to what the user has changed.

use std::sync::Arc;

use aws::{Instance, Turn};
use chrono::TimeDelta;
use domain::{ids::LaunchId, tags};
use store::launch::Launch;
use tracing::warn;

use super::{Look, fence_unchanged, place, token};
use crate::{Error, delta, site::Site};

/// How long a zone that had no capacity is left alone.
const ZONE_OUT_FOR: TimeDelta = TimeDelta::minutes(3);
/// How long a subnet that had no free address is left alone.
const SUBNET_OUT_FOR: TimeDelta = TimeDelta::seconds(30);
/// How long EC2 remembers a token is not documented: after this time the instances are looked for by their tag first.
const TOKEN_TRUSTED_FOR: TimeDelta = TimeDelta::minutes(5);
const LONGEST_PAUSE_S: i64 = 60;
/// How long after a look for a launch's instances the next one follows.
const FIND_AGAIN_AFTER: TimeDelta = TimeDelta::seconds(2);

/// Begins to send these launches, each as soon as EC2's limits allow, and to write down what comes of each.
pub(crate) fn send(site: &Arc<Site>, look: &Arc<Look>, ids: &[LaunchId]) {
    let due = look
        .launches
        .iter()
        .filter(|launch| ids.contains(&launch.id));
    for launch in due {
        let (its_site, its_look, its_launch) = (Arc::clone(site), Arc::clone(look), launch.clone());
        site.follow_launch(look.cluster.id, launch.id, async move {
            send_one(&its_site, &its_look, &its_launch).await
        });
    }
}

/// Takes back launches that were never sent: their operation was canceled, or its time is up.
pub(crate) async fn withdraw(site: &Site, look: &Look, ids: &[LaunchId]) -> Result<(), Error> {
    let Some(mut tx) = fence_unchanged(site, look).await? else {
        return Ok(());
    };
    for id in ids {
        store::launch::withdraw(&mut tx, *id).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Finds out what came of launches whose operation was canceled, or whose time is up, without sending them again.
pub(crate) async fn find(site: &Site, look: &Look, ids: &[LaunchId]) -> Result<(), Error> {
    let grace = delta(site.config.grace);
    for launch in look
        .launches
        .iter()
        .filter(|launch| ids.contains(&launch.id))
    {
        match look_up(site, look, launch).await? {
            Found::All(found) => succeed(site, look, launch, &found).await?,
            Found::Some => look_later(site, look, launch).await?,
            // Should one show up even later than this, the sweep terminates it: no node and no open launch knows it.
            Found::Nothing if launch.last_sent_ago.is_some_and(|ago| ago >= grace) => {
                abandon(site, look, launch).await?;
            }
            Found::Nothing => look_later(site, look, launch).await?,
        }
    }
    Ok(())
}

async fn look_later(site: &Site, look: &Look, launch: &Launch) -> Result<(), Error> {
    let mut tx = site.fence().await?;
    store::cluster::lock_under_way(&mut tx, look.cluster.id).await?;
    store::launch::look_later(&mut tx, launch.id, FIND_AGAIN_AFTER).await?;
    tx.commit().await?;
    Ok(())
}

/// Nothing has come of the launch, and it is not sent again: its nodes are free to be placed anew.
async fn abandon(site: &Site, look: &Look, launch: &Launch) -> Result<(), Error> {
    let mut tx = site.fence().await?;
    store::cluster::lock_under_way(&mut tx, look.cluster.id).await?;
    store::launch::abandon(&mut tx, launch.id).await?;
    tx.commit().await?;
    Ok(())
}

/// What EC2 shows of a launch.
enum Found {
    Nothing,
    /// Instances, of which there may be more that are too young to be listed.
    Some,
    /// All that there will be.
    All(Vec<Instance>),
}

/// Looks for the instances of a launch by their tag. A launch may make fewer than were asked for; whether these are all is
/// known once those of its last sending would be listed.
async fn look_up(site: &Site, look: &Look, launch: &Launch) -> Result<Found, Error> {
    let found = look
        .cloud
        .instances_tagged(tags::LAUNCH, &launch.id.to_string())
        .await?;
    let all_are_listed = found.len() >= launch.count as usize
        || launch
            .last_sent_ago
            .is_some_and(|ago| ago >= shown_after(site));
    Ok(match found {
        found if found.is_empty() => Found::Nothing,
        found if all_are_listed => Found::All(found),
        _ => Found::Some,
    })
}

/// How soon what is made is in every listing.
fn shown_after(site: &Site) -> TimeDelta {
    delta(site.config.new_objects_show_within)
}

async fn send_one(site: &Site, look: &Look, launch: &Launch) -> Result<(), Error> {
    if launch.sent_ago.is_some_and(|ago| ago > TOKEN_TRUSTED_FOR) {
        match look_up(site, look, launch).await? {
            Found::All(found) => return succeed(site, look, launch, &found).await,
            Found::Some => return look_later(site, look, launch).await,
            Found::Nothing => {}
        }
    }
    let request = match token::put_in(site, launch) {
        Ok(request) => request,
        Err(why) => return wait_for_the_operator(site, look, launch, &why).await,
    };
    let Some(turn) = turn(look, launch).await? else {
        return Ok(());
    };
    let pause = TimeDelta::seconds((2_i64 << launch.attempts.min(5)).min(LONGEST_PAUSE_S));
    // What was canceled since the look is not sent any more.
    let Some(mut tx) = fence_unchanged(site, look).await? else {
        return Ok(());
    };
    if !store::launch::mark_sent(&mut tx, launch.id, pause, look.view.deadline).await? {
        return Ok(());
    }
    tx.commit().await?;
    match look
        .cloud
        .run_instances(turn, &request, &launch.client_token, launch.count)
        .await
    {
        Ok(instances) => succeed(site, look, launch, &instances).await,
        Err(error) => apply_error(site, look, launch, error).await,
    }
}

/// The launch can't be sent before the operator has put something right.
async fn wait_for_the_operator(
    site: &Site,
    look: &Look,
    launch: &Launch,
    why: &str,
) -> Result<(), Error> {
    if let Some(action) = look.cluster.action_id {
        let mut tx = site.fence().await?;
        store::action::log_if_new(&mut tx, action, why).await?;
        tx.commit().await?;
    }
    look_later(site, look, launch).await
}

/// Waits until EC2's limits allow the launch; none where its time is up before.
async fn turn(look: &Look, launch: &Launch) -> Result<Option<Turn>, Error> {
    let turn = look.cloud.turn_to_launch(launch.count);
    let Some(deadline) = look.view.deadline else {
        return Ok(Some(turn.await?));
    };
    let left = (deadline - look.view.now).to_std().unwrap_or_default();
    match tokio::time::timeout(left, turn).await {
        Ok(turn) => Ok(Some(turn?)),
        Err(_) => Ok(None),
    }
}

async fn apply_error(
    site: &Site,
    look: &Look,
    launch: &Launch,
    error: aws::Error,
) -> Result<(), Error> {
    let shown_after = shown_after(site);
    // An object that the launch names may be too young to be known everywhere.
    let is_young = launch.sent_ago.is_none_or(|ago| ago < shown_after);
    // And so may be what an earlier sending has launched.
    let was_sent_lately = launch.last_sent_ago.is_some_and(|ago| ago < shown_after);
    // A refusal of a launch that was sent before says nothing about the earlier one, whose answer may have been lost:
    // credentials are checked before the token is looked at.
    let is_about_this_call = matches!(
        error,
        aws::Error::NotAllowed(_)
            | aws::Error::NotThere(_)
            | aws::Error::Rejected(_)
            | aws::Error::AccountLimit(_)
            | aws::Error::AlreadyThere(_)
            | aws::Error::InUse(_)
    );
    if launch.sent_ago.is_some() && is_about_this_call {
        match look_up(site, look, launch).await? {
            Found::All(found) => return succeed(site, look, launch, &found).await,
            Found::Some => return look_later(site, look, launch).await,
            Found::Nothing => {}
        }
        if was_sent_lately {
            return site
                .log(
                    look.cluster.action_id,
                    &format!("{error}; sending the same launch again"),
                )
                .await;
        }
    }
    match &error {
        aws::Error::Stopped(_) => Ok(()),
        // Nobody knows, or nothing has happened yet: the same token again, later.
        aws::Error::Throttled(_) | aws::Error::OutcomeUnknown(_) => {
            site.log(
                look.cluster.action_id,
                &format!("{error}; sending the same launch again"),
            )
            .await
        }
        aws::Error::NotThere(_) if is_young => {
            site.log(
                look.cluster.action_id,
                &format!("{error}; sending the same launch again"),
            )
            .await
        }
        // The token was good for instances once: they are found by their tag, whatever has become of them. Where EC2 has
        // forgotten even those that are terminated, nothing of them runs.
        aws::Error::TokenSpent(_) | aws::Error::TokenMismatch(_) => {
            match look_up(site, look, launch).await? {
                Found::All(found) => succeed(site, look, launch, &found).await,
                Found::Some => look_later(site, look, launch).await,
                Found::Nothing if matches!(error, aws::Error::TokenSpent(_)) => {
                    site.log(
                        look.cluster.action_id,
                        &format!("{error}; launching anew what it should have been"),
                    )
                    .await?;
                    abandon(site, look, launch).await
                }
                Found::Nothing => refuse(site, look, launch, &error, None).await,
            }
        }
        aws::Error::NoCapacity(_) => {
            refuse(site, look, launch, &error, Some((None, ZONE_OUT_FOR))).await
        }
        aws::Error::SubnetFull(_) => {
            let subnet_id = Some(launch.request.subnet_id.as_str());
            refuse(
                site,
                look,
                launch,
                &error,
                Some((subnet_id, SUBNET_OUT_FOR)),
            )
            .await
        }
        // It is not there any more: the nodes go where the network is by now, or it says that it is gone.
        error if error.is_about_the_network() => {
            site.forget_network(look.cluster.id).await;
            let subnet_id = Some(launch.request.subnet_id.as_str());
            refuse(site, look, launch, error, Some((subnet_id, SUBNET_OUT_FOR))).await
        }
        aws::Error::NotThere(_)
        | aws::Error::AccountLimit(_)
        | aws::Error::NotAllowed(_)
        | aws::Error::AlreadyThere(_)
        | aws::Error::InUse(_)
        | aws::Error::BadBatch(_)
        | aws::Error::Rejected(_) => refuse(site, look, launch, &error, None).await,
    }
}

async fn succeed(
    site: &Site,
    look: &Look,
    launch: &Launch,
    instances: &[Instance],
) -> Result<(), Error> {
    let ids: Vec<String> = instances
        .iter()
        .map(|instance| instance.id.clone())
        .collect();
    let mut tx = site.fence().await?;
    // The cluster before its nodes, as everybody locks them.
    store::cluster::lock_under_way(&mut tx, look.cluster.id).await?;
    let surplus = store::launch::succeed(&mut tx, launch.id, &ids).await?;
    if let Some(action) = look.cluster.action_id {
        let line = format!(
            "Launched {} of {} in {}: {}",
            ids.len(),
            launch.count,
            launch.zone,
            ids.join(", ")
        );
        store::action::log(&mut tx, action, &line).await?;
    }
    tx.commit().await?;
    if !surplus.is_empty() {
        warn!(instances = ?surplus, "no node is left for these; the sweep terminates them");
    }
    Ok(())
}

/// The launch is refused for good. With an outage its nodes go elsewhere; without one no other place would help, and
/// the operation fails.
async fn refuse(
    site: &Site,
    look: &Look,
    launch: &Launch,
    error: &aws::Error,
    outage: Option<(Option<&str>, TimeDelta)>,
) -> Result<(), Error> {
    let words = place::explain(error, &launch.request);
    let mut tx = site.fence().await?;
    store::cluster::lock_under_way(&mut tx, look.cluster.id).await?;
    store::launch::refuse(&mut tx, launch.id, &words).await?;
    if let Some((subnet_id, for_how_long)) = outage {
        let (site_id, node_type) = (site.lease.site_id, look.cluster.node_type.as_str());
        store::outage::remember(
            &mut tx,
            site_id,
            node_type,
            &launch.zone,
            subnet_id,
            for_how_long,
            &words,
        )
        .await?;
    }
    if let Some(action) = look.cluster.action_id {
        if outage.is_none() {
            store::action::fail(&mut tx, action, &words).await?;
        }
        store::action::log(&mut tx, action, &format!("{}: {words}", launch.zone)).await?;
    }
    tx.commit().await?;
    Ok(())
}
