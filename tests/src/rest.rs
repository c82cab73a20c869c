//! What must hold at rest after every story.

use std::collections::{BTreeMap, BTreeSet};

use sim::InstanceView;
use sqlx::PgPool;

use crate::{ACCOUNT, World, transitions::assert_every_transition_is_allowed, wait_for};

impl World {
    /// Waits until EC2 and the rows know of the same things: no instance, subnet, gateway, group, route table or VPC of
    /// this installation is there that no row knows, and no node that has no instance.
    ///
    /// # Panics
    /// After a minute, with what differs.
    pub async fn nothing_is_left_over(&self) {
        if self.sim.is_none() {
            return;
        }
        let regions: Vec<String> = sqlx::query_scalar("SELECT region FROM site")
            .fetch_all(&self.pool)
            .await
            .expect("the sites");
        let installation = self.installation().await;
        for region in &regions {
            // A surplus instance is terminated at the second sweep that sees it, a network object a grace period later.
            wait_for("EC2 and the rows to show the same instances", || async {
                let rows = self.rows_of_instances(region).await;
                let is_live = |i: &InstanceView| {
                    i.tags.get("berth:installation") == Some(&installation)
                        && i.state != "terminated"
                        && i.state != "shutting-down"
                };
                let all = self.sim().instances(ACCOUNT, region);
                let shown: BTreeSet<String> =
                    all.into_iter().filter(is_live).map(|i| i.id).collect();
                (rows == shown).then_some(())
            })
            .await;
            wait_for("every network object to be known", || async {
                let known = self.known_network_objects().await;
                let shown = self.network_objects(region, &installation);
                shown.is_subset(&known).then_some(())
            })
            .await;
        }
    }

    /// Waits until there is nothing to do on any cluster any more, and nothing is left over.
    ///
    /// # Panics
    /// After a minute, with what is still to be done.
    pub async fn comes_to_rest(&self) {
        // An instance that is gone may give its cluster something to do.
        self.nothing_is_left_over().await;
        wait_for("every cluster to come to rest", || async {
            let mut conn = self.pool.acquire().await.expect("a connection");
            let sites: Vec<uuid::Uuid> = sqlx::query_scalar("SELECT id FROM site")
                .fetch_all(&mut *conn)
                .await
                .expect("the sites");
            for site in sites {
                let working = store::cluster::working(&mut conn, site.into()).await;
                if !working.expect("the clusters").is_empty() {
                    return None;
                }
            }
            Some(())
        })
        .await;
        self.nothing_is_left_over().await;
    }

    /// The instances of this installation that were ever launched, the terminated ones among them: EC2 shows them for an
    /// hour.
    pub async fn ever_launched(&self, region: &str) -> BTreeSet<String> {
        let installation = self.installation().await;
        let all = self.sim().instances(ACCOUNT, region).into_iter();
        let ours = all.filter(|i| i.tags.get("berth:installation") == Some(&installation));
        ours.map(|i| i.id).collect()
    }

    async fn rows_of_instances(&self, region: &str) -> BTreeSet<String> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT instance_id FROM node JOIN cluster ON cluster.id = node.cluster_id
             WHERE region = $1 AND node.state <> 'Terminated' AND instance_id IS NOT NULL",
        )
        .bind(region)
        .fetch_all(&self.pool)
        .await
        .expect("the nodes");
        rows.into_iter().collect()
    }

    async fn known_network_objects(&self) -> BTreeSet<String> {
        let mut conn = self.pool.acquire().await.expect("a connection");
        let known = store::network::known_ids(&mut conn).await;
        known.expect("the networks").into_iter().collect()
    }

    /// The ids of all network objects that bear this installation's tag.
    fn network_objects(&self, region: &str, installation: &str) -> BTreeSet<String> {
        let network = self.sim().network(ACCOUNT, region);
        let is_ours = |tags: &BTreeMap<String, String>| {
            tags.get("berth:installation")
                .is_some_and(|tag| tag == installation)
        };
        let mut ids = BTreeSet::new();
        let mut add = |id: &String, tags: &BTreeMap<String, String>| {
            if is_ours(tags) {
                ids.insert(id.clone());
            }
        };
        network.vpcs.iter().for_each(|it| add(&it.id, &it.tags));
        network.subnets.iter().for_each(|it| add(&it.id, &it.tags));
        network
            .internet_gateways
            .iter()
            .for_each(|it| add(&it.id, &it.tags));
        network
            .route_tables
            .iter()
            .for_each(|it| add(&it.id, &it.tags));
        network
            .security_groups
            .iter()
            .for_each(|it| add(&it.id, &it.tags));
        ids
    }
}

/// I10: the last event of each object names the state that the object is in, and its first one that it was made; and
/// each change between them is one that `domain` makes.
pub(crate) async fn assert_log_is_whole(pool: &PgPool) {
    let odd: Vec<String> = sqlx::query_scalar(
        "WITH object AS (
             SELECT id, state FROM cluster UNION ALL SELECT id, state FROM node UNION ALL SELECT id, state FROM action
         )
         SELECT object.id::text FROM object
         WHERE state IS DISTINCT FROM (SELECT state FROM event WHERE object_id = object.id ORDER BY seq DESC LIMIT 1)
            OR 'create' IS DISTINCT FROM (SELECT change FROM event WHERE object_id = object.id ORDER BY seq LIMIT 1)",
    )
    .fetch_all(pool)
    .await
    .expect("the event log");
    assert!(
        odd.is_empty(),
        "objects whose state is not what the event log says: {odd:?}"
    );
    let mut conn = pool.acquire().await.expect("a connection");
    let events = store::event::after(&mut conn, None, 0, u32::MAX)
        .await
        .expect("the event log");
    assert_every_transition_is_allowed(&events);
}
