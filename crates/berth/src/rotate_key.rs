//! `berth rotate-key`: everything that is sealed is sealed under the newest key.

use domain::launch;
use pki::Authority;
use tracing::info;

use crate::{Error, cli::RotateKey, memory, secret_key};

pub(crate) async fn run(options: RotateKey) -> Result<(), Error> {
    let key = secret_key::given(&options.secret)?.ok_or_else(|| {
        Error::Usage(
            "there is no secret key: give BERTH_SECRET_KEY or BERTH_SECRET_KEY_FILE, the new key first and the old one \
             after it"
                .to_owned(),
        )
    })?;
    memory::keep();
    let pool = store::reach(&options.database.database_url, 1).await?;
    if !store::is_migrated(&pool).await? {
        return Err(Error::NotMigrated);
    }
    // All or nothing: what does not open with any of the keys is named, and nothing has changed.
    let mut tx = pool.begin().await.map_err(store::Error::from)?;
    let mut count = 0;
    for (namespace, sealed) in store::authority::sealed(&mut tx).await? {
        let resealed = Authority::reseal(&namespace.to_string(), &sealed, &key);
        let what = || format!("the authority of the namespace {namespace}");
        if let Some(resealed) = resealed.map_err(|error| closed(&what(), &error))? {
            store::authority::reseal(&mut tx, namespace, &resealed).await?;
            count += 1;
        }
    }
    for (link, access_key_id, sealed) in store::link::sealed(&mut tx).await? {
        let resealed = pki::reseal_access_key(&link.to_string(), &access_key_id, &sealed, &key);
        let what = || format!("the access key {access_key_id} of link {link}");
        if let Some(resealed) = resealed.map_err(|error| closed(&what(), &error))? {
            store::link::reseal(&mut tx, link, &resealed).await?;
            count += 1;
        }
    }
    for (launch, sealed) in store::launch::sealed(&mut tx).await? {
        let resealed = key.reseal(&launch::token_place(launch), &sealed);
        let what = || format!("the token of the launch {launch}");
        if let Some(resealed) = resealed.map_err(|error| closed(&what(), &error))? {
            store::launch::reseal(&mut tx, launch, &resealed).await?;
            count += 1;
        }
    }
    tx.commit().await.map_err(store::Error::from)?;
    info!(
        count,
        "everything is sealed under the newest key; the older ones are not needed any more"
    );
    Ok(())
}

fn closed(what: &str, error: &pki::SecretError) -> Error {
    Error::Usage(format!("{what}: {error}. Nothing has been changed"))
}
