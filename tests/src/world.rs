//! An installation of Berth with an AWS account of its own, and what its user can do with it.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use api::Agents;
use aws::{Cloud, Clouds, Connector, Endpoint, Link, Names};
use berth::{
    local::{DEV_KEY, DEV_USER, SIM_ACCESS_KEY, SimServer, add_dev_user},
    replica::{Answers, Replica, bind},
};
use domain::{
    catalogue::Architecture, ids::InstallationId, launch::LaunchRequest, link::Ambient,
    node::Readiness, tags, user_data::PublicUrl,
};
use engine::Way;
use serde_json::{Value, json};
use sim::{HostConfig, InstanceView, Simulator};
use sqlx::PgPool;
use store::naming::Zone;
use tokio::time::Instant;

use crate::{
    Client, fast_worker, fresh_database,
    pace::{CALL_TIMEOUT, PRODUCT_CALL_TIMEOUT},
    rest::assert_log_is_whole,
    zone,
};

/// The simulated account.
pub const ACCOUNT: &str = "123456789012";
/// The policy that users give to Berth's access key, and every simulated world does so, too.
pub const IAM_POLICY: &str = include_str!("../../docs/iam-policy.json");
/// What the server's own access key may do besides, so that roles can be linked.
pub const SERVER_IAM_POLICY: &str = include_str!("../../docs/iam-policy-server.json");

/// Both, as the server's own credentials have them that clusters are launched with, too.
///
/// # Panics
/// Where a document is not JSON.
pub fn whole_policy() -> Value {
    let mut policy: Value = serde_json::from_str(IAM_POLICY).expect("a policy document");
    let more: Value = serde_json::from_str(SERVER_IAM_POLICY).expect("another one");
    let statements = policy["Statement"].as_array_mut().expect("statements");
    statements.extend(more["Statement"].as_array().cloned().unwrap_or_default());
    policy
}
/// The access key of the account's owner, who may do everything.
pub(crate) const OWNER_ACCESS_KEY: &str = "owner";
const DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);
const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What a test wants to be different.
#[derive(Debug, Clone)]
pub struct Options {
    /// The simulator.
    pub sim: sim::Config,
    /// The worker.
    pub worker: worker::Config,
    /// How long AWS may take for an answer; shorter than the worker's grace.
    pub call_timeout: Duration,
    /// AWS is there already: another world's simulator, or moto.
    pub endpoint: Option<String>,
    /// Whether a worker runs in this process.
    pub with_worker: bool,
    /// A database of the test's own.
    pub database_url: Option<String>,
    /// How much a namespace may have that has no limits of its own.
    pub quota: domain::quota::Limits,
    /// What stands between the network and the API. Tests ask more than users do.
    pub edge: api::Edge,
    /// Whether nodes get names in a hosted zone, which is made.
    pub with_names: bool,
    /// Whether instances live as virtual hosts, which call home, and engines are reached through the simulator.
    pub with_hosts: bool,
    /// Whether nodes are to call home; else they are usable when their instance runs.
    pub with_agents: bool,
    /// The folder with the agent's programs.
    pub agent_dir: Option<PathBuf>,
    /// The namespaces that may use the account that every world has.
    pub ambient: Ambient,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sim: sim::Config {
                record: true,
                ..sim::Config::fast()
            },
            worker: fast_worker(),
            call_timeout: CALL_TIMEOUT,
            endpoint: None,
            with_worker: true,
            database_url: None,
            quota: domain::quota::Limits::default(),
            edge: api::Edge {
                requests_per_second: 0,
                credentials_per_minute: 0,
                failed_logins_per_minute: 0,
                connections_per_address: 0,
                ..api::Edge::default()
            },
            with_names: false,
            with_hosts: false,
            with_agents: false,
            agent_dir: None,
            ambient: Ambient::Everybody,
        }
    }
}

impl Options {
    /// The same with calls that may take as long as in the product: for tests that count calls or have slow answers.
    pub fn patient() -> Self {
        Self {
            worker: worker::Config {
                grace: worker::Config::default().grace,
                ..fast_worker()
            },
            call_timeout: PRODUCT_CALL_TIMEOUT,
            ..Self::default()
        }
    }
}

