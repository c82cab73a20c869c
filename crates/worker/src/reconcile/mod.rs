//! One pass over a cluster: look, plan, act, apply, until there is nothing to do or only waiting is left.

use std::{sync::Arc, time::Duration};

use domain::{
    ids::ClusterId,
    plan::{Step, next_step},
};
use sqlx::{Postgres, Transaction};
use tokio::time::Instant;
use tracing::debug;

use crate::{Error, site::Site};

mod creation;
mod examine;
mod gateway;
mod launch;
mod look;
mod network;
pub(crate) mod operations;
mod place;
mod security_group;
mod settle;
mod subnets;
mod terminate;
mod token;

use look::Look;

/// How long a network is used without a new look at it.
const NETWORK_KEPT_FOR: Duration = Duration::from_secs(30);

/// How a pass ended.
pub(crate) enum Rest {
    /// There is nothing to do.
    Quiet,
    /// Something is under way: look again after a while.
    Waiting,
}

/// Why a step that AWS was asked for can't be done: for good, so that the operation fails, or for now.
pub(crate) enum Stop {
    /// No further attempt will help; in words for the user.
    Fail(String),
    /// Try again later.
    Later(Error),
    /// EC2 shows in a moment whether this (in words) is there; till then nothing is decided.
    NotYet(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::Cloud(error) => error.into(),
            Error::Store(_) => Self::Later(error),
        }
    }
}

impl From<store::Error> for Stop {
    fn from(error: store::Error) -> Self {
        Self::Later(error.into())
    }
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Later(error.into())
    }
}

impl From<aws::Error> for Stop {
    fn from(error: aws::Error) -> Self {
        if error.may_pass() {
            Self::Later(error.into())
        } else {
            Self::Fail(error.to_string())
        }
    }
}

/// Reconciles the cluster until it rests or waits.
///
/// # Errors
/// What made an attempt fail that is worth another one later.
pub(crate) async fn run(site: &Arc<Site>, cluster: ClusterId) -> Result<Rest, Error> {
    let is_asked = operations::carry_on(site, cluster).await?;
    // The network is looked at once in a pass, and kept while waiting. Launches that are decided are taken off its
    // free addresses.
    let mut network = site
        .prepared
        .lock()
        .await
        .remove(&cluster)
        .filter(|(at, _)| at.elapsed() < NETWORK_KEPT_FOR);
    // One that was kept may lack seats of launches that have come to nothing since.
    let mut seats_taken = network.is_some();
    loop {
        let Some(look) = look::look(
            site,
            cluster,
            network.as_ref().map(|(_, network)| network.clone()),
        )
        .await?
        else {
            return Ok(Rest::Quiet);
        };
        if site.stop.is_cancelled() {
            return Ok(Rest::Waiting);
        }
        let look = Arc::new(look);
        let step = next_step(&look.view);
        debug!(?step);
        let outcome = match step {
            // What was asked of its engines takes minutes.
            Step::Rest if is_asked => return Ok(Rest::Waiting),
            Step::Rest => return Ok(Rest::Quiet),
            Step::Wait(_) => {
                if let Some(kept) = network {
                    site.prepared.lock().await.insert(cluster, kept);
                }
                return Ok(Rest::Waiting);
            }
            Step::PrepareNetwork => match network::prepare(site, &look).await {
                Ok(prepared) => {
                    network = Some((Instant::now(), prepared));
                    seats_taken = false;
                    Ok(())
                }
                Err(stop) => Err(stop),
            },
            Step::Place(placed) => {
                let decided = place::decide(site, &look, &placed).await;
                if let (Ok(()), Some((_, network))) = (&decided, &mut network) {
                    place::take_seats(network, &placed);
                    seats_taken = true;
                }
                decided
            }
            Step::Launch(ids) => {
                launch::send(site, &look, &ids);
                Ok(())
            }
            Step::Withdraw(ids) => launch::withdraw(site, &look, &ids)
                .await
                .map_err(Stop::Later),
            Step::Find(ids) => launch::find(site, &look, &ids).await.map_err(Stop::Later),
            // Seats that were taken off for launches which came to nothing are free again: one more look.
            Step::GiveUp(_) if seats_taken => {
                network = None;
                seats_taken = false;
                Ok(())
            }
            Step::GiveUp(reason) => Err(Stop::Fail(reason)),
            Step::Retire(nodes) => settle::retire(site, &look, &nodes)
                .await
                .map_err(Stop::Later),
            Step::Terminate(nodes) => terminate::ask(site, &look, &nodes)
                .await
                .map_err(Stop::Later),
            Step::Bury(nodes) => settle::bury(site, &look, &nodes).await.map_err(Stop::Later),
            // An upgrade knows itself how it has ended, and does so in the next pass.
            Step::Settle { .. }
                if !look.view.state.is_moving() && look.cluster.action_id.is_some() =>
            {
                return Ok(Rest::Waiting);
            }
            Step::Examine(nodes) => examine::run(site, &look, &nodes).await.map_err(Stop::Later),
            Step::Settle { state, target, end } => settle::settle(site, &look, state, target, &end)
                .await
                .map_err(Stop::Later),
            Step::Tag(nodes) => settle::tag(site, &look, &nodes).await.map_err(Stop::Later),
        };
        match outcome {
            Ok(()) => {}
            Err(Stop::Fail(reason)) => fail(site, &look, &reason).await?,
            Err(Stop::NotYet(what)) => {
                let line = format!("Waiting until EC2 shows whether {what}");
                log_once(site, &look, &line).await?;
                return Ok(Rest::Waiting);
            }
            Err(Stop::Later(error)) => {
                match &error {
                    Error::Cloud(aws::Error::Stopped(_)) | Error::Store(_) => {}
                    Error::Cloud(said) => {
                        log_once(site, &look, &format!("{said}; trying again")).await?;
                    }
                }
                return Err(error);
            }
        }
    }
}

/// Notes why the operation can't reach its aim; the plan winds it up from there. Only a step of an operation can fail:
/// what is asked of EC2 at rest or to terminate is tried again for ever.
async fn fail(site: &Site, look: &Look, reason: &str) -> Result<(), Error> {
    let Some(action) = look.cluster.action_id else {
        return Ok(());
    };
    let mut tx = site.fence().await?;
    store::action::fail(&mut tx, action, reason).await?;
    store::action::log(&mut tx, action, reason).await?;
    tx.commit().await?;
    Ok(())
}

/// Adds a line to the log of the operation, unless it is the last one already.
async fn log_once(site: &Site, look: &Look, line: &str) -> Result<(), Error> {
    let Some(action) = look.cluster.action_id else {
        return Ok(());
    };
    let mut tx = site.fence().await?;
    store::action::log_if_new(&mut tx, action, line).await?;
    tx.commit().await?;
    Ok(())
}

/// A transaction that holds the cluster as it was looked at; none if what is wanted has changed since, so that the
/// decision must be made anew.
async fn fence_unchanged(
    site: &Site,
    look: &Look,
) -> Result<Option<Transaction<'static, Postgres>>, Error> {
    let mut tx = site.fence().await?;
    let unchanged =
        store::cluster::lock_unchanged(&mut tx, look.cluster.id, look.cluster.revision).await?;
    Ok(unchanged.then_some(tx))
}
