//! `berth migrate`: brings the database up to date.

use tracing::info;

use crate::{Error, cli::Database};

pub(crate) async fn run(options: &Database) -> Result<(), Error> {
    let pool = store::reach(&options.database_url, 1).await?;
    store::migrate(&pool).await?;
    info!("the database is up to date");
    Ok(())
}