/// An installation and its AWS account.
pub struct World {
    /// The user's client.
    pub client: Client,
    /// The database.
    pub pool: PgPool,
    /// Its URL.
    pub database_url: String,
    /// Berth's way to AWS.
    pub endpoint: Endpoint,
    /// Where its nodes get names.
    pub zone: Option<Zone>,
    /// Where its nodes call home, if they do.
    pub public_url: Option<PublicUrl>,
    /// Whether its nodes are virtual hosts, whose engines are reached through the simulator.
    pub has_hosts: bool,
    pub(crate) sim: Option<SimServer>,
    owner: Connector,
    replica: Replica,
}

/// The tags of what the account's owner has made.
pub fn theirs() -> Vec<tags::Tag> {
    vec![("Name".into(), "theirs".into())]
}

/// Waits until `condition` answers with something.
///
/// # Panics
/// After two minutes, with what was waited for.
pub async fn wait_for<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = condition().await {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "waited {DEADLINE:?} in vain: {what}"
        );
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until `look` finds nothing any more.
///
/// # Panics
/// After two minutes, with what it finds.
pub(crate) async fn wait_for_no<F: Future<Output = Vec<String>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let found = look().await;
        if found.is_empty() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "after {DEADLINE:?} there are still {what}: {found:#?}"
        );
        tokio::time::sleep(POLL).await;
    }
}

/// A call of AWS's query protocol by whom the access key says; nobody checks a signature.
pub(crate) async fn aws_call(
    url: &str,
    access_key: &str,
    service: &str,
    region: &str,
    action: &str,
    parameters: &[(&str, &str)],
) -> String {
    let mut pairs = vec![("Action", action)];
    pairs.extend(parameters);
    let query = reqwest::Url::parse_with_params(url, &pairs).expect("parameters");
    let scope = format!("{access_key}/20260101/{region}/{service}/aws4_request");
    let is_account = access_key.len() == 12 && access_key.bytes().all(|b| b.is_ascii_digit());
    let account = if is_account { access_key } else { ACCOUNT };
    let response = reqwest::Client::new()
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
        )
        // moto takes it where it knows no account of the key.
        .header("x-moto-account-id", account)
        .body(query.query().unwrap_or_default().to_owned())
        .send()
        .await
        .expect("AWS answers");
    let is_success = response.status().is_success();
    let text = response.text().await.expect("a body");
    assert!(is_success, "{action}: {text}");
    text
}

impl World {
    /// A world with a fast simulator and a fast worker.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// A world whose workers are the test's own.
    pub async fn without_worker() -> Self {
        Self::with(Options {
            with_worker: false,
            ..Options::default()
        })
        .await
    }

