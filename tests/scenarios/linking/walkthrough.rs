//! What the README says about linking a role, done command by command.

use tests::{AccessKey, Process, fresh_database, venv};

use super::*;

const README: &str = include_str!("../../../README.md");
/// What the README writes for whatever is everybody's own.
const BASE: &str = "http://127.0.0.1:8080";

/// The commands of the README's section, each with its further lines.
fn commands() -> Vec<String> {
    let (_, section) = README.split_once("### Linking an AWS account\n").unwrap();
    let (section, _) = section.split_once("\n### ").unwrap();
    let mut commands: Vec<String> = Vec::new();
    let mut is_complete = true;
    for line in section.lines() {
        if let Some(command) = line.strip_prefix("    $ ") {
            commands.push(command.to_owned());
        } else if !is_complete {
            let command = commands.last_mut().unwrap();
            command.push('\n');
            command.push_str(line);
        }
        is_complete = commands.last().is_none_or(|command| {
            !command.ends_with('\\') && command.matches('\'').count() % 2 == 0
        });
    }
    commands
}

/// Where the commands are run, and as whom.
pub(super) struct Walk {
    folder: tempfile::TempDir,
    path: String,
    pub(super) aws: String,
    pub(super) database_url: String,
    /// The server's own.
    pub(super) server: AccessKey,
    /// Of the account that is linked.
    pub(super) owner: AccessKey,
    /// Alice, who is made.
    pub(super) alice: Client,
    key: String,
}

impl Walk {
    /// Where everything is there but Alice.
    pub(super) async fn begin(
        base: String,
        aws: String,
        database_url: String,
        [server, owner]: [AccessKey; 2],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let berth = folder.path().join("berth");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_berth-under-test"), berth).unwrap();
        let venv = venv("aws");
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{}:{path}", folder.path().display(), venv.display());
        let mut walk = Self {
            folder,
            path,
            aws,
            database_url,
            server,
            owner,
            alice: Client::new(base, "alice", ""),
            key: String::new(),
        };
        walk.key = walk.run("berth user add alice").await.trim().to_owned();
        walk.alice = walk.alice.as_user("alice", &walk.key);
        walk
    }

    /// Runs a command with a shell, as the server where it is Berth's and as the account's owner else.
    pub(super) async fn run(&self, command: &str) -> String {
        let key = match command.starts_with("berth") {
            true => &self.server,
            false => &self.owner,
        };
        let environment = [
            ("PATH", self.path.as_str()),
            ("DATABASE_URL", &self.database_url),
            ("AWS_ENDPOINT_URL", &self.aws),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", &key.id),
            ("AWS_SECRET_ACCESS_KEY", &key.secret),
        ];
        let script = format!("cd '{}'\n{command}", self.folder.path().display());
        let ended = Process::start("/bin/sh", &["-euc", &script], &environment)
            .ended()
            .await;
        assert_eq!(ended.code, Some(0), "{command}\n{}", ended.stderr);
        ended.stdout
    }

    /// Runs what the README says, until the nodes of the cluster are there; answers with the cluster.
    pub(super) async fn to_the_end(&self) -> Value {
        let commands = commands();
        let (last, commands) = commands.split_last().unwrap();
        assert_eq!(commands.len(), 7, "{commands:#?}");
        let mut said = Value::Null;
        for command in commands {
            let command = command
                .replace("alice:KEY", &format!("alice:{}", self.key))
                .replace(BASE, &self.alice.base)
                .replace("UUID", said["uuid"].as_str().unwrap_or("UUID"));
            let text = self.run(&command).await;
            said = serde_json::from_str(&text).unwrap_or(Value::Null);
            assert_eq!(said["error"], Value::Null, "{command}\n{text}");
            if command.contains("/credentials/") {
                let linked = (&said["account"], &said["valid"]);
                assert_eq!(linked, (&json!(THEIRS), &json!(true)), "{text}");
            }
        }
        let cluster = wait_for("the nodes to be deployed", || async {
            let uri = said["resource_uri"].as_str().unwrap();
            let cluster = self.alice.get(uri).await.expect(200).body;
            (cluster["state"] == "Deployed").then_some(cluster)
        })
        .await;
        let shown = self.run(last).await;
        let mut lines: Vec<&str> = shown.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["running\tus-east-1a", "running\tus-east-1b"]);
        cluster
    }
}

#[tokio::test]
async fn the_readme_leads_to_nodes_in_a_linked_account_of_the_simulator() {
    let world = strict_world().await;
    let key = |id: &str| AccessKey {
        id: id.to_owned(),
        secret: "x".to_owned(),
    };
    let walk = Walk::begin(
        world.client.base.clone(),
        world.endpoint.url.clone(),
        world.database_url.clone(),
        [key(&world.endpoint.access_key_id), key(THEIRS)],
    )
    .await;
    let cluster = walk.to_the_end().await;
    terminate(&walk.alice, &cluster).await;
    world.finish().await;
}

/// The database of an installation that knows two regions alone: moto answers one call after another, and takes its time
/// for the first in each.
pub(super) async fn database_of_two_regions() -> String {
    let url = fresh_database().await;
    let pool = store::connect(&url, 1).unwrap();
    for query in [
        "DELETE FROM node_type_zone WHERE zone NOT LIKE 'sa-east-1%' AND zone NOT LIKE 'us-east-1%'",
        "DELETE FROM zone WHERE region NOT IN ('sa-east-1', 'us-east-1')",
        "DELETE FROM region WHERE name NOT IN ('sa-east-1', 'us-east-1')",
    ] {
        sqlx::query(query).execute(&pool).await.unwrap();
    }
    url
}
