//! What must hold at rest after every story.

use std::collections::{BTreeMap, BTreeSet};

use sim::InstanceView;
use sqlx::PgPool;

use crate::{
    ACCOUNT, World, transitions::assert_every_transition_is_allowed, wait_for, world::wait_for_no,
};

impl World {
    /// Waits until EC2 and the rows know of the same things: no instance, subnet, gateway, group, route table or VPC of
    /// this installation is there that no row knows, and no node that has no instance.
    ///
    /// # Panics
    /// After two minutes, with what differs.
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
                let is_ours = |tags: &BTreeMap<String, String>| {
                    tags.get("berth:installation") == Some(&installation)
                };
                let shown = self.network_objects(region, is_ours);
                shown.is_subset(&known).then_some(())
            })
            .await;
        }
    }

    /// Waits until no row names a network object that EC2 does not have, but for what was deleted in the console: that is
    /// noticed when it is needed.
    ///
    /// # Panics
    /// Where one still does after a while, with what differs.
    pub async fn rows_name_what_is_there(&self, deleted_in_console: &BTreeSet<String>) {
        let regions: Vec<String> = sqlx::query_scalar("SELECT region FROM site")
            .fetch_all(&self.pool)
            .await
            .expect("the sites");
        wait_for("every row's network object to exist", || async {
            let mut there = deleted_in_console.clone();
            for region in &regions {
                there.extend(self.network_objects(region, |_| true));
            }
            let known = self.known_network_objects().await;
            known.is_subset(&there).then_some(())
        })
        .await;
    }

    /// Waits until everything is in a state of rest: no launch's outcome is unknown, no cluster has an operation under
    /// way, a cluster that is gone has no nodes, and each node has an instance, is where that is, and in the state that goes
    /// with that of it.
    ///
    /// # Panics
    /// Where something is not, with what it is.
    pub async fn states_are_consistent(&self) {
        wait_for_no("rows that are not at rest", || async {
            sqlx::query_scalar(
                "SELECT 'launch ' || id || ' is ' || state FROM launch WHERE state IN ('decided', 'sent')
                 UNION ALL SELECT 'action ' || name || ' is ' || state FROM action WHERE ended_at IS NULL
                 UNION ALL SELECT 'cluster ' || name || ' is ' || state || ' with action ' || coalesce(action_id::text, '-')
                    FROM cluster WHERE action_id IS NOT NULL OR state IN ('Deploying', 'Scaling', 'Terminating')
                 UNION ALL SELECT 'node ' || node.id || ' is ' || node.state || ' in cluster ' || cluster.state
                    FROM node JOIN cluster ON cluster.id = cluster_id
                    WHERE node.state NOT IN ('Deployed', 'Unreachable', 'Terminated')
                       OR (node.state <> 'Terminated' AND (instance_id IS NULL OR cluster.state = 'Terminated'))",
            )
            .fetch_all(&self.pool)
            .await
            .expect("the rows")
        })
        .await;
        wait_for_no("nodes that are not as their instances", || async {
            let rows: Vec<(String, String, String, String, String)> = sqlx::query_as(
                "SELECT region, instance_id, node.state, zone, subnet_id
                 FROM node JOIN cluster ON cluster.id = cluster_id
                 WHERE node.state <> 'Terminated' AND instance_id IS NOT NULL",
            )
            .fetch_all(&self.pool)
            .await
            .expect("the nodes");
            let mut odd = Vec::new();
            for row in rows {
                let (region, id, state, zone, subnet) = &row;
                let all = self.sim().instances(ACCOUNT, region);
                let fits = |it: &InstanceView| {
                    let expected = match state.as_str() {
                        "Deployed" => &["running"][..],
                        _ => &["stopping", "stopped"],
                    };
                    (&it.zone, &it.subnet_id) == (zone, subnet)
                        && expected.contains(&it.state.as_str())
                };
                match all.iter().find(|it| it.id == *id) {
                    Some(instance) if fits(instance) => {}
                    instance => odd.push(format!("{row:?} is {instance:?}")),
                }
            }
            odd
        })
        .await;
    }

    /// Waits until there is nothing to do on any cluster any more, and nothing is left over.
    ///
    /// # Panics
    /// After two minutes, with what is still to be done.
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

    /// The ids of all network objects whose tags are such.
    fn network_objects(
        &self,
        region: &str,
        is_meant: impl Fn(&BTreeMap<String, String>) -> bool,
    ) -> BTreeSet<String> {
        let network = self.sim().network(ACCOUNT, region);
        let mut ids = BTreeSet::new();
        let mut add = |id: &String, tags: &BTreeMap<String, String>| {
            if is_meant(tags) {
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
