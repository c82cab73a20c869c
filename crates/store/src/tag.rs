//! Tags, as the tag list shows them.

use domain::ids::NamespaceId;
use sqlx::PgConnection;

use crate::{
    Result, host,
    page::{Listed, Page},
};

/// A tag that some live cluster or node of the namespace bears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The tag itself.
    pub name: String,
    /// Whether an object got it by itself.
    pub is_automatic: bool,
}

/// Which tags are wanted; none of a field means all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The tag itself.
    pub name: Option<String>,
    /// Automatic ones, or the users'.
    pub is_automatic: Option<bool>,
}

/// The tags of a namespace, by name, each once for each origin.
///
/// # Errors
/// Postgres' own.
pub async fn list(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    filter: &Filter,
    page: Page,
) -> Result<Listed<Tag>> {
    let rows = sqlx::query!(
        r#"WITH tag AS (
               SELECT unnest(automatic_tags) AS name, true AS is_automatic FROM cluster
               WHERE namespace_id = $1 AND state <> 'Terminated'
               UNION SELECT unnest($4::text[]), true FROM node
               WHERE namespace_id = $1 AND brought_by_owner AND state <> 'Terminated'
               UNION SELECT unnest(tags), false FROM cluster WHERE namespace_id = $1 AND state <> 'Terminated'
               UNION SELECT unnest(tags), false FROM node WHERE namespace_id = $1 AND state <> 'Terminated'
           )
           SELECT name AS "name!", is_automatic AS "is_automatic!" FROM tag
           WHERE ($2::text IS NULL OR name = $2) AND ($3::boolean IS NULL OR is_automatic = $3)
           ORDER BY name COLLATE "C", is_automatic"#,
        namespace.0,
        filter.name,
        filter.is_automatic,
        &host::automatic_tags()
    )
    .fetch_all(conn)
    .await?;
    let total = rows.len() as u64;
    let items = rows
        .into_iter()
        .skip(page.offset as usize)
        .take(page.limit as usize)
        .map(|row| Tag {
            name: row.name,
            is_automatic: row.is_automatic,
        })
        .collect();
    Ok(Listed { items, total })
}
