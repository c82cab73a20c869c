//! Docker's own client on the nodes of a cluster: whom it is let in by, and whom it trusts.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use serde_json::{Value, json};
use tests::{Client, Docker, Ended, Options, World, add_user};

use super::{REGION, living, living_world};

/// A world whose nodes have names in a hosted zone.
async fn named_world() -> World {
    let options = living();
    World::with(Options {
        with_names: true,
        ..options
    })
    .await
}

/// The nodes of a new cluster, and the cluster.
async fn deployed(world: &World, nodes: u32) -> (Value, Vec<Value>) {
    let (cluster, action) = world.deploy(REGION, "t3.micro", nodes, json!({})).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    let nodes = world.nodes(&cluster).await;
    if world.zone.is_some() {
        world.names_are_right().await;
    }
    (cluster, nodes)
}

async fn bundle(client: &Client, object: &Value) -> Value {
    let path = format!("{}certificate/", object["resource_uri"].as_str().unwrap());
    client.get(&path).await.expect(200).body
}

fn name(node: &Value) -> &str {
    node["external_fqdn"].as_str().unwrap()
}

/// What it has printed, where it has done what it was asked.
fn printed(ended: Ended) -> String {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

/// Asserts that the client could not ask the engine, for this reason.
async fn refused(docker: &Docker, name: &str, reason: &str) {
    let ended = docker.run(name, &["info"]).await;
    assert_ne!(ended.code, Some(0), "{ended:?}");
    // `info` tells of the client, too, on standard output.
    let told = format!("{}{}", ended.stdout, ended.stderr);
    assert!(told.contains(reason), "{reason:?} is missing:\n{told}");
}

#[tokio::test]
async fn dockers_own_client_uses_the_nodes_of_a_cluster_with_its_bundle_or_theirs() {
    let world = named_world().await;
    let (cluster, nodes) = deployed(&world, 2).await;
    let of_cluster = Docker::new(&world, &bundle(&world.client, &cluster).await);
    for node in &nodes {
        let name = name(node);
        assert_eq!(name, world.name_of(node["uuid"].as_str().unwrap()));
        let instance = world.instance_of(node).await;
        let of_node = Docker::new(&world, &bundle(&world.client, node).await);
        for docker in [&of_cluster, &of_node] {
            let format = "{{.Name}} {{.ServerVersion}} {{.NCPU}}";
            let info = docker.run(name, &["info", "--format", format]).await;
            assert_eq!(printed(info), format!("{instance} 26.1.5 2\n"));
        }
        let info = printed(of_node.run(name, &["info"]).await);
        assert!(info.contains("Server Version: 26.1.5"), "{info}");
        let version = printed(of_node.run(name, &["version"]).await);
        assert!(version.contains("API version:      1.45"), "{version}");
        let ps = printed(of_node.run(name, &["ps"]).await);
        assert_eq!(ps.lines().count(), 1, "{ps}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_container_runs_on_a_node_of_a_fresh_cluster() {
    let world = living_world().await;
    let (cluster, nodes) = deployed(&world, 1).await;
    let docker = Docker::new(&world, &bundle(&world.client, &cluster).await);
    // Without a hosted zone it is EC2's name.
    let name = name(&nodes[0]);
    assert!(name.ends_with(".amazonaws.com"), "{name}");
    let arguments = ["run", "--detach", "--name", "greeting", "hello-world"];
    let id = printed(docker.run(name, &arguments).await);
    assert_eq!(id.trim().len(), 64, "{id}");
    assert_eq!(
        printed(docker.run(name, &["wait", "greeting"]).await),
        "0\n"
    );
    let said = printed(docker.run(name, &["logs", "greeting"]).await);
    assert!(said.starts_with("Hello from a virtual host!"), "{said}");
    let format = "{{.Names}} {{.Image}} {{.Status}}";
    let arguments = ["ps", "--all", "--format", format];
    let ps = printed(docker.run(name, &arguments).await);
    assert_eq!(ps, "greeting hello-world Exited (0)\n");
    let info = ["info", "--format", "{{.Containers}} {{.Images}}"];
    assert_eq!(printed(docker.run(name, &info).await), "1 1\n");
    printed(docker.run(name, &["rm", "greeting"]).await);
    printed(
        docker
            .run(name, &["run", "--detach", "--rm", "hello-world"])
            .await,
    );
    assert_eq!(printed(docker.run(name, &info).await), "0 1\n");
    let other = docker.run(name, &["run", "--detach", "nginx"]).await;
    let reason = "nginx:latest: a virtual engine can pull hello-world:latest and nothing else";
    assert!(other.stderr.contains(reason), "{other:?}");
    world.finish().await;
}

#[tokio::test]
async fn dockers_own_client_is_refused_with_the_reason_by_an_engine_that_does_not_trust_it() {
    let world = living_world().await;
    let (_, nodes) = deployed(&world, 1).await;
    let name = name(&nodes[0]);
    let good = bundle(&world.client, &nodes[0]).await;

    // Its client shows no certificate where it has none of the authority for which the engine asks.
    let required = "tls: certificate required";
    let anonymous = Docker::new(&world, &json!({"ca": good["ca"]}));
    refused(&anonymous, name, required).await;

    let eve = add_user(&world, "eve", "eves-key").await;
    let body = json!({"name": "web", "region": "/api/infra/v1/region/aws/us-east-1/",
        "node_type": "/api/infra/v1/nodetype/aws/t3.micro/"});
    let cluster = eve.post("/nodecluster", &body).await.expect(201).body;
    let eves = bundle(&eve, &cluster).await;
    let mut mixed = eves.clone();
    mixed["ca"] = good["ca"].clone();
    refused(&Docker::new(&world, &mixed), name, required).await;

    let forged = forged(&world, &good).await;
    // What TLS says of a signature that is not the authority's.
    let wrong = "remote error: tls: error decrypting message";
    refused(&Docker::new(&world, &forged), name, wrong).await;

    let good = Docker::new(&world, &good);
    printed(good.run(name, &["info"]).await);
    world.finish().await;
}

#[tokio::test]
async fn dockers_own_client_does_not_trust_an_engine_of_another_node_namespace_or_name() {
    let world = named_world().await;
    let (cluster, nodes) = deployed(&world, 2).await;
    let [name_of_one, name_of_other] = [name(&nodes[0]), name(&nodes[1])];
    let unknown = "x509: certificate signed by unknown authority";

    let of_one = Docker::new(&world, &bundle(&world.client, &nodes[0]).await);
    printed(of_one.run(name_of_one, &["info"]).await);
    refused(&of_one, name_of_other, unknown).await;

    let eve = add_user(&world, "eve", "eves-key").await;
    let body = json!({"name": "web", "region": "/api/infra/v1/region/aws/us-east-1/",
        "node_type": "/api/infra/v1/nodetype/aws/t3.micro/"});
    let eves = eve.post("/nodecluster", &body).await.expect(201).body;
    let of_eve = Docker::new(&world, &bundle(&eve, &eves).await);
    refused(&of_eve, name_of_one, unknown).await;

    // The same engine by its address, by EC2's name for it, and by a name below its own.
    let of_cluster = Docker::new(&world, &bundle(&world.client, &cluster).await);
    let ip = nodes[0]["public_ip"].as_str().unwrap();
    let reason = format!(
        "x509: cannot validate certificate for {ip} because it doesn't contain any IP SANs"
    );
    refused(&of_cluster, ip, &reason).await;
    let of_ec2 = format!("ec2-{}.compute-1.amazonaws.com", ip.replace('.', "-"));
    let below = format!("web.{name_of_one}");
    for other in [of_ec2, below] {
        let reason = format!("x509: certificate is valid for {name_of_one}, not {other}");
        refused(&of_cluster, &other, &reason).await;
    }
    world.finish().await;
}

/// The bundle with a client's certificate of another authority that calls itself as the namespace's does.
async fn forged(world: &World, bundle: &Value) -> Value {
    let namespace: String = sqlx::query_scalar("SELECT id::text FROM namespace WHERE name = 'dev'")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let (key_of_authority, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name = DistinguishedName::new();
    authority
        .distinguished_name
        .push(DnType::CommonName, format!("Berth {namespace}"));
    let issuer = Issuer::from_params(&authority, &key_of_authority);
    let signed = CertificateParams::default().signed_by(&key, &issuer);
    let cert = signed.unwrap().pem();
    json!({"ca": bundle["ca"], "cert": cert, "key": key.serialize_pem()})
}
