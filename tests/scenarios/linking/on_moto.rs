//! A linked role once more on moto, which somebody else has made, with its checks of signatures and policies on: what
//! Berth sends is signed rightly, and permitted by the policies that it prints and documents.
//!
//! What moto does not check is in `clients/moto_server.py`, which has it ask what a trust policy asks, too. The conditions
//! of the policies are checked on the simulator, in every other scenario.

use tests::{CheckedMoto, IAM_POLICY, Process, SERVER_IAM_POLICY};

use super::{
    walkthrough::{Walk, database_of_two_regions},
    *,
};

const EVERYTHING: &str = r#"{"Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
const SECRET_KEY: &str = "bW90b21vdG9tb3RvbW90b21vdG9tb3RvbW90b21vdG8=";

#[tokio::test]
async fn seed_moto_a_role_of_another_account_is_linked_and_launched_into() {
    let users = [
        (ACCOUNT, "berth", SERVER_IAM_POLICY),
        (THEIRS, "owner", EVERYTHING),
    ];
    let (moto, [server, owner]) = CheckedMoto::start(users).await;
    let database_url = database_of_two_regions().await;
    let environment = [
        ("DATABASE_URL", database_url.as_str()),
        ("AWS_ENDPOINT_URL", &moto.url),
        ("AWS_ACCESS_KEY_ID", &server.id),
        ("AWS_SECRET_ACCESS_KEY", &server.secret),
        ("BERTH_SECRET_KEY", SECRET_KEY),
        ("BERTH_LISTEN", "127.0.0.1:0"),
        ("BERTH_LOG_FORMAT", "json"),
    ];
    let arguments = ["serve", "--sweep-seconds", "1"];
    let mut serve = Process::start(
        env!("CARGO_BIN_EXE_berth-under-test"),
        &arguments,
        &environment,
    );
    let base = format!("http://{}", serve.address().await);
    let walk = Walk::begin(
        base,
        moto.url.clone(),
        database_url.clone(),
        [server, owner],
    )
    .await;
    let client = &walk.alice;
    let cluster = walk.to_the_end().await;

    let put = |body: Value| async move {
        wait_for("moto to answer", || async {
            let answer = client.put(CREDENTIALS, &body).await;
            (!matches!(answer.status, 429 | 503)).then_some(answer)
        })
        .await
    };
    let role = json!({"role_arn": format!("arn:aws:iam::{THEIRS}:role/berth")});
    let iam = |command: &'static str, document: String| {
        let walk = &walk;
        async move {
            let document = document.replace('\'', "");
            walk.run(&format!(
                "aws iam {command} --role-name berth --policy-document '{document}'"
            ))
            .await
        }
    };
    // Whoever may not launch is told so in AWS's words, for each region.
    let less = IAM_POLICY.replace(
        "\"ec2:CreateVpc\",\n        \"ec2:RunInstances\"",
        "\"ec2:CreateVpc\"",
    );
    assert_ne!(less, IAM_POLICY);
    iam("put-role-policy --policy-name berth", less).await;
    let refused = put(role.clone()).await.expect(400);
    for region in ["sa-east-1", "us-east-1"] {
        let words = format!(
            "\n{region}: AccessDenied (RunInstances): User: arn:aws:sts::{THEIRS}:assumed-role/berth/berth is not \
             authorized to perform: ec2:RunInstances\n"
        );
        assert!(refused.error().contains(&words), "{}", refused.error());
    }
    iam("put-role-policy --policy-name berth", IAM_POLICY.to_owned()).await;
    put(role.clone()).await.expect(202);

    // Neither a role of everybody's nor one of somebody else's is taken.
    let mut open = trust("");
    let statement = open["Statement"][0].as_object_mut().unwrap();
    statement.remove("Condition").unwrap();
    iam("update-assume-role-policy", open.to_string()).await;
    let refused = put(role.clone()).await.expect(400);
    let words = "trust policy does not ask for the external id";
    assert!(refused.error().contains(words), "{}", refused.error());
    iam(
        "update-assume-role-policy",
        trust("somebody else's").to_string(),
    )
    .await;
    let refused = put(role.clone()).await.expect(400);
    let words = "AccessDenied (AssumeRole): not authorized to perform: sts:AssumeRole";
    assert!(refused.error().contains(words), "{}", refused.error());
    let ours = trust(&external_id(client).await).to_string();
    iam("update-assume-role-policy", ours).await;
    put(role).await.expect(202);

    // A secret that does not belong to the key.
    let mut key = json!({"access_key_id": walk.owner.id, "secret_access_key": SECRET});
    let refused = put(key.clone()).await.expect(400);
    let words = "SignatureDoesNotMatch (GetCallerIdentity): The request signature we calculated does not match";
    assert!(refused.error().contains(words), "{}", refused.error());
    key["secret_access_key"] = json!(walk.owner.secret);
    assert_eq!(put(key).await.expect(202).body["kind"], "key");

    let options = "/api/infra/v1/provider/aws/options/?region=us-east-1";
    let shown = client.get(options).await.expect(200).body;
    let none =
        json!({"instance_profiles": null, "security_groups": null, "subnets": null, "vpcs": null});
    assert_eq!(shown["refusals"], none);
    let vpcs = shown["vpcs"].as_array().unwrap();
    let ours = vpcs.iter().filter(|vpc| vpc["is_managed"] == true);
    assert_eq!(ours.count(), 1, "{shown:#}");

    let put_back = json!({"role_arn": format!("arn:aws:iam::{THEIRS}:role/berth")});
    client.put(CREDENTIALS, &put_back).await.expect(202);
    terminate(client, &cluster).await;
    client.delete(CREDENTIALS).await.expect(202);
    let live = "aws ec2 describe-instances --region us-east-1 --output text \
                --filters Name=instance-state-name,Values=pending,running --query 'Reservations[].Instances[].InstanceId'";
    assert_eq!(walk.run(live).await.trim(), "");
    serve.sigterm();
    let ended = serve.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
