//! `berth org`: organizations and their members.
#![expect(clippy::print_stdout, reason = "the list is the command's output")]

use domain::{
    action::ActionKind,
    role::{parse_role, validate_name},
};
use store::{action::ObjectType, people as rows};

use crate::{
    Error,
    cli::{Org, OrgCommand},
    people::{organization, reach, record, taken, user},
};

pub(crate) async fn run(options: Org) -> Result<(), Error> {
    match options.command {
        OrgCommand::Add {
            name,
            admin,
            database,
        } => {
            taken(validate_name("name", &name))?;
            let pool = reach(&database).await?;
            let mut tx = pool.begin().await.map_err(store::Error::from)?;
            let first = user(&mut tx, &admin).await?;
            let id = rows::add_organization(&mut tx, &name, first.id).await?;
            let command = format!("berth org add {name} --admin {admin}");
            let what = (
                ActionKind::CreateOrganization,
                ObjectType::Organization,
                id.0,
            );
            record(&mut tx, id, &command, what).await?;
            tx.commit().await.map_err(store::Error::from)?;
        }
        OrgCommand::List { name, database } => {
            let pool = reach(&database).await?;
            let mut tx = pool.begin().await.map_err(store::Error::from)?;
            match name {
                None => {
                    for organization in rows::organizations(&mut tx, None).await? {
                        println!("{}", organization.name);
                    }
                }
                Some(name) => {
                    let id = organization(&mut tx, &name).await?;
                    for member in rows::members(&mut tx, id).await? {
                        println!("{}\t{}", member.user_name, member.role);
                    }
                }
            }
        }
        OrgCommand::Member {
            name,
            user: user_name,
            role,
            database,
        } => {
            let role = taken(parse_role("role", &role))?;
            let pool = reach(&database).await?;
            let mut tx = pool.begin().await.map_err(store::Error::from)?;
            let id = organization(&mut tx, &name).await?;
            let member = user(&mut tx, &user_name).await?;
            rows::set_member(&mut tx, id, member.id, role).await?;
            let command = format!("berth org member {name} {user_name} {role}");
            let what = (ActionKind::SetMember, ObjectType::Member, member.id.0);
            record(&mut tx, id, &command, what).await?;
            tx.commit().await.map_err(store::Error::from)?;
        }
        OrgCommand::Remove {
            name,
            user: user_name,
            database,
        } => {
            let pool = reach(&database).await?;
            let mut tx = pool.begin().await.map_err(store::Error::from)?;
            let id = organization(&mut tx, &name).await?;
            let member = user(&mut tx, &user_name).await?;
            if !rows::remove_member(&mut tx, id, member.id).await? {
                return Err(Error::Usage(format!(
                    "{user_name:?} is no member of {name:?}"
                )));
            }
            let command = format!("berth org remove {name} {user_name}");
            let what = (ActionKind::RemoveMember, ObjectType::Member, member.id.0);
            record(&mut tx, id, &command, what).await?;
            tx.commit().await.map_err(store::Error::from)?;
        }
    }
    Ok(())
}
