//! `berth key`: the API keys of users.
#![expect(
    clippy::print_stdout,
    reason = "the new key, alone, or the list is the command's output"
)]

use chrono::{DateTime, Utc};
use domain::{
    action::ActionKind,
    role::{parse_role, validate_name},
};
use store::{action::ObjectType, key};

use crate::{
    Error,
    cli::{Key, KeyCommand},
    people::{reach, record, taken, user},
};

pub(crate) async fn run(options: Key) -> Result<(), Error> {
    match options.command {
        KeyCommand::Add {
            user: user_name,
            name,
            role,
            days,
            database,
        } => {
            let role = taken(parse_role("role", &role))?;
            if let Some(name) = &name {
                taken(validate_name("name", name))?;
            }
            let pool = reach(&database).await?;
            let mut tx = pool.begin().await.map_err(store::Error::from)?;
            let user = user(&mut tx, &user_name).await?;
            let secret = api::auth::new_key();
            let new = key::New {
                name: name.as_deref(),
                role,
                days,
                sha256: &api::auth::key_digest(&secret),
            };
            let made = key::add(&mut tx, user.id, new).await?;
            let command = format!(
                "berth key add {user_name} --name {} --role {role}",
                made.name
            );
            let what = (ActionKind::CreateKey, ObjectType::Key, made.id.0);
            record(&mut tx, user.namespace_id, &command, what).await?;
            tx.commit().await.map_err(store::Error::from)?;
            println!("{secret}");
        }
        KeyCommand::List {
            user: user_name,
            database,
        } => {
            let pool = reach(&database).await?;
            let mut connection = pool.acquire().await.map_err(store::Error::from)?;
            let user = user(&mut connection, &user_name).await?;
            for key in key::list(&mut connection, user.id).await? {
                let (expires, used) = (time(key.expires_at), time(key.last_used_at));
                println!("{}\t{}\t{expires}\t{used}", key.name, key.role);
            }
        }
        KeyCommand::Revoke {
            user: user_name,
            name,
            database,
        } => {
            let pool = reach(&database).await?;
            let mut tx = pool.begin().await.map_err(store::Error::from)?;
            let user = user(&mut tx, &user_name).await?;
            let keys = key::list(&mut tx, user.id).await?;
            let found = keys.into_iter().find(|key| key.name == name);
            let found = found.ok_or_else(|| {
                Error::Usage(format!(
                    "{user_name:?} has no API key {name:?}; `berth key list {user_name}` lists them"
                ))
            })?;
            key::revoke(&mut tx, found.id).await?;
            let command = format!("berth key revoke {user_name} {name}");
            let what = (ActionKind::RevokeKey, ObjectType::Key, found.id.0);
            record(&mut tx, user.namespace_id, &command, what).await?;
            tx.commit().await.map_err(store::Error::from)?;
        }
    }
    Ok(())
}

fn time(time: Option<DateTime<Utc>>) -> String {
    time.map_or_else(
        || "never".to_owned(),
        |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}
