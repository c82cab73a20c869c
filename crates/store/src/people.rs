//! Users, organizations and who belongs to which.

use chrono::{DateTime, Utc};
use domain::{
    ids::{NamespaceId, UserId},
    role::Role,
};
use sqlx::PgConnection;

use crate::{Error, Result, link};

/// A user as it is read.
#[derive(Debug, Clone)]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// The user's name, and that of the namespace.
    pub name: String,
    /// The user's own namespace.
    pub namespace_id: NamespaceId,
    /// Whether the user may manage the installation.
    pub is_operator: bool,
    /// When the user was made.
    pub created_at: DateTime<Utc>,
}

/// An organization as it is read.
#[derive(Debug, Clone)]
pub struct Organization {
    /// Its namespace.
    pub namespace_id: NamespaceId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The role of the user who asks; none where nobody in particular does.
    pub role: Option<Role>,
}

/// A member of an organization.
#[derive(Debug, Clone)]
pub struct Member {
    /// The user.
    pub user_id: UserId,
    /// The user's name.
    pub user_name: String,
    /// What the user may do there.
    pub role: Role,
}

/// The user of this name, who is made together with a namespace where there is none yet.
///
/// # Errors
/// A name that an organization or a removed user has, and Postgres' refusal of a malformed one.
pub async fn ensure_user(conn: &mut PgConnection, name: &str) -> Result<User> {
    sqlx::query!(
        r#"INSERT INTO namespace (name, account_link_id)
           SELECT $1, id FROM account_link WHERE kind = 'ambient'
           ON CONFLICT (name) DO NOTHING"#,
        name,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"INSERT INTO users (name, namespace_id)
           SELECT $1, id FROM namespace WHERE name = $1 AND kind = 'personal'
           ON CONFLICT (name) DO NOTHING"#,
        name,
    )
    .execute(&mut *conn)
    .await?;
    user(conn, name).await?.ok_or_else(|| {
        Error::Taken(format!(
            "\"{name}\" is the name of an organization or of a removed user; names are not used twice"
        ))
    })
}

/// Makes a user.
///
/// # Errors
/// A name that somebody has or had.
pub async fn add_user(conn: &mut PgConnection, name: &str, is_operator: bool) -> Result<User> {
    if user(conn, name).await?.is_some() {
        return Err(Error::Taken(format!("there is a user \"{name}\" already")));
    }
    let made = ensure_user(conn, name).await?;
    set_operator(conn, made.id, is_operator).await?;
    Ok(User {
        is_operator,
        ..made
    })
}

