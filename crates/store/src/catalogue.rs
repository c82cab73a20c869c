//! The catalogue of regions, zones and node types: the packaged one, and the names that accounts have shown beside it.

use std::collections::BTreeSet;

use domain::{
    catalogue::{Architecture, NodeType, Region},
    ids::LinkId,
};
use serde::Deserialize;
use sqlx::PgConnection;

use crate::{Error, Result, signed, unsigned};

/// What the packaged catalogue holds; made by `crates/store/data/generate.py`.
const PACKAGED: &str = include_str!("../data/catalogue.json");

/// Everything that can be asked for.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Catalogue {
    /// By name.
    pub regions: Vec<Region>,
    /// By name.
    pub node_types: Vec<NodeType>,
}

/// Reads the catalogue, sorted by name: what is packaged, and the names that the link's account has shown. The zones are the
/// packaged ones; those of the account [`crate::shown::regions`] has.
///
/// # Errors
/// Postgres' own.
pub async fn load(conn: &mut PgConnection, link: Option<LinkId>) -> Result<Catalogue> {
    let link = link.map(|link| link.0);
    let regions = sqlx::query!(
        r#"SELECT region.name, region.label,
                  ARRAY (SELECT zone.name FROM zone WHERE region = region.name ORDER BY zone.name) AS "zones!"
           FROM region
           WHERE is_packaged OR name IN (SELECT region FROM link_region WHERE link_id = $1)
           ORDER BY region.name"#,
        link
    )
    .fetch_all(&mut *conn)
    .await?
    .into_iter()
    .map(|row| Region {
        name: row.name,
        label: row.label,
        zones: row.zones,
    })
    .collect();
    let node_types = sqlx::query!(
        r#"SELECT name, label, vcpus, memory_mb, architecture,
                  ARRAY (SELECT zone FROM node_type_zone WHERE node_type = node_type.name ORDER BY zone) AS "zones!"
           FROM node_type
           WHERE is_packaged OR name IN (SELECT unnest(node_types) FROM link_zone WHERE link_id = $1)
           ORDER BY name"#,
        link
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(|row| {
        Ok(NodeType {
            name: row.name,
            label: row.label,
            vcpus: unsigned(row.vcpus),
            memory_mb: unsigned(row.memory_mb),
            architecture: architecture(&row.architecture)?,
            zones: row.zones,
        })
    })
    .collect::<Result<_>>()?;
    Ok(Catalogue {
        regions,
        node_types,
    })
}

/// The names of all node types, also of those that only somebody's account has shown.
///
/// # Errors
/// Postgres' own.
pub async fn node_type_names(conn: &mut PgConnection) -> Result<BTreeSet<String>> {
    let names = sqlx::query_scalar!("SELECT name FROM node_type")
        .fetch_all(conn)
        .await?;
    Ok(names.into_iter().collect())
}

/// The architecture of a node type.
///
/// # Errors
/// Postgres' own.
pub async fn architecture_of(conn: &mut PgConnection, node_type: &str) -> Result<Architecture> {
    let text = sqlx::query_scalar!(
        "SELECT architecture FROM node_type WHERE name = $1",
        node_type
    )
    .fetch_one(conn)
    .await?;
    architecture(&text)
}

fn architecture(text: &str) -> Result<Architecture> {
    match text {
        "amd64" => Ok(Architecture::Amd64),
        "arm64" => Ok(Architecture::Arm64),
        other => Err(Error::Unreadable(format!("architecture {other}"))),
    }
}

/// Writes the packaged catalogue into an empty one; one that is there is left as it is.
///
/// # Errors
/// Postgres' own.
pub async fn install_packaged(conn: &mut PgConnection) -> Result<()> {
    // Replicas that start together may migrate at once: the second waits here and then sees what the first has written.
    sqlx::query!("LOCK TABLE region IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *conn)
        .await?;
    let is_there = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT 1 FROM region) AS "exists!""#)
        .fetch_one(&mut *conn)
        .await?;
    if is_there {
        return Ok(());
    }
    let packaged: Catalogue = serde_json::from_str(PACKAGED)?;
    for region in &packaged.regions {
        sqlx::query!(
            "INSERT INTO region (name, label) VALUES ($1, $2)",
            region.name,
            region.label
        )
        .execute(&mut *conn)
        .await?;
        sqlx::query!(
            "INSERT INTO zone (name, region) SELECT unnest($1::text[]), $2",
            &region.zones,
            region.name
        )
        .execute(&mut *conn)
        .await?;
    }
    for node_type in &packaged.node_types {
        sqlx::query!(
            "INSERT INTO node_type (name, label, vcpus, memory_mb, architecture) VALUES ($1, $2, $3, $4, $5)",
            node_type.name,
            node_type.label,
            signed(node_type.vcpus),
            signed(node_type.memory_mb),
            node_type.architecture.as_str(),
        )
        .execute(&mut *conn)
        .await?;
        sqlx::query!(
            "INSERT INTO node_type_zone (node_type, zone) SELECT $1, unnest($2::text[])",
            node_type.name,
            &node_type.zones
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::catalogue::Figures;

    use super::*;

    #[test]
    fn packaged_labels_are_as_those_of_what_accounts_show() {
        let packaged: Catalogue = serde_json::from_str(PACKAGED).unwrap();
        for node_type in packaged.node_types {
            let figures = Figures {
                name: node_type.name,
                vcpus: node_type.vcpus,
                memory_mb: node_type.memory_mb,
                architecture: node_type.architecture,
            };
            assert_eq!(node_type.label, figures.label());
        }
    }
}
