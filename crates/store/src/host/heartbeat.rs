//! What heartbeats leave in the rows: many of them in one statement.

use chrono::{DateTime, Utc};
use domain::{
    heartbeat::Facts,
    host::{Contact, Limits},
    ids::NodeId,
    state::NodeState,
};
use sqlx::{Connection, PgConnection, types::Json};
use uuid::Uuid;

use crate::{Result, node::PrivateIp};

/// A heartbeat as it came; whose it is remains to be found out.
#[derive(Debug, Clone)]
pub struct Beat {
    /// What the token digests to that was presented with it.
    pub token_sha256: [u8; 32],
    /// The node that it says it is of.
    pub node: NodeId,
    /// The host's address.
    pub address: String,
    /// Whether the host knows the address itself, rather than Berth from where it calls.
    pub is_address_told: bool,
    /// What is told.
    pub facts: Facts,
}

/// What becomes of a heartbeat.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Nobody gave such a token.
    UnknownToken,
    /// The token is of another node, or of none yet.
    NotItsNode,
    /// The node does not live any more.
    Gone,
    /// Somebody is changing the node at this moment, so that nothing was written.
    Busy,
    /// It was written down.
    Heard(Heard),
}

/// A node after a heartbeat of its host.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Its state, which the heartbeat has not changed yet.
    pub state: NodeState,
    /// The name under which it can be reached.
    pub external_fqdn: String,
    /// What is known of its host by now.
    pub contact: Contact,
    /// The database's time of the heartbeat.
    pub now: DateTime<Utc>,
    /// Whether the heartbeat has told another address than the node had.
    pub has_moved: bool,
    /// Whether an upgrade of its engine is under way.
    pub is_upgraded: bool,
}

/// Writes heartbeats down, in one statement, and answers to each in their order. Each node is heard once: of two
/// heartbeats with the same token, the second is [`Answer::Busy`]. Nobody's lock is waited for, so that one node that is
/// being changed keeps no other waiting. An engine that did not answer while the host was silent is to be asked anew, and
/// so is one at a new address of a host that its owner brought; what a launched one tells is only kept: EC2 is asked.
///
/// # Errors
/// Postgres' own.
pub async fn hear(conn: &mut PgConnection, beats: &[Beat], limits: Limits) -> Result<Vec<Answer>> {
    let columns = Columns::of(beats);
    let rows = sqlx::query!(
        r#"WITH beat AS (
               SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::text[], $4::boolean[], $5::text[], $6::text[], $7::text[],
                                    $8::text[], $9::integer[], $10::bigint[], $11::integer[], $12::integer[],
                                    $13::text[], $14::jsonb[]) WITH ORDINALITY
                   AS beat (sha256, node_id, address, is_told, agent_version, docker_version, docker_execdriver,
                            docker_graphdriver, cpu_cores, memory_kb, disk_gb, containers, instance_id, private_ips,
                            place)
           ), free AS (
               SELECT node.id, place, brought_by_owner AND public_ip IS DISTINCT FROM address AS has_moved,
                      NOT brought_by_owner AND is_told AND told_ip IS DISTINCT FROM address AS tells_another
               FROM beat
               JOIN node_token ON node_token.sha256 = beat.sha256 AND node_token.node_id = beat.node_id
               JOIN node ON node.id = beat.node_id
               WHERE node.state IN ('Deploying', 'Deployed', 'Unreachable', 'Upgrading')
               FOR NO KEY UPDATE OF node SKIP LOCKED
           ), heard AS (
               UPDATE node
               SET heartbeat_at = now(), last_seen_at = now(), agent_version = beat.agent_version,
                   docker_version = coalesce(beat.docker_version, node.docker_version),
                   docker_execdriver = coalesce(beat.docker_execdriver, node.docker_execdriver),
                   docker_graphdriver = coalesce(beat.docker_graphdriver, node.docker_graphdriver),
                   cpu_cores = beat.cpu_cores, memory_kb = beat.memory_kb, host_disk_gb = beat.disk_gb,
                   containers = beat.containers, told_instance_id = beat.instance_id,
                   private_ips = CASE WHEN brought_by_owner THEN beat.private_ips ELSE node.private_ips END,
                   public_ip = CASE WHEN has_moved THEN address ELSE public_ip END,
                   told_ip = CASE WHEN tells_another THEN address ELSE told_ip END,
                   is_address_told = CASE WHEN has_moved THEN is_told ELSE is_address_told END,
                   external_fqdn = CASE WHEN has_moved AND external_fqdn = coalesce(public_ip, '') THEN address
                                        ELSE external_fqdn END,
                   is_reachable = CASE WHEN has_moved THEN NULL
                                       WHEN NOT is_reachable AND heartbeat_at < now() - make_interval(secs => $15) THEN NULL
                                       ELSE is_reachable END
               FROM free JOIN beat USING (place)
               WHERE node.id = free.id
               RETURNING node.id, place, has_moved OR tells_another AS has_moved, state, external_fqdn, is_reachable,
                         heartbeat_at, deployed_at, coalesce(launched_at, node.created_at) AS began_at,
                         coalesce(brought_by_owner OR instance_state = 'running', false) AS runs
           )
           SELECT beat.place AS "place!", node_token.sha256 IS NOT NULL AS "is_known!",
                  coalesce(node_token.node_id = beat.node_id, false) AS "is_its_own!", owner.state AS "state?",
                  coalesce(heard.id || '.node.' || naming.domain, heard.external_fqdn) AS "external_fqdn?", heard.is_reachable AS "is_reachable?",
                  heard.heartbeat_at AS "heartbeat_at?", heard.began_at AS "began_at?",
                  heard.deployed_at AS "deployed_at?", coalesce(heard.has_moved, false) AS "has_moved!",
                  coalesce(heard.runs, false) AS "runs!", heard.state AS "heard_state?", now() AS "now!",
                  coalesce(heard.state = 'Upgrading', false) OR EXISTS (
                      SELECT 1 FROM upgrade
                      WHERE upgrade.node_id = heard.id AND ordered_at IS NOT NULL AND ended_at IS NULL
                  ) AS "is_upgraded!"
           FROM beat
           LEFT JOIN node_token ON node_token.sha256 = beat.sha256
           LEFT JOIN node owner ON owner.id = node_token.node_id
           LEFT JOIN heard ON heard.place = beat.place
           CROSS JOIN naming
           ORDER BY beat.place"#,
        &columns.tokens,
        &columns.nodes,
        &columns.addresses,
        &columns.are_told,
        &columns.agent_versions,
        &columns.docker_versions as _,
        &columns.docker_execdrivers as _,
        &columns.docker_graphdrivers as _,
        &columns.cpu_cores,
        &columns.memory_kb,
        &columns.disk_gb,
        &columns.containers,
        &columns.instance_ids as _,
        &columns.private_ips as _,
        limits.silence.as_seconds_f64()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let state: Option<NodeState> = row.state.map(|text| text.parse()).transpose()?;
            let heard_state = row.heard_state.map(|text| text.parse()).transpose()?;
            Ok(match (heard_state, row.external_fqdn, row.began_at) {
                (Some(state), Some(external_fqdn), Some(began_at)) => Answer::Heard(Heard {
                    state,
                    external_fqdn,
                    contact: Contact {
                        engine: row.is_reachable,
                        heartbeat_at: row.heartbeat_at,
                        began_at,
                        was_deployed: row.deployed_at.is_some(),
                        runs: row.runs,
                    },
                    now: row.now,
                    has_moved: row.has_moved,
                    is_upgraded: row.is_upgraded,
                }),
                _ if !row.is_known => Answer::UnknownToken,
                _ if !row.is_its_own => Answer::NotItsNode,
                _ if state.is_some_and(NodeState::is_live) => Answer::Busy,
                _ => Answer::Gone,
            })
        })
        .collect()
}

