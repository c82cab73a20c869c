//! What must never be, the database refuses, whoever asks.

use serde_json::json;
use tests::World;

/// Runs a statement that must be refused by the constraint of this name.
async fn refused(world: &World, sql: &'static str, constraint: &str) {
    let error = sqlx::query(sql).execute(&world.pool).await.expect_err(sql);
    let violated = error
        .as_database_error()
        .and_then(|e| e.constraint().map(str::to_owned));
    assert_eq!(violated.as_deref(), Some(constraint), "{sql}: {error}");
}

#[tokio::test]
async fn what_must_never_be_is_refused_by_the_database() {
    let world = World::start().await;
    world.deploy("us-east-1", "t3.micro", 1, json!({})).await;
    let cases = [
        ("UPDATE cluster SET state = 'Running'", "cluster_state_check"),
        ("UPDATE node SET state = 'Init'", "node_state_check"),
        ("UPDATE action SET state = 'Done', ended_at = NULL", "action_state_check"),
        ("UPDATE cluster SET state = 'Terminated'", "cluster_end_has_a_time"),
        ("UPDATE cluster SET state = 'Scaling'", "cluster_moves_by_an_action"),
        ("UPDATE cluster SET readiness = 'soon'", "cluster_readiness_check"),
        ("UPDATE launch SET sealed_token = '\\x00'", "launch_token_is_whole"),
        ("UPDATE cluster SET target_num_nodes = -1", "cluster_target_num_nodes_check"),
        (
            "INSERT INTO cluster (id, namespace_id, name, nickname, state, region, node_type, disk_gb,
                                  target_num_nodes, tags, automatic_tags, provider_options, readiness)
             SELECT gen_random_uuid(), namespace_id, name, nickname, 'Init', region, node_type, disk_gb, 0, tags,
                    automatic_tags, provider_options, readiness FROM cluster",
            "cluster_live_name",
        ),
        (
            "INSERT INTO node (id, namespace_id, state, tags)
             SELECT gen_random_uuid(), id, 'Deploying', '{}' FROM namespace",
            "node_has_a_cluster_or_an_owner",
        ),
        ("UPDATE node SET state = 'Deployed', instance_id = NULL", "node_deployed_has_an_instance"),
        ("UPDATE action SET state = 'In progress'", "action_end_has_a_time"),
        (
            "INSERT INTO launch (id, cluster_id, site_id, client_token, zone, subnet_id, subnet_cidr, count, request,
                                 state)
             SELECT gen_random_uuid(), cluster_id, site_id, client_token, zone, subnet_id, subnet_cidr, count, request,
                    'decided' FROM launch",
            "launch_client_token_key",
        ),
    ];
    for (sql, constraint) in cases {
        refused(&world, sql, constraint).await;
    }
    world.finish().await;
}
