//! What must hold when it is calm again.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{
    NODE_TYPE, Storm, balance,
    plan::{Event, HOMES, PLACES, ZONES},
    reasons::Failed,
    size, uri,
};
use crate::{ACCOUNT, fast_worker, wait_for};

impl Storm {
    /// AWS does what it is asked for again, and the console is left alone.
    pub(super) async fn calm(&self) {
        let sim = self.world.sim();
        sim.clear_faults();
        sim.set_consistency_ms(0..0);
        sim.set_throttling(false);
        for region in PLACES {
            sim.unhide(ACCOUNT, region);
            for zone in ZONES {
                self.room(region, zone, None);
            }
        }
        self.all_instances_run().await;
        wait_for("the API to reach its database", || async {
            let ready = self.world.client.get("/readyz").await;
            (ready.status == 200).then_some(())
        })
        .await;
        self.forget_outages().await;
    }

    /// What was remembered of full zones would be right in three minutes; a storm does not take that long.
    async fn forget_outages(&self) {
        sqlx::query("UPDATE outage SET until = now()")
            .execute(&self.world.pool)
            .await
            .expect("the outages");
    }

    pub(super) async fn what_was_promised_has_ended(&self) {
        for action in &self.promised {
            self.world.ended(action).await;
        }
        // Also what was done, and not answered.
        wait_for("every action to end", || async {
            let open: Vec<String> =
                sqlx::query_scalar("SELECT name FROM action WHERE ended_at IS NULL")
                    .fetch_all(&self.world.pool)
                    .await
                    .expect("the actions");
            open.is_empty().then_some(())
        })
        .await;
        self.world.comes_to_rest().await;
        // An answer that was late may have told of a full zone when it was calm already.
        self.forget_outages().await;
    }

    /// Nothing is under way, EC2 and the rows agree in both directions, and nobody else's was touched.
    pub(super) async fn everything_is_at_rest(&self) {
        self.world.comes_to_rest().await;
        self.world.rows_name_what_is_there(&self.deleted).await;
        self.world.states_are_consistent().await;
        for cluster in 0..HOMES.len() {
            if let Some(it) = self.find(cluster).await {
                self.has_what_it_says(cluster, &it);
            }
        }
        self.ground.is_as_it_was(&self.world).await;
    }

    pub(super) async fn what_failed_has_a_reason(&self, happened: &[Event]) {
        let failed: Vec<(String, String, f64)> = sqlx::query_as(
            "SELECT name, failure, extract(epoch FROM ended_at - coalesce(began_at, started_at))::float8
             FROM action WHERE state = 'Failed' ORDER BY started_at",
        )
        .fetch_all(&self.world.pool)
        .await
        .expect("the actions");
        let deadline = fast_worker().launch_deadline;
        for (name, reason, seconds) in failed {
            let lasted = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            let failed = Failed {
                name,
                reason,
                lasted,
            };
            let unexplained = failed.unexplained(happened, deadline);
            assert!(
                unexplained.is_empty(),
                "nothing that happened explains {unexplained:?}, for which '{}' failed after {:?}: {}",
                failed.name,
                failed.lasted,
                failed.reason
            );
        }
    }

    /// A cluster at rest has the instances that it says it has, and is in the state that goes with them.
    fn has_what_it_says(&self, number: usize, cluster: &Value) {
        let count = |name: &str| cluster[name].as_u64().expect("a number");
        let (has, wants) = (count("current_num_nodes"), count("target_num_nodes"));
        let instances: usize = self.zones_of(number, cluster).into_iter().sum();
        assert_eq!(instances as u64, has, "instances of {cluster:#}");
        let fits = match cluster["state"].as_str().unwrap_or_default() {
            "Init" => has == 0,
            "Empty cluster" => has == 0 && cluster["nodes"] == json!([]),
            "Deployed" => has == wants && has > 0,
            "Partly deployed" => has < wants && has > 0,
            _ => false,
        };
        assert!(fits, "{cluster:#}");
    }

    /// How many instances the cluster has in each zone.
    fn zones_of(&self, number: usize, cluster: &Value) -> Vec<usize> {
        let id = cluster["uuid"].as_str().expect("an id");
        let region = HOMES[number].region();
        let mut zones: BTreeMap<String, usize> = ZONES
            .map(|zone| (format!("{region}{zone}"), 0))
            .into_iter()
            .collect();
        for instance in self.world.instances(region) {
            if instance
                .tags
                .get("berth:cluster")
                .is_some_and(|it| it == id)
            {
                *zones.entry(instance.zone).or_default() += 1;
            }
        }
        zones.into_values().collect()
    }

    /// Whatever has happened to it, a cluster can be brought to any size, and is as balanced then as the rule of
    /// placement makes it from how it was.
    pub(super) async fn bring_to(&self, cluster: usize, nodes: u32) {
        let Some(found) = self.find(cluster).await else {
            return;
        };
        let before = self.zones_of(cluster, &found);
        let client = &self.world.client;
        let wanted = if found["state"] == "Init" {
            // A deploy needs a node.
            let nodes = nodes.max(1);
            client.patch(uri(&found), &size(nodes)).await.expect(202);
            let path = format!("{}deploy/", uri(&found));
            let deploy = client.post(&path, &json!({})).await.expect(202);
            self.has_succeeded(&deploy.action_uri()).await;
            nodes
        } else {
            let scale = client.patch(uri(&found), &size(nodes)).await.expect(202);
            self.has_succeeded(&scale.action_uri()).await;
            nodes
        };
        let found = self.world.fetch(uri(&found)).await;
        assert_eq!(found["current_num_nodes"], wanted, "{found:#}");
        self.world.comes_to_rest().await;
        self.has_what_it_says(cluster, &found);
        let mut zones = self.zones_of(cluster, &found);
        zones.sort_unstable();
        let expected = balance::scaled(&before, wanted as usize);
        assert_eq!(
            zones, expected,
            "{NODE_TYPE}s per zone after {before:?} was scaled to {wanted}: {found:#}"
        );
    }

    async fn has_succeeded(&self, action: &str) {
        let action = self.world.ended(action).await;
        assert_eq!(action["state"], "Success", "{action:#}");
    }

    pub(super) async fn delete_everything(&self) {
        for cluster in 0..HOMES.len() {
            if let Some(found) = self.find(cluster).await {
                let gone = self.world.terminate(&found).await;
                assert_eq!(gone["state"], "Terminated");
                let left: usize = self.zones_of(cluster, &found).into_iter().sum();
                assert_eq!(left, 0, "instances of {found:#}");
            }
        }
    }

    pub(super) async fn every_instance_was_a_nodes(&self, region: &str) {
        let ever = self.world.ever_launched(region).await;
        let known: Vec<String> =
            sqlx::query_scalar("SELECT instance_id FROM node WHERE instance_id = ANY ($1)")
                .bind(ever.iter().collect::<Vec<_>>())
                .fetch_all(&self.world.pool)
                .await
                .expect("the nodes");
        assert_eq!(
            ever.len(),
            known.len(),
            "every instance that was ever launched was a node's"
        );
    }
}
