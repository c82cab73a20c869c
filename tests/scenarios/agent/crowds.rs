//! Heartbeats that come at the same time are written together, and each is answered by itself.

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tests::{ApiProcess, Engine, Host, World, wait_for};
use tokio::net::TcpStream;

const BERTH: &str = env!("CARGO_BIN_EXE_berth-under-test");

async fn deployed(world: &World) -> (Host, Engine) {
    let host = Host::registered(world).await;
    let engine = Engine::start(&host).await;
    host.ping().await.expect(200);
    (host, engine)
}

/// Locks a node by a statement, until the connection commits.
async fn locked(world: &World, host: &Host, statement: &str) -> PgConnection {
    let mut connection = PgConnection::connect(&world.database_url).await.unwrap();
    for statement in [
        "BEGIN".to_owned(),
        format!("{statement} WHERE id = '{}'", host.uuid),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection
}

async fn commit(mut connection: PgConnection) {
    sqlx::raw_sql("COMMIT")
        .execute(&mut connection)
        .await
        .unwrap();
}

/// Waits until somebody waits for what the test has locked.
async fn lock_is_waited_for(world: &World) {
    wait_for("a heartbeat to wait for the node", || async {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(&world.pool)
        .await
        .unwrap();
        (waiting > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_of_many_heartbeats_is_answered_by_itself() {
    let world = World::without_worker().await;
    let mut hosts = Vec::new();
    for _ in 0..20 {
        hosts.push(Host::registered(&world).await);
    }
    let removed = Host::registered(&world).await;
    sqlx::query("UPDATE node SET state = 'Terminated', destroyed_at = now() WHERE id = $1::uuid")
        .bind(&removed.uuid)
        .execute(&world.pool)
        .await
        .unwrap();
    let mut stranger = Host::new(&world, "nobody's");
    stranger.uuid.clone_from(&hosts[0].uuid);
    let mut thief = Host::registered(&world).await;
    thief.uuid.clone_from(&hosts[1].uuid);
    let mut early = Host::brought(&world).await;
    early.uuid.clone_from(&hosts[2].uuid);
    for round in 0..10 {
        let cpu = |number: usize| round + number;
        let beats = hosts.iter().enumerate().map(|(number, host)| async move {
            let told = json!({"cpu": cpu(number), "public_ip": format!("203.0.113.{number}")});
            host.heartbeat(told).await.expect(200).body
        });
        let (answers, broken, removed, stranger, thief, early) = tokio::join!(
            join_all(beats),
            hosts[3].heartbeat(json!({"cpu": -1})),
            removed.heartbeat(json!({})),
            stranger.heartbeat(json!({})),
            thief.heartbeat(json!({})),
            early.heartbeat(json!({})),
        );
        assert!(broken.expect(400).error().starts_with("cpu: "));
        assert!(removed.expect(401).error().contains("was removed"));
        assert!(stranger.expect(401).error().contains("not known"));
        for other in [thief, early] {
            assert!(other.expect(404).error().contains("there is no node"));
        }
        for (number, (host, answer)) in hosts.iter().zip(&answers).enumerate() {
            let address = format!("203.0.113.{number}");
            assert_eq!(answer["external_fqdn"], address, "{answer}");
            assert_eq!(world.fetch(&host.uri()).await["cpu"], cpu(number));
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn heartbeats_of_one_node_at_the_same_time_are_all_heard() {
    let world = World::without_worker().await;
    let (host, _engine) = deployed(&world).await;
    let beats = (0..50).map(|_| host.heartbeat(json!({})));
    for answer in join_all(beats).await {
        assert_eq!(answer.expect(200).body["state"], "Deployed");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_node_that_is_being_changed_keeps_no_other_waiting() {
    let world = World::without_worker().await;
    let (busy, _engine) = deployed(&world).await;
    let (free, _other_engine) = deployed(&world).await;
    let lock = locked(&world, &busy, "UPDATE node SET nickname = 'mine'").await;
    let others = async {
        lock_is_waited_for(&world).await;
        for _ in 0..3 {
            free.heartbeat(json!({})).await.expect(200);
        }
        assert_eq!(world.fetch(&busy.uri()).await["cpu"], Value::Null);
        commit(lock).await;
    };
    let (heard, ()) = tokio::join!(busy.heartbeat(json!({"cpu": 7})), others);
    heard.expect(200);
    let node = world.fetch(&busy.uri()).await;
    assert_eq!(
        (&node["cpu"], &node["nickname"]),
        (&json!(7), &json!("mine"))
    );
    world.finish().await;
}

#[tokio::test]
async fn a_node_that_is_removed_while_its_heartbeat_waits_is_not_heard() {
    let world = World::without_worker().await;
    let (host, _engine) = deployed(&world).await;
    let removal = "UPDATE node SET state = 'Terminated', destroyed_at = now()";
    let lock = locked(&world, &host, removal).await;
    let removing = async {
        lock_is_waited_for(&world).await;
        commit(lock).await;
    };
    let (refused, ()) = tokio::join!(host.heartbeat(json!({"cpu": 7})), removing);
    assert!(refused.expect(401).error().contains("was removed"));
    assert_eq!(world.fetch(&host.uri()).await["cpu"], Value::Null);
}

#[tokio::test]
async fn a_replica_that_stops_answers_the_heartbeats_that_it_has_taken() {
    let world = World::without_worker().await;
    let replica = ApiProcess::start(BERTH, &world).await;
    let (host, _engine) = deployed(&world).await;
    let host = host.talking_to(&replica.base);
    let lock = locked(&world, &host, "UPDATE node SET nickname = 'mine'").await;
    let stopping = async {
        lock_is_waited_for(&world).await;
        let address = replica.base.trim_start_matches("http://").to_owned();
        let unlocking = async {
            wait_for("the replica to take nothing new", || async {
                TcpStream::connect(&address).await.err()
            })
            .await;
            commit(lock).await;
        };
        tokio::join!(replica.stop(), unlocking);
    };
    let (heard, ()) = tokio::join!(host.heartbeat(json!({"cpu": 7})), stopping);
    heard.expect(200);
    assert_eq!(world.fetch(&host.uri()).await["cpu"], 7);
    world.finish().await;
}
