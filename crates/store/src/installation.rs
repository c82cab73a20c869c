//! The installation's own id.

use domain::ids::InstallationId;
use sqlx::PgConnection;

use crate::Result;

/// The id that every AWS object of this installation is tagged with; made by the first migration.
///
/// # Errors
/// Postgres' own.
pub async fn id(conn: &mut PgConnection) -> Result<InstallationId> {
    Ok(sqlx::query_scalar!("SELECT id FROM installation")
        .fetch_one(conn)
        .await?
        .into())
}
