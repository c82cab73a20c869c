//! `berth user`: who may call the API.
#![expect(
    clippy::print_stdout,
    reason = "the new key, alone, is the command's output"
)]

use crate::{
    Error,
    cli::{User, UserCommand},
};

pub(crate) async fn run(options: User) -> Result<(), Error> {
    let UserCommand::Add { name, database } = options.command;
    check(&name)?;
    let pool = store::reach(&database.database_url, 1).await?;
    if !store::is_migrated(&pool).await? {
        return Err(Error::NotMigrated);
    }
    let key = api::auth::new_key();
    let mut tx = pool.begin().await.map_err(store::Error::from)?;
    store::access::add_key(&mut tx, &name, &api::auth::key_digest(&key)).await?;
    tx.commit().await.map_err(store::Error::from)?;
    println!("{key}");
    Ok(())
}

/// A user's name is the namespace in the paths, too.
fn check(name: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if starts_well && name.len() <= 63 && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{name:?} can't be a user's name: it must begin with a lower-case letter or a digit and may have up to 63 \
         lower-case letters, digits, \"-\" and \"_\""
    )))
}