    /// A world as the test wants it.
    pub async fn with(mut options: Options) -> Self {
        // One subscriber for all tests of the process: the first to come sets it.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(std::env::var("BERTH_LOG").unwrap_or_else(|_| "error".into()))
            .with_test_writer()
            .try_init();
        let database_url = match options.database_url {
            Some(url) => url,
            None => fresh_database().await,
        };
        let pool = store::connect(&database_url, 20).expect("a pool");
        add_dev_user(&pool).await.expect("a user");
        if options.with_hosts {
            options.sim.hosts = Some(HostConfig::fast());
        }
        let (sim, endpoint) = match options.endpoint {
            Some(url) => {
                let key = SIM_ACCESS_KEY.to_owned();
                (
                    None,
                    Endpoint {
                        url,
                        access_key_id: key.clone(),
                        secret_access_key: key,
                    },
                )
            }
            None => {
                let listener = bind(ANYWHERE).await.expect("a free port");
                let sim =
                    SimServer::start(Simulator::new(options.sim), listener).expect("a simulator");
                sim.simulator
                    .set_policy(SIM_ACCESS_KEY, Some(&whole_policy()))
                    .expect("a policy that can be evaluated");
                let endpoint = sim.endpoint();
                (Some(sim), endpoint)
            }
        };
        if let Some(sim) = sim.as_ref().filter(|_| options.with_hosts) {
            options.worker.engines = sim.way_to_engines();
        }
        let zone = if options.with_names {
            Some(zone::make(&endpoint.url).await)
        } else {
            None
        };
        let call_timeout = options.call_timeout;
        assert!(
            call_timeout < options.worker.grace,
            "a call must have ended before it is given up"
        );
        let connector = Connector::to(endpoint.clone()).with_call_timeout(call_timeout);
        let clouds: Arc<dyn Clouds> = Arc::new(connector);
        let listener = bind(ANYWHERE).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let url = format!("http://{address}");
        let public_url = PublicUrl::new("URL", &url).expect("a URL");
        let calls_home = options.with_agents || options.with_hosts;
        let public_url = calls_home.then_some(public_url);
        let config = api::Config {
            hosts: options.worker.hosts,
            secret_key: options.worker.secret_key.clone(),
            engines: options.worker.engines.clone(),
            agents: Agents {
                public_url: public_url.clone(),
                readiness: match calls_home {
                    true => Readiness::Agent,
                    false => Readiness::Instance,
                },
                folder: options.agent_dir,
            },
            clouds: Some(Arc::clone(&clouds)),
            ambient: options.ambient,
            quota: options.quota,
            edge: options.edge,
        };
        let worker = worker::Config {
            names: zone.clone(),
            public_url: public_url.clone(),
            ambient: config.ambient.clone(),
            ..options.worker
        };
        let worker = options.with_worker.then_some((clouds, worker));
        let replica = Replica::start(listener, pool.clone(), Answers::Everything, config, worker)
            .expect("a replica");
        let client = Client::new(format!("http://{}", replica.address), DEV_USER, DEV_KEY);
        let owner = Connector::to(Endpoint {
            url: endpoint.url.clone(),
            access_key_id: OWNER_ACCESS_KEY.to_owned(),
            secret_access_key: OWNER_ACCESS_KEY.to_owned(),
        });
        Self {
            client,
            pool,
            database_url,
            endpoint,
            zone,
            public_url,
            has_hosts: options.with_hosts,
            sim,
            owner,
            replica,
        }
    }

