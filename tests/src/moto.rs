//! moto, another simulated AWS, in which nobody here had a hand: one server for all tests of a process.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use aws::Instance;
use domain::{node::InstanceState, tags};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::{Options, World, wait_for, world::aws_call};

/// The server, whose end is the end of this process: it reads its standard input until that is closed.
static SERVER: OnceCell<(String, Child)> = OnceCell::const_new();
/// moto is not safe for threads: tests take turns, so that each meets only the troubles that it makes for itself.
static TURN: Mutex<()> = Mutex::const_new(());

/// An installation of Berth whose AWS account is moto's. All share one account, as installations may.
pub struct Moto {
    /// The installation.
    pub world: World,
    installation: String,
    _turn: MutexGuard<'static, ()>,
}

/// With checks, after so many calls.
fn start(unchecked_calls: Option<u32>) -> (String, Child) {
    let folder = env!("CARGO_MANIFEST_DIR");
    let mut command = Command::new(format!("{folder}/.venv/bin/python"));
    if let Some(calls) = unchecked_calls {
        command.env("INITIAL_NO_AUTH_ACTION_COUNT", calls.to_string());
    }
    let mut server = command
        .arg(format!("{folder}/clients/moto_server.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(if std::env::var_os("BERTH_LOG").is_some() {
            Stdio::inherit()
        } else {
            Stdio::null()
        })
        .spawn()
        .expect("tests/.venv is there: ./test makes it");
    let mut url = String::new();
    BufReader::new(server.stdout.take().expect("a pipe"))
        .read_line(&mut url)
        .expect("moto prints its URL");
    assert!(url.starts_with("http://"), "moto did not start: {url:?}");
    (url.trim().to_owned(), server)
}

async fn started(unchecked_calls: Option<u32>) -> (String, Child) {
    let started = tokio::task::spawn_blocking(move || start(unchecked_calls));
    tokio::time::timeout(Duration::from_secs(60), started)
        .await
        .expect("moto starts within a minute")
        .expect("moto starts")
}

/// An access key.
#[derive(Debug, Clone)]
pub struct AccessKey {
    /// Its id.
    pub id: String,
    /// What its owner's calls are signed with.
    pub secret: String,
}

/// A moto of one's own that answers to no call whose signature is wrong or which no policy permits, but the first ones: by
/// those there get to be users. `clients/moto_server.py` says what it checks.
#[derive(Debug)]
pub struct CheckedMoto {
    /// Where it listens.
    pub url: String,
    server: Child,
}

impl CheckedMoto {
    /// Starts it with as many users, each of an account and with one policy, and answers with their keys.
    pub async fn start<const N: usize>(users: [(&str, &str, &str); N]) -> (Self, [AccessKey; N]) {
        const CALLS: [&str; 3] = ["CreateUser", "PutUserPolicy", "CreateAccessKey"];
        let calls = u32::try_from(N * CALLS.len()).expect("a few");
        let (url, server) = started(Some(calls)).await;
        let mut keys = Vec::new();
        for (account, name, policy) in users {
            let mut said = String::new();
            for call in CALLS {
                let parameters = [
                    ("UserName", name),
                    ("PolicyName", name),
                    ("PolicyDocument", policy),
                ];
                said = aws_call(&url, account, "iam", "us-east-1", call, &parameters).await;
            }
            let element = |name: &str| {
                let (_, rest) = said.split_once(&format!("<{name}>")).expect("an element");
                let (text, _) = rest.split_once('<').expect("its end");
                text.to_owned()
            };
            keys.push(AccessKey {
                id: element("AccessKeyId"),
                secret: element("SecretAccessKey"),
            });
        }
        let keys = keys.try_into().expect("a key for each");
        (Self { url, server }, keys)
    }
}

