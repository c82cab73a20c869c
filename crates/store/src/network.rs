//! The networks that Berth uses, and the blocks it has decided for their subnets.

use domain::ids::{NetworkId, SiteId};
use ipnet::IpNet;
use sqlx::PgConnection;

use crate::Result;

pub mod creation;

/// The network of `vpc_choice` (`auto`, or the id of a VPC of the user's), made where there is none yet.
///
/// # Errors
/// Postgres' own.
pub async fn ensure(conn: &mut PgConnection, site: SiteId, vpc_choice: &str) -> Result<NetworkId> {
    Ok(sqlx::query_scalar!(
        r#"INSERT INTO network (site_id, vpc_choice) VALUES ($1, $2)
           ON CONFLICT (site_id, vpc_choice) DO UPDATE SET vpc_choice = EXCLUDED.vpc_choice
           RETURNING id"#,
        site.0,
        vpc_choice
    )
    .fetch_one(conn)
    .await?
    .into())
}

/// Notes which VPC the network is. Another one than before is a new beginning: the old VPC's blocks, and what
/// was made in it, are forgotten.
///
/// # Errors
/// Postgres' own.
pub async fn set_vpc(conn: &mut PgConnection, network: NetworkId, vpc_id: &str) -> Result<()> {
    sqlx::query!(
        r#"DELETE FROM subnet USING network
           WHERE subnet.network_id = $1 AND network.id = $1 AND network.vpc_id IS DISTINCT FROM $2"#,
        network.0,
        vpc_id
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"DELETE FROM creation USING network
           WHERE creation.network_id = $1 AND network.id = $1 AND network.vpc_id IS DISTINCT FROM $2
             AND kind <> 'vpc'"#,
        network.0,
        vpc_id
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"UPDATE network
           SET vpc_id = $2,
               security_group_id = CASE WHEN vpc_id = $2 THEN security_group_id END,
               route_table_token = CASE WHEN vpc_id = $2 THEN route_table_token END
           WHERE id = $1"#,
        network.0,
        vpc_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A block that was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The zone it is for.
    pub zone: String,
    /// The block.
    pub cidr: IpNet,
    /// The subnet, once it is known.
    pub subnet_id: Option<String>,
}

/// The blocks that were decided, by zone.
///
/// # Errors
/// Postgres' own.
pub async fn blocks(conn: &mut PgConnection, network: NetworkId) -> Result<Vec<Block>> {
    Ok(sqlx::query_as!(
        Block,
        r#"SELECT zone, cidr AS "cidr: IpNet", subnet_id FROM subnet WHERE network_id = $1 ORDER BY zone"#,
        network.0
    )
    .fetch_all(conn)
    .await?)
}

/// Decides the block of a zone.
///
/// # Errors
/// Postgres' own.
pub async fn decide_block(
    conn: &mut PgConnection,
    network: NetworkId,
    zone: &str,
    cidr: IpNet,
) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO subnet (network_id, zone, cidr) VALUES ($1, $2, $3)
           ON CONFLICT (network_id, zone) DO UPDATE SET cidr = EXCLUDED.cidr, subnet_id = NULL"#,
        network.0,
        zone,
        cidr as IpNet
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes the subnet that was made of a zone's block.
///
/// # Errors
/// Postgres' own.
pub async fn set_subnet(
    conn: &mut PgConnection,
    network: NetworkId,
    zone: &str,
    subnet_id: &str,
) -> Result<()> {
    sqlx::query!(
        "UPDATE subnet SET subnet_id = $3 WHERE network_id = $1 AND zone = $2",
        network.0,
        zone,
        subnet_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes a subnet that no row knows, as the one of its zone where there is none yet.
///
/// # Errors
/// Postgres' own.
pub async fn adopt_subnet(
    conn: &mut PgConnection,
    network: NetworkId,
    zone: &str,
    cidr: IpNet,
    subnet_id: &str,
) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO subnet (network_id, zone, cidr, subnet_id)
           SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT 1 FROM subnet WHERE subnet_id = $4)
           ON CONFLICT (network_id, zone) DO NOTHING"#,
        network.0,
        zone,
        cidr as IpNet,
        subnet_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets the block of a zone that can't be used after all.
///
/// # Errors
/// Postgres' own.
pub async fn forget_block(conn: &mut PgConnection, network: NetworkId, zone: &str) -> Result<()> {
    sqlx::query!(
        "DELETE FROM subnet WHERE network_id = $1 AND zone = $2",
        network.0,
        zone
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A network as it was last left.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// The VPC, once its set-up is done.
    pub vpc_id: Option<String>,
    /// The group that was made in it, once its rules are written.
    pub security_group_id: Option<String>,
}

/// Reads a network.
///
/// # Errors
/// Postgres' own.
pub async fn get(conn: &mut PgConnection, network: NetworkId) -> Result<Network> {
    let row = sqlx::query!(
        "SELECT vpc_id, security_group_id FROM network WHERE id = $1",
        network.0
    )
    .fetch_one(conn)
    .await?;
    Ok(Network {
        id: network,
        vpc_id: row.vpc_id,
        security_group_id: row.security_group_id,
    })
}

/// Notes the group that was made in the VPC and whose rules are written.
///
/// # Errors
/// Postgres' own.
pub async fn set_security_group(
    conn: &mut PgConnection,
    network: NetworkId,
    group_id: &str,
) -> Result<()> {
    sqlx::query!(
        "UPDATE network SET security_group_id = $2 WHERE id = $1",
        network.0,
        group_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The ids of every network object that some row knows, whatever its site: two sites may be in one account.
///
/// # Errors
/// Postgres' own.
pub async fn known_ids(conn: &mut PgConnection) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT vpc_id AS "id!" FROM network WHERE vpc_id IS NOT NULL
           UNION SELECT security_group_id FROM network WHERE security_group_id IS NOT NULL
           UNION SELECT subnet_id FROM subnet WHERE subnet_id IS NOT NULL
           UNION SELECT object_id FROM creation WHERE object_id IS NOT NULL"#
    )
    .fetch_all(conn)
    .await?)
}

/// Whether the site has a network of which Berth may have made something.
///
/// # Errors
/// Postgres' own.
pub async fn any_of_site(conn: &mut PgConnection, site: SiteId) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM network WHERE site_id = $1) AS "any!""#,
        site.0
    )
    .fetch_one(conn)
    .await?)
}

/// The token for making the route table: the same one until [`forget_route_table_token`].
///
/// # Errors
/// Postgres' own.
pub async fn route_table_token(conn: &mut PgConnection, network: NetworkId) -> Result<String> {
    let token = sqlx::query_scalar!(
        r#"UPDATE network SET route_table_token = coalesce(route_table_token, gen_random_uuid())
           WHERE id = $1 RETURNING route_table_token AS "token!""#,
        network.0
    )
    .fetch_one(conn)
    .await?;
    Ok(format!("berth-{token}"))
}

/// Forgets the token: the table is known, and one made later is another one.
///
/// # Errors
/// Postgres' own.
pub async fn forget_route_table_token(conn: &mut PgConnection, network: NetworkId) -> Result<()> {
    sqlx::query!(
        "UPDATE network SET route_table_token = NULL WHERE id = $1",
        network.0
    )
    .execute(conn)
    .await?;
    Ok(())
}
