//! A linked role once more on moto, whose STS somebody else has simulated.

use tests::Moto;

use super::*;

#[tokio::test]
async fn seed_moto_a_role_of_another_account_is_linked_and_launched_into() {
    let moto = Moto::start().await;
    let world = &moto.world;
    let client = &world.client;
    let mut open = trust("");
    let statement = open["Statement"][0].as_object_mut().unwrap();
    statement.remove("Condition").unwrap();
    let body = json!({"role_arn": world.make_role(THEIRS, &open).await});
    // It answers one call after another, and takes its time for the first in each region: two are enough, and until they
    // have answered nothing is concluded.
    for query in [
        "DELETE FROM node_type_zone WHERE zone NOT LIKE 'sa-east-1%' AND zone NOT LIKE 'us-east-1%'",
        "DELETE FROM zone WHERE region NOT IN ('sa-east-1', 'us-east-1')",
        "DELETE FROM region WHERE name NOT IN ('sa-east-1', 'us-east-1')",
    ] {
        sqlx::query(query).execute(&world.pool).await.unwrap();
    }
    let put = || async {
        wait_for("moto to answer", || async {
            let answer = client.put(CREDENTIALS, &body).await;
            (answer.status != 503).then_some(answer)
        })
        .await
    };
    let refused = put().await.expect(400);
    let words = refused.error();
    assert!(
        words.contains("trust policy does not ask for the external id"),
        "{words}"
    );
    world
        .change_trust(THEIRS, &trust(&external_id(client).await))
        .await;
    let linked = put().await.expect(201);
    assert_eq!(
        (&linked.body["account"], &linked.body["valid"]),
        (&json!(THEIRS), &json!(true))
    );

    let cluster = deploy(client, "web").await;
    assert_eq!(world.nodes(&cluster).await.len(), 2);
    let link: String =
        sqlx::query_scalar("SELECT account_link_id::text FROM namespace WHERE name = 'dev'")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    let cloud = world.cloud(REGION).await;
    let here = cloud
        .instances_tagged("berth:installation", &link)
        .await
        .unwrap();
    assert!(
        here.is_empty(),
        "none is in the server's own account: {here:?}"
    );
    let options = format!("/api/infra/v1/provider/aws/options/?region={REGION}");
    let shown = client.get(&options).await.expect(200).body;
    let vpcs = shown["vpcs"].as_array().unwrap();
    assert_eq!(
        vpcs.iter().filter(|vpc| vpc["is_managed"] == true).count(),
        1,
        "{shown:#}"
    );
    let none =
        json!({"instance_profiles": null, "security_groups": null, "subnets": null, "vpcs": null});
    assert_eq!(shown["refusals"], none);

    terminate(client, &cluster).await;
    client.delete(CREDENTIALS).await.expect(202);
    moto.finish(REGION).await;
}
