//! `berth user`: who may call the API.
#![expect(
    clippy::print_stdout,
    reason = "the new key, alone, or the list is the command's output"
)]

use domain::{
    action::ActionKind,
    role::{Role, validate_name},
};
use store::{action::ObjectType, key, people as rows};

use crate::{
    Error,
    cli::{User, UserCommand},
    people::{reach, record, taken, user},
};

pub(crate) async fn run(options: User) -> Result<(), Error> {
    match options.command {
        UserCommand::Add {
            name,
            operator,
            database,
        } => {
            taken(validate_name("name", &name))?;
            let pool = reach(&database).await?;
            let secret = api::auth::new_key();
            let mut tx = pool.begin().await.map_err(store::Error::from)?;
            let is_new = rows::user(&mut tx, &name).await?.is_none();
            let user = rows::ensure_user(&mut tx, &name).await?;
            if operator {
                rows::set_operator(&mut tx, user.id, true).await?;
            }
            let new = key::New {
                name: None,
                role: Role::Admin,
                days: None,
                sha256: &api::auth::key_digest(&secret),
            };
            let key = key::add(&mut tx, user.id, new).await?;
            let what = match is_new {
                true => (ActionKind::CreateUser, ObjectType::User, user.id.0),
                false => (ActionKind::CreateKey, ObjectType::Key, key.id.0),
            };
            record(
                &mut tx,
                user.namespace_id,
                &format!("berth user add {name}"),
                what,
            )
            .await?;
            tx.commit().await.map_err(store::Error::from)?;
            println!("{secret}");
        }
        UserCommand::List { database } => {
            let pool = reach(&database).await?;
            let mut connection = pool.acquire().await.map_err(store::Error::from)?;
            for user in rows::users(&mut connection).await? {
                let what = if user.is_operator { "operator" } else { "user" };
                println!("{}\t{what}", user.name);
            }
        }
        UserCommand::Remove { name, database } => {
            let pool = reach(&database).await?;
            let mut tx = pool.begin().await.map_err(store::Error::from)?;
            let user = user(&mut tx, &name).await?;
            rows::remove_user(&mut tx, &user).await?;
            let what = (ActionKind::RemoveUser, ObjectType::User, user.id.0);
            record(
                &mut tx,
                user.namespace_id,
                &format!("berth user remove {name}"),
                what,
            )
            .await?;
            tx.commit().await.map_err(store::Error::from)?;
        }
    }
    Ok(())
}
