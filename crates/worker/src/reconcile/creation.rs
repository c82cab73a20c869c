//! Objects that EC2 has no client token for are made at most once.
//!
//! That an object is about to be asked for is committed before the call, and its id after it. A call whose outcome is
//! not known is not sent again before the object would be in every listing: till then the next look finds it by its tag.
//! What slips through even so, [`crate::leftovers`] removes.

use std::future::Future;

use domain::{ids::NetworkId, network::ObjectKind};

use super::{Look, Stop};
use crate::{Error, delta, site::Site};

/// What was asked for before.
pub(crate) enum Asked {
    /// Nothing that is still there.
    Nothing,
    /// This object, which listings do not show, or not yet.
    Made(String),
}

/// What the rows know of an object that no listing shows.
///
/// # Errors
/// [`Stop::NotYet`] where it was asked for a moment ago and the outcome is not known.
pub(crate) async fn asked(
    site: &Site,
    network: NetworkId,
    kind: ObjectKind,
) -> Result<Asked, Stop> {
    let mut conn = site.pool.acquire().await?;
    let creation = store::network::creation::get(&mut conn, network, kind).await?;
    let shown_after = delta(site.config.new_objects_show_within);
    match creation {
        Some(creation) => match creation.object_id {
            Some(id) if !site.sightings.missed(&id) => Ok(Asked::Made(id)),
            None if creation.asked_ago < shown_after => {
                Err(Stop::NotYet(format!("the {} was made", kind.as_str())))
            }
            _ => Ok(Asked::Nothing),
        },
        None => Ok(Asked::Nothing),
    }
}

/// The object that is written down, whether it is listed or not.
pub(crate) async fn written_down(
    site: &Site,
    network: NetworkId,
    kind: ObjectKind,
) -> Result<Option<String>, Error> {
    let mut conn = site.pool.acquire().await?;
    let creation = store::network::creation::get(&mut conn, network, kind).await?;
    Ok(creation.and_then(|creation| creation.object_id))
}

/// Writes down an object of this installation that a listing shows, where the rows name none, or another one.
pub(crate) async fn know(
    site: &Site,
    network: NetworkId,
    kind: ObjectKind,
    id: &str,
) -> Result<(), Error> {
    site.sightings.seen(id);
    if written_down(site, network, kind).await?.as_deref() == Some(id) {
        return Ok(());
    }
    let mut tx = site.fence().await?;
    store::network::creation::know(&mut tx, network, kind, id).await?;
    tx.commit().await?;
    Ok(())
}

/// Asks for an object. `describe` answers with its id and the line for the action's log.
pub(crate) async fn create<T>(
    site: &Site,
    look: &Look,
    network: NetworkId,
    kind: ObjectKind,
    call: impl Future<Output = aws::Result<T>>,
    describe: impl Fn(&T) -> (String, String),
) -> Result<T, Error> {
    let mut tx = site.fence().await?;
    store::network::creation::ask(&mut tx, network, kind).await?;
    tx.commit().await?;
    match call.await {
        Ok(made) => {
            let (id, line) = describe(&made);
            let mut tx = site.fence().await?;
            store::network::creation::know(&mut tx, network, kind, &id).await?;
            if let Some(action) = look.cluster.action_id {
                store::action::log(&mut tx, action, &line).await?;
            }
            tx.commit().await?;
            Ok(made)
        }
        Err(error) => {
            let mut tx = site.fence().await?;
            if error.may_have_taken_effect() {
                site.look_for_leftovers();
                // It may have been made up to this moment, and shows so much later.
                store::network::creation::ask(&mut tx, network, kind).await?;
            } else {
                store::network::creation::forget(&mut tx, network, kind).await?;
            }
            tx.commit().await?;
            Err(error.into())
        }
    }
}
