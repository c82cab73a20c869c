//! `berth dev`: everything on this machine.
#![expect(
    clippy::print_stdout,
    reason = "what was started, and how to use it, goes to the user's terminal"
)]

use std::{env, path::PathBuf};

use crate::{
    Error,
    cli::Dev,
    local::{DEV_KEY, DEV_USER, Local, Options},
    replica,
};

pub(crate) async fn run(options: Dev) -> Result<(), Error> {
    let data_dir = match options.data_dir {
        Some(folder) => folder,
        None => default_data_dir()?,
    };
    let local = Local::start(Options {
        listen: options.listen,
        sim_listen: options.sim_listen,
        data_dir: data_dir.clone(),
        durable: true,
        worker: worker::Config::default(),
        scenario: options.scenario,
    })
    .await?;
    let (api, sim, database_url) = (local.api(), local.sim(), local.database_url());
    println!(
        "Berth runs.

  API            http://{api}      user {DEV_USER}, key {DEV_KEY}
  API reference  http://{api}/docs/
  Simulated AWS  http://{sim}
  Database       {}
                 {database_url}

It launches nothing real. The simulated AWS starts empty each time; the database is kept.

Create a node cluster and deploy it (then GET the same URL until its state is Deployed):

  curl -u {DEV_USER}:{DEV_KEY} http://{api}/api/infra/v1/nodecluster/ -d '{{
    \"name\": \"web\", \"target_num_nodes\": 3,
    \"region\": \"/api/infra/v1/region/aws/us-east-1/\",
    \"node_type\": \"/api/infra/v1/nodetype/aws/t3.micro/\"}}'
  curl -u {DEV_USER}:{DEV_KEY} -X POST http://{api}/api/infra/v1/nodecluster/UUID/deploy/

Look at the same nodes as AWS shows them:

  AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x aws --endpoint-url http://{sim} --region us-east-1 \\
    ec2 describe-instances --query 'Reservations[].Instances[].[InstanceId,State.Name,Placement.AvailabilityZone]' \\
    --output table

Ctrl-C stops it.",
        data_dir.display()
    );
    replica::asked_to_stop().await;
    local.stop().await
}

/// The user's data folder, by the XDG base directory specification.
fn default_data_dir() -> Result<PathBuf, Error> {
    let not_empty = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let data_home =
        not_empty("XDG_DATA_HOME").or_else(|| Some(not_empty("HOME")?.join(".local/share")));
    data_home
        .map(|folder| folder.join("berth/dev"))
        .ok_or_else(|| {
            Error::Usage(
                "HOME is not set: say with --data-dir where the database is to live".into(),
            )
        })
}
