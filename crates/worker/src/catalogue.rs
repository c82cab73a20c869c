//! What the linked accounts have of AWS, read again daily: regions, zones, and the node types that these offer.

use std::{collections::BTreeMap, sync::Arc};

use aws::Clouds;
use domain::link::Ambient;
use store::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Config, Error};

/// How many accounts are read at once: one whose regions hang keeps no other one waiting.
const AT_ONCE: usize = 4;

/// Reads what is due until it is stopped.
pub(crate) async fn run(
    pool: PgPool,
    clouds: Arc<dyn Clouds>,
    config: Arc<Config>,
    stop: CancellationToken,
) {
    if !config.refreshes_catalogue {
        return;
    }
    let mut readers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (pool, clouds, config) = (pool.clone(), Arc::clone(&clouds), Arc::clone(&config));
        let stop = stop.clone();
        readers.spawn(async move {
            let reading = read_what_is_due(&pool, &*clouds, &config);
            stop.run_until_cancelled(reading).await
        });
    }
    readers.join_all().await;
}

async fn read_what_is_due(pool: &PgPool, clouds: &dyn Clouds, config: &Config) {
    loop {
        match refresh_one(pool, clouds, config).await {
            // There may be more.
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => warn!(%error, "the catalogue can't be refreshed; trying again"),
        }
        tokio::time::sleep(config.lease_interval).await;
    }
}

/// Reads the account of one link that is due, if one is.
async fn refresh_one(pool: &PgPool, clouds: &dyn Clouds, config: &Config) -> Result<bool, Error> {
    let mut conn = pool.acquire().await?;
    let with_ambient = config.ambient != Ambient::Nobody;
    let Some((link, claim)) = store::shown::claim_due(&mut conn, with_ambient).await? else {
        return Ok(false);
    };
    // A region of which nothing is known is taken to be on, as the packaged ones are.
    let catalogue = store::catalogue::load(&mut conn, Some(link.id)).await?;
    let names = catalogue.regions.into_iter().map(|it| (it.name, true));
    let shown = store::shown::regions(&mut conn, link.id).await?;
    let shown = shown.into_iter().map(|it| (it.name, it.is_on));
    let known: BTreeMap<_, _> = names.chain(shown).collect();
    let types = store::catalogue::node_type_names(&mut conn).await?;
    drop(conn);

    let opened = ::links::open(&link, config.secret_key.as_ref());
    if let aws::Credentials::Unusable(why) = &opened.credentials {
        warn!(link = %link.id, why, "the account of link {} can't be read", link.id);
        return Ok(true);
    }
    let survey = aws::survey(clouds, &opened, known, types).await;
    for surveyed in &survey.regions {
        if let Some(why) = &surveyed.refusal {
            let region = &surveyed.region.name;
            warn!(link = %link.id, region, why, "what {region} has can't be read with link {}", link.id);
        }
    }
    let mut tx = pool.begin().await?;
    store::shown::record(&mut tx, claim, &survey).await?;
    if survey.knows_nobody {
        store::link::suspect(&mut tx, link.id).await?;
    }
    tx.commit().await?;
    info!(link = %link.id, "what the account of link {} has was read", link.id);
    Ok(true)
}