/// Writes one heartbeat down that was [`Answer::Busy`] among others: here it waits until the node is free.
///
/// # Errors
/// Postgres' own.
pub async fn hear_alone(conn: &mut PgConnection, beat: &Beat, limits: Limits) -> Result<Answer> {
    let mut tx = conn.begin().await?;
    super::lock(&mut tx, beat.node).await?;
    let answer = hear(&mut tx, std::slice::from_ref(beat), limits)
        .await?
        .pop();
    tx.commit().await?;
    // Whoever is locked and not heard has gone meanwhile.
    Ok(match answer {
        Some(Answer::Busy) | None => Answer::Gone,
        Some(answer) => answer,
    })
}

/// Heartbeats, column by column.
#[derive(Default)]
struct Columns {
    tokens: Vec<Vec<u8>>,
    nodes: Vec<Uuid>,
    addresses: Vec<String>,
    are_told: Vec<bool>,
    agent_versions: Vec<String>,
    docker_versions: Vec<Option<String>>,
    docker_execdrivers: Vec<Option<String>>,
    docker_graphdrivers: Vec<Option<String>>,
    cpu_cores: Vec<i32>,
    memory_kb: Vec<i64>,
    disk_gb: Vec<i32>,
    containers: Vec<i32>,
    instance_ids: Vec<Option<String>>,
    private_ips: Vec<Json<Vec<PrivateIp>>>,
}

impl Columns {
    fn of(beats: &[Beat]) -> Self {
        let mut all = Self::default();
        for beat in beats {
            let facts = &beat.facts;
            let private_ips = facts.private_ips.iter().map(|(name, cidr)| PrivateIp {
                name: name.clone(),
                cidr: cidr.to_string(),
            });
            all.tokens.push(beat.token_sha256.to_vec());
            all.nodes.push(beat.node.0);
            all.addresses.push(beat.address.clone());
            all.are_told.push(beat.is_address_told);
            all.agent_versions.push(facts.agent_version.clone());
            all.docker_versions.push(facts.docker_version.clone());
            all.docker_execdrivers.push(facts.docker_execdriver.clone());
            all.docker_graphdrivers
                .push(facts.docker_graphdriver.clone());
            all.cpu_cores.push(crate::signed(facts.cpu_cores));
            all.memory_kb
                .push(i64::try_from(facts.memory_kb).unwrap_or(i64::MAX));
            all.disk_gb.push(crate::signed(facts.disk_gb));
            all.containers.push(crate::signed(facts.containers));
            all.instance_ids.push(facts.instance_id.clone());
            all.private_ips.push(Json(private_ips.collect()));
        }
        all
    }
}
