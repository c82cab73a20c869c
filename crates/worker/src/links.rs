//! Whether the links' credentials are still good: tried daily, and soon after AWS has not known them. What comes of it is
//! written down and refuses new deploys; nodes that run are left alone.

use std::sync::Arc;

use aws::Clouds;
use links::Refusal;
use store::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Config, Error};

/// Tries what is due until it is stopped.
pub(crate) async fn run(
    pool: PgPool,
    clouds: Arc<dyn Clouds>,
    config: Arc<Config>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let tried = tokio::select! {
            () = stop.cancelled() => return,
            tried = try_one(&pool, &*clouds, &config) => tried,
        };
        match tried {
            // There may be more.
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => warn!(%error, "the links can't be checked; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(config.lease_interval) => {}
        }
    }
}

/// Tries one link that is due, if one is.
async fn try_one(pool: &PgPool, clouds: &dyn Clouds, config: &Config) -> Result<bool, Error> {
    let mut conn = pool.acquire().await?;
    let Some(link) = store::link::claim_due(&mut conn).await? else {
        return Ok(false);
    };
    let catalogue = store::catalogue::load(&mut conn, Some(link.id)).await?;
    drop(conn);
    let regions: Vec<_> = catalogue.regions.into_iter().map(|it| it.name).collect();
    let opened = links::open(&link, config.secret_key.as_ref());
    let invalid = match links::check(clouds, &opened, &regions).await {
        Ok(()) => None,
        Err(Refusal::Invalid { why, is_final }) if is_final || link.invalid.is_some() => Some(why),
        Err(Refusal::Invalid { why, .. } | Refusal::NoAnswer(why)) => {
            warn!(link = %link.id, why, "it can't be told whether the credentials of link {} are good", link.id);
            return Ok(true);
        }
    };
    match (&link.invalid, &invalid) {
        (_, Some(why)) => {
            warn!(link = %link.id, why, "the credentials of link {} are not good", link.id);
        }
        (Some(_), None) => {
            info!(link = %link.id, "the credentials of link {} are good again", link.id)
        }
        (None, None) => {}
    }
    let mut conn = pool.acquire().await?;
    store::link::record_check(&mut conn, link.id, link.version, invalid.as_deref()).await?;
    Ok(true)
}