/// Says whether a user may manage the installation.
///
/// # Errors
/// Postgres' own.
pub async fn set_operator(conn: &mut PgConnection, user: UserId, is_operator: bool) -> Result<()> {
    sqlx::query!(
        "UPDATE users SET is_operator = $2 WHERE id = $1",
        user.0,
        is_operator
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The user of this name.
///
/// # Errors
/// Postgres' own.
pub async fn user(conn: &mut PgConnection, name: &str) -> Result<Option<User>> {
    Ok(sqlx::query_as!(
        User,
        "SELECT id, name, namespace_id, is_operator, created_at FROM users WHERE name = $1 AND removed_at IS NULL",
        name
    )
    .fetch_optional(conn)
    .await?)
}

/// The users, by name.
///
/// # Errors
/// Postgres' own.
pub async fn users(conn: &mut PgConnection) -> Result<Vec<User>> {
    Ok(sqlx::query_as!(
        User,
        "SELECT id, name, namespace_id, is_operator, created_at FROM users WHERE removed_at IS NULL ORDER BY name"
    )
    .fetch_all(conn)
    .await?)
}

/// Locks a user against every other change of the user and the keys, until the transaction's end.
pub(crate) async fn lock_user(conn: &mut PgConnection, user: UserId) -> Result<()> {
    sqlx::query!(
        "SELECT 1 AS locked FROM users WHERE id = $1 FOR UPDATE",
        user.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

/// Removes a user with all keys, memberships and credentials for AWS. What was recorded stays, and so does the name.
///
/// # Errors
/// [`Error::Enough`] where the user's own namespace has something that lives, or an organization would have no admin any
/// more.
pub async fn remove_user(conn: &mut PgConnection, user: &User) -> Result<()> {
    lock_organizations_of(conn, user.id).await?;
    lock_user(conn, user.id).await?;
    // Into some the user may have come while this waited; from here on into none.
    let organizations = lock_organizations_of(conn, user.id).await?;
    let used = link::lock(conn, user.namespace_id).await?;
    let live = crate::quota::used(conn, user.namespace_id).await?;
    if live.clusters > 0 || live.nodes > 0 {
        return Err(Error::Enough(format!(
            "the namespace \"{}\" has {} node clusters and {} nodes that are not terminated: terminate them first",
            user.name, live.clusters, live.nodes
        )));
    }
    sqlx::query!("DELETE FROM api_key WHERE user_id = $1", user.id.0)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM member WHERE user_id = $1", user.id.0)
        .execute(&mut *conn)
        .await?;
    for (id, name) in organizations {
        if !has_admin(conn, id).await? {
            return Err(Error::Enough(format!(
                "the organization \"{name}\" would have no admin any more: make somebody else one first"
            )));
        }
    }
    link::delete(conn, user.namespace_id, used.link.id).await?;
    sqlx::query!(
        "UPDATE users SET removed_at = now() WHERE id = $1",
        user.id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The organizations that a user is in, with their names, locked one after the other in the order of their ids: whoever
/// removes another user at the same time does not wait for this one in turn.
async fn lock_organizations_of(
    conn: &mut PgConnection,
    user: UserId,
) -> Result<Vec<(NamespaceId, String)>> {
    let rows = sqlx::query!(
        "SELECT id, name FROM namespace
         WHERE id IN (SELECT namespace_id FROM member WHERE user_id = $1) ORDER BY id FOR NO KEY UPDATE",
        user.0
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.id.into(), row.name))
        .collect())
}

/// Makes an organization with its first admin.
///
/// # Errors
/// A name that is taken.
pub async fn add_organization(
    conn: &mut PgConnection,
    name: &str,
    admin: UserId,
) -> Result<NamespaceId> {
    let made = sqlx::query_scalar!(
        r#"INSERT INTO namespace (name, kind, account_link_id)
           SELECT $1, 'organization', id FROM account_link WHERE kind = 'ambient'
           ON CONFLICT (name) DO NOTHING RETURNING id"#,
        name,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(id) = made else {
        return Err(Error::Taken(format!(
            "the name \"{name}\" is taken; names are not used twice"
        )));
    };
    set_member(conn, id.into(), admin, Role::Admin).await?;
    Ok(id.into())
}

/// The organization of this name.
///
/// # Errors
/// Postgres' own.
pub async fn organization(conn: &mut PgConnection, name: &str) -> Result<Option<NamespaceId>> {
    let id = sqlx::query_scalar!(
        "SELECT id FROM namespace WHERE name = $1 AND kind = 'organization'",
        name
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(NamespaceId))
}

/// All organizations by name, or those of one user.
///
/// # Errors
/// Postgres' own.
pub async fn organizations(
    conn: &mut PgConnection,
    of: Option<UserId>,
) -> Result<Vec<Organization>> {
    let rows = sqlx::query!(
        r#"SELECT namespace.id, namespace.name, namespace.created_at, member.role AS "role?"
           FROM namespace LEFT JOIN member ON member.namespace_id = namespace.id AND member.user_id = $1
           WHERE namespace.kind = 'organization' AND ($1::uuid IS NULL OR member.user_id IS NOT NULL)
           ORDER BY namespace.name"#,
        of.map(|user| user.0)
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Organization {
                namespace_id: row.id.into(),
                name: row.name,
                created_at: row.created_at,
                role: row.role.map(|role| role.parse()).transpose()?,
            })
        })
        .collect()
}

/// The members of an organization, by name.
///
/// # Errors
/// Postgres' own.
pub async fn members(conn: &mut PgConnection, organization: NamespaceId) -> Result<Vec<Member>> {
    let rows = sqlx::query!(
        "SELECT users.id, users.name, member.role FROM member JOIN users ON users.id = member.user_id
         WHERE member.namespace_id = $1 AND users.removed_at IS NULL ORDER BY users.name",
        organization.0
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Member {
                user_id: row.id.into(),
                user_name: row.name,
                role: row.role.parse()?,
            })
        })
        .collect()
}

/// Whether a namespace is an organization's. It is locked until the transaction's end, so that its members change one
/// after the other.
///
/// # Errors
/// Postgres' own.
pub async fn lock_organization(conn: &mut PgConnection, namespace: NamespaceId) -> Result<bool> {
    let kind = sqlx::query_scalar!(
        "SELECT kind FROM namespace WHERE id = $1 FOR NO KEY UPDATE",
        namespace.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(kind.is_some_and(|kind| kind == "organization"))
}

/// Gives a user a role in an organization, which is locked.
///
/// # Errors
/// [`Error::Enough`] where it would have no admin any more, or the user was removed meanwhile.
pub async fn set_member(
    conn: &mut PgConnection,
    organization: NamespaceId,
    user: UserId,
    role: Role,
) -> Result<()> {
    let set = sqlx::query!(
        "INSERT INTO member (namespace_id, user_id, role)
         SELECT $1, id, $3 FROM users WHERE id = $2 AND removed_at IS NULL FOR SHARE
         ON CONFLICT (namespace_id, user_id) DO UPDATE SET role = $3",
        organization.0,
        user.0,
        role.as_str(),
    )
    .execute(&mut *conn)
    .await?;
    if set.rows_affected() == 0 {
        return Err(Error::Enough(
            "the user was removed and can't be a member any more".to_owned(),
        ));
    }
    has_an_admin(conn, organization).await
}

/// Takes a user out of an organization, which is locked. Whether the user was in it.
///
/// # Errors
/// [`Error::Enough`] where it would have no admin any more.
pub async fn remove_member(
    conn: &mut PgConnection,
    organization: NamespaceId,
    user: UserId,
) -> Result<bool> {
    let removed = sqlx::query!(
        "DELETE FROM member WHERE namespace_id = $1 AND user_id = $2",
        organization.0,
        user.0
    )
    .execute(&mut *conn)
    .await?;
    has_an_admin(conn, organization).await?;
    Ok(removed.rows_affected() > 0)
}

async fn has_an_admin(conn: &mut PgConnection, organization: NamespaceId) -> Result<()> {
    match has_admin(conn, organization).await? {
        true => Ok(()),
        false => Err(Error::Enough(
            "the organization would have no admin any more: make somebody else one first"
                .to_owned(),
        )),
    }
}

async fn has_admin(conn: &mut PgConnection, organization: NamespaceId) -> Result<bool> {
    let members = members(conn, organization).await?;
    Ok(members.iter().any(|member| member.role == Role::Admin))
}