impl Drop for CheckedMoto {
    fn drop(&mut self) {
        // It may have ended: then there is nothing to kill.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Moto {
    /// An installation of its own, when its turn has come.
    pub async fn start() -> Self {
        Self::with_names(false).await
    }

    /// The same, whose nodes may get names in a hosted zone of moto's.
    pub async fn with_names(with_names: bool) -> Self {
        let turn = TURN.lock().await;
        let (url, _) = SERVER.get_or_init(|| started(None)).await;
        let options = Options::default();
        let world = World::with(Options {
            endpoint: Some(url.clone()),
            with_names,
            // It takes its time for its answers on a machine that has much to do.
            call_timeout: Duration::from_secs(5),
            worker: worker::Config {
                grace: Duration::from_secs(10),
                // moto needs milliseconds of a whole core for each look.
                sweep_interval: Duration::from_millis(250),
                sweep_interval_at_rest: Duration::from_millis(500),
                ..options.worker
            },
            ..options
        })
        .await;
        let installation = world.installation().await;
        Self {
            world,
            installation,
            _turn: turn,
        }
    }

    /// The installation's instances that are not on their way out.
    pub async fn instances(&self, region: &str) -> Vec<Instance> {
        let cloud = self.world.cloud(region).await;
        let is_live = |instance: &Instance| {
            !matches!(
                instance.state,
                InstanceState::Terminated | InstanceState::ShuttingDown
            )
        };
        let mut instances = cloud
            .instances_tagged(tags::INSTALLATION, &self.installation)
            .await
            .expect("moto shows its instances");
        instances.retain(is_live);
        instances
    }

    /// Waits until moto runs exactly the instances that the nodes have, and answers with how many there are in each
    /// subnet, in no order. A launch of which moto lost the answer launches again, since moto does not read the client
    /// token; the sweep ends what it made the first time.
    pub async fn per_subnet(&self, region: &str) -> Vec<(String, usize)> {
        let live = wait_for("moto and the rows to show the same instances", || async {
            let mut rows: Vec<String> = sqlx::query_scalar(
                "SELECT instance_id FROM node WHERE state <> 'Terminated' AND instance_id IS NOT NULL",
            )
            .fetch_all(&self.world.pool)
            .await
            .expect("the nodes");
            let live = self.instances(region).await;
            let mut shown: Vec<String> = live.iter().map(|instance| instance.id.clone()).collect();
            rows.sort();
            shown.sort();
            (rows == shown).then_some(live)
        })
        .await;
        let mut counts = std::collections::BTreeMap::new();
        for instance in live {
            *counts
                .entry(instance.subnet_id.expect("every instance is in a subnet"))
                .or_default() += 1;
        }
        counts.into_iter().collect()
    }

    /// How many live instances there are in each zone, by the zone's name, once moto and the rows agree.
    pub async fn per_zone(&self, region: &str) -> Vec<(String, usize)> {
        let counts = self.per_subnet(region).await;
        let ids: Vec<String> = counts.iter().map(|(subnet, _)| subnet.clone()).collect();
        let subnets = self
            .world
            .cloud(region)
            .await
            .subnets_by_id(&ids)
            .await
            .expect("moto shows its subnets");
        let mut zones = std::collections::BTreeMap::<String, usize>::new();
        for (subnet_id, count) in counts {
            let subnet = subnets.iter().find(|subnet| subnet.id == subnet_id);
            *zones
                .entry(subnet.expect("the subnet exists").zone.clone())
                .or_default() += count;
        }
        zones.into_iter().collect()
    }

    /// The VPCs with Berth's name that this installation made.
    pub async fn vpcs(&self, region: &str) -> Vec<aws::Vpc> {
        let cloud = self.world.cloud(region).await;
        let mut vpcs = cloud
            .vpcs_named(tags::VPC_NAME)
            .await
            .expect("moto shows its VPCs");
        vpcs.retain(|vpc| vpc.tags.installation() == Some(&self.installation));
        vpcs
    }

    /// Ends the story.
    pub async fn finish(self, region: &str) {
        self.per_subnet(region).await;
        self.world.finish().await;
    }
}