    /// Waits until so many workers listen for work.
    pub async fn workers_listen(&self, workers: i64) {
        wait_for("workers to listen", || async {
            let listening: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND query = 'LISTEN \"berth_site\"'",
            )
            .fetch_one(&self.pool)
            .await
            .expect("Postgres' activity");
            (listening == workers).then_some(())
        })
        .await;
    }

    /// The simulator, to look into it and to act as the AWS console.
    pub fn sim(&self) -> &Simulator {
        &self
            .sim
            .as_ref()
            .expect("this world has a simulator")
            .simulator
    }

    /// How engines of its nodes are reached.
    pub fn way_to_engines(&self) -> Way {
        match &self.sim {
            Some(sim) if self.has_hosts => sim.way_to_engines(),
            _ => Way::Straight,
        }
    }

    /// EC2 as the account's owner uses it.
    pub async fn cloud(&self, region: &str) -> Arc<dyn Cloud> {
        self.owner.cloud(&Link::AMBIENT, region).await
    }

    /// Route 53 as the account's owner uses it.
    pub async fn names(&self) -> Arc<dyn Names> {
        self.owner.names().await
    }

    /// Launches an instance as the account's owner; answers with its id.
    pub async fn launch(
        &self,
        region: &str,
        request: &LaunchRequest,
        client_token: &str,
    ) -> String {
        let cloud = self.cloud(region).await;
        let turn = cloud.turn_to_launch(1).await.expect("a turn");
        let launched = cloud.run_instances(turn, request, client_token, 1).await;
        launched.expect("an instance").remove(0).id
    }

    /// Launches instances as somebody who does not know of Berth; answers with their ids.
    pub async fn launch_theirs(&self, region: &str, subnet_id: &str, count: u32) -> Vec<String> {
        let cloud = self.cloud(region).await;
        let image = cloud.newest_image(Architecture::Amd64).await;
        let image = image.expect("images").expect("an image");
        let request = LaunchRequest {
            image_id: image.id,
            root_device: image.root_device,
            instance_type: "t3.micro".into(),
            subnet_id: subnet_id.to_owned(),
            security_group_ids: vec![],
            instance_profile: None,
            disk_gb: 8,
            user_data: String::new(),
            tags: theirs(),
        };
        let turn = cloud.turn_to_launch(count).await.expect("a turn");
        let launched = cloud.run_instances(turn, &request, "theirs", count).await;
        let launched = launched.expect("instances").into_iter();
        launched.map(|instance| instance.id).collect()
    }

    /// Makes one of each network object as a worker would leave them that died before it could write them down.
    pub async fn leave_a_network(&self, region: &str) -> Vec<String> {
        let installation = InstallationId(self.installation().await.parse().expect("an id"));
        let cloud = self.cloud(region).await;
        let tags = |name| tags::network(installation, name);
        let vpc = cloud
            .create_vpc("10.78.0.0/16", &tags(tags::VPC_NAME))
            .await;
        let vpc = vpc.expect("a VPC").id;
        let gateway = cloud.create_gateway(&tags(tags::GATEWAY_NAME)).await;
        let gateway = gateway.expect("a gateway").id;
        let attached = cloud.attach_gateway(&gateway, &vpc).await;
        attached.expect("an attached gateway");
        let name = tags::ROUTE_TABLE_NAME;
        let table = cloud.create_route_table(&vpc, &vpc, &tags(name)).await;
        let zone = format!("{region}a");
        let name = tags::SUBNET_NAME;
        let subnet = cloud
            .create_subnet(&vpc, &zone, "10.78.0.0/24", &tags(name))
            .await;
        let name = tags::SECURITY_GROUP_NAME;
        let group = cloud.create_security_group(&vpc, name, &tags(name)).await;
        let subnet = subnet.expect("a subnet").id;
        let table = table.expect("a route table").id;
        let associated = cloud.associate_route_table(&table, &subnet).await;
        associated.expect("an associated route table");
        vec![vpc, gateway, table, subnet, group.expect("a group").id]
    }

    /// Waits until none of these network objects is there any more.
    pub async fn gone(&self, region: &str, ids: &[String]) {
        let installation = self.installation().await;
        let cloud = self.cloud(region).await;
        wait_for("network objects to be gone", || async {
            let there = cloud.network_objects(&installation).await.expect("a list");
            let is_left = there.iter().any(|object| ids.contains(&object.id));
            (!is_left).then_some(())
        })
        .await;
    }

    /// One call of AWS's query protocol by the account's owner, for what [`Cloud`] has no need of.
    pub async fn aws_call(
        &self,
        service: &str,
        region: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> String {
        self.aws_call_as(OWNER_ACCESS_KEY, service, region, action, parameters)
            .await
    }

    /// The same by whoever has this access key.
    pub(crate) async fn aws_call_as(
        &self,
        access_key: &str,
        service: &str,
        region: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> String {
        aws_call(
            &self.endpoint.url,
            access_key,
            service,
            region,
            action,
            parameters,
        )
        .await
    }

    /// Makes an instance profile with a role of the same name, as the IAM console does.
    pub async fn make_instance_profile(&self, name: &str) {
        let (version, profile, role) = (
            ("Version", "2010-05-08"),
            ("InstanceProfileName", name),
            ("RoleName", name),
        );
        let trust = ("AssumeRolePolicyDocument", "{}");
        for (action, parameters) in [
            ("CreateRole", vec![version, role, trust]),
            ("CreateInstanceProfile", vec![version, profile]),
            ("AddRoleToInstanceProfile", vec![version, profile, role]),
        ] {
            self.aws_call("iam", "us-east-1", action, &parameters).await;
        }
    }

    /// Creates a cluster; what is not in `more` is as the simplest body has it.
    pub async fn create(&self, region: &str, node_type: &str, nodes: u32, more: Value) -> Value {
        let mut body = json!({
            "name": "web",
            "region": format!("/api/infra/v1/region/aws/{region}/"),
            "node_type": format!("/api/infra/v1/nodetype/aws/{node_type}/"),
            "target_num_nodes": nodes,
        });
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        self.client
            .post("/api/infra/v1/nodecluster/", &body)
            .await
            .expect(201)
            .body
    }

    /// Creates and deploys a cluster and waits until it has come to rest. Answers with it and its deploy's action.
    pub async fn deploy(
        &self,
        region: &str,
        node_type: &str,
        nodes: u32,
        more: Value,
    ) -> (Value, Value) {
        let (cluster, action) = self.ask_to_deploy(region, node_type, nodes, more).await;
        let action = self.ended(&action).await;
        (self.fetch(uri(&cluster)).await, action)
    }

    /// Creates a cluster and asks for its deploy. Answers with it and the URI of the deploy's action.
    pub async fn ask_to_deploy(
        &self,
        region: &str,
        node_type: &str,
        nodes: u32,
        more: Value,
    ) -> (Value, String) {
        let cluster = self.create(region, node_type, nodes, more).await;
        let path = format!("{}deploy/", uri(&cluster));
        let answer = self.client.post(&path, &json!({})).await.expect(202);
        assert_eq!(answer.body["state"], "Deploying");
        let action = answer.action_uri();
        (cluster, action)
    }

    /// Scales a cluster and waits until it has come to rest.
    pub async fn scale(&self, cluster: &Value, nodes: u32) -> Value {
        let answer = self
            .client
            .patch(uri(cluster), &json!({"target_num_nodes": nodes}))
            .await
            .expect(202);
        assert_eq!(answer.body["state"], "Scaling");
        self.ended(&answer.action_uri()).await;
        self.fetch(uri(cluster)).await
    }

    /// Terminates a cluster or node and waits until it is gone.
    pub async fn terminate(&self, object: &Value) -> Value {
        let answer = self.client.delete(uri(object)).await.expect(202);
        self.ended(&answer.action_uri()).await;
        self.fetch(uri(object)).await
    }

    /// Waits until an action has ended.
    pub async fn ended(&self, action_uri: &str) -> Value {
        wait_for(&format!("the end of {action_uri}"), || async {
            let action = self.fetch(action_uri).await;
            let state = action["state"].as_str().unwrap_or_default();
            matches!(state, "Success" | "Failed" | "Canceled").then_some(action)
        })
        .await
    }

    /// The object at a URI.
    pub async fn fetch(&self, uri: &str) -> Value {
        self.client.get(uri).await.expect(200).body
    }

    /// The nodes of a cluster, those that are gone left out.
    pub async fn nodes(&self, cluster: &Value) -> Vec<Value> {
        let path = format!(
            "/api/infra/v1/node/?node_cluster={}&limit=1000",
            uri(cluster)
        );
        let mut list = self.fetch(&path).await;
        let nodes = list["objects"]
            .as_array_mut()
            .map(std::mem::take)
            .unwrap_or_default();
        nodes
            .into_iter()
            .filter(|node| node["state"] != "Terminated")
            .collect()
    }

    /// The instances of the account that are not on their way out.
    pub fn instances(&self, region: &str) -> Vec<InstanceView> {
        let is_live = |i: &InstanceView| i.state != "terminated" && i.state != "shutting-down";
        self.sim()
            .instances(ACCOUNT, region)
            .into_iter()
            .filter(is_live)
            .collect()
    }

    /// How many live instances there are in each zone, by the zone's name.
    pub fn per_zone(&self, region: &str) -> std::collections::BTreeMap<String, usize> {
        let mut zones = std::collections::BTreeMap::new();
        for instance in self.instances(region) {
            *zones.entry(instance.zone).or_default() += 1;
        }
        zones
    }

    /// The instance of a node.
    pub async fn instance_of(&self, node: &Value) -> String {
        sqlx::query_scalar("SELECT instance_id FROM node WHERE id = $1::uuid")
            .bind(node["uuid"].as_str())
            .fetch_one(&self.pool)
            .await
            .expect("the node has an instance")
    }

    /// The id that this installation's objects are tagged with.
    pub async fn installation(&self) -> String {
        sqlx::query_scalar("SELECT id::text FROM installation")
            .fetch_one(&self.pool)
            .await
            .expect("an installation")
    }

    /// Ends the story: asserts what must hold at rest after every story, and stops everything.
    ///
    /// # Panics
    /// Where something of Berth's is left over or unknown.
    pub async fn finish(self) {
        self.nothing_is_left_over().await;
        if self.zone.is_some() {
            self.names_are_right().await;
        }
        assert_log_is_whole(&self.pool).await;
        if let Some(sim) = &self.sim {
            sim.simulator.end_hosts();
        }
        self.replica.stop().await;
        if let Some(sim) = self.sim {
            sim.stop().await;
        }
        self.pool.close().await;
    }
}

/// The URI of an object.
fn uri(object: &Value) -> &str {
    object["resource_uri"]
        .as_str()
        .expect("every object has a URI")
}
