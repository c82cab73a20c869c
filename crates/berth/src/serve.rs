//! `berth serve`: the API, the worker or both, on a Postgres of the user's and against AWS.

use std::{path::PathBuf, sync::Arc, time::Duration};

use api::Agents;
use aws::{Clouds, Connector};
use chrono::TimeDelta;
use domain::{host, link::Ambient, node::Readiness, quota::Limits};
use engine::Way;

use crate::{
    Error,
    cli::{AgentOptions, HostOptions, QuotaOptions, Role, Serve, WorkerOptions},
    edge, memory, names,
    replica::{self, Answers, Replica},
    secret_key,
};

pub(crate) async fn run(options: Serve) -> Result<(), Error> {
    let secret_key = secret_key::given(&options.secret)?;
    memory::keep();
    let engines = Way::through(options.hosts.engine_proxy.clone());
    let hosts = hosts(&options.hosts)?;
    let agents = agents(options.agents)?;
    let edge = edge::given(options.edge)?;
    let reloading = edge.tls.clone().map(edge::reload_at_sighup).transpose()?;
    let listener = replica::bind(options.listen).await?;
    let pool = store::reach(&options.database.database_url, options.database_connections).await?;
    if !store::is_migrated(&pool).await? {
        return Err(Error::NotMigrated);
    }
    let ambient = Ambient::read(&options.ambient_namespaces);
    let answers = match options.role {
        Role::Api | Role::All => Answers::Everything,
        Role::Worker => Answers::Health,
    };
    let clouds: Arc<dyn Clouds> = Arc::new(Connector::ambient());
    let worker = match options.role {
        Role::Worker | Role::All => {
            let config = worker::Config {
                names: names::zone(options.names, &*clouds).await?,
                secret_key: secret_key.clone(),
                engines: engines.clone(),
                public_url: agents.public_url.clone(),
                ambient: ambient.clone(),
                ..config(options.worker, hosts)
            };
            Some((Arc::clone(&clouds), config))
        }
        Role::Api => None,
    };
    let replica = Replica::start(
        listener,
        pool,
        answers,
        api::Config {
            hosts,
            secret_key,
            engines,
            agents,
            clouds: Some(clouds),
            ambient,
            quota: quota(options.quota),
            edge,
        },
        worker,
    )?;
    replica::asked_to_stop().await;
    replica.stop().await;
    if let Some(reloading) = reloading {
        reloading.abort();
    }
    Ok(())
}

fn hosts(options: &HostOptions) -> Result<host::Settings, Error> {
    let (heartbeat, silence) = (options.heartbeat_seconds, options.unreachable_after_seconds);
    if silence <= heartbeat {
        return Err(Error::Usage(format!(
            "--unreachable-after-seconds {silence} must be more than --heartbeat-seconds {heartbeat}, or nodes are \
             unreachable between two heartbeats"
        )));
    }
    let defaults = host::Settings::default();
    Ok(host::Settings {
        heartbeat: Duration::from_secs(heartbeat.into()),
        limits: host::Limits {
            silence: TimeDelta::seconds(silence.into()),
            deployment: TimeDelta::seconds(options.registration_deadline_seconds.into()),
        },
        probe_patience: Duration::from_secs(options.probe_timeout_seconds),
        ..defaults
    })
}

fn agents(options: AgentOptions) -> Result<Agents, Error> {
    if options.readiness == Readiness::Agent && options.public_url.is_none() {
        return Err(Error::Usage(
            "nodes are to call home, and nobody has said where: give the URL under which they reach this API with \
             --public-url or BERTH_PUBLIC_URL; or say --readiness instance, and nodes have no agent unless their \
             cluster asks for one"
                .into(),
        ));
    }
    Ok(Agents {
        public_url: options.public_url,
        readiness: options.readiness,
        folder: options.agent_dir.or_else(own_folder),
    })
}

/// The folder that this program is in.
pub(crate) fn own_folder() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.to_path_buf())
}

fn quota(options: QuotaOptions) -> Limits {
    Limits {
        clusters: options.max_clusters,
        nodes: options.max_nodes,
    }
}

fn config(options: WorkerOptions, hosts: host::Settings) -> worker::Config {
    worker::Config {
        hosts,
        image: options.image,
        sweep_interval: Duration::from_secs(options.sweep_seconds),
        sweep_interval_at_rest: Duration::from_secs(options.sweep_at_rest_seconds),
        launch_deadline: Duration::from_secs(options.launch_deadline_seconds),
        ..worker::Config::default()
    }
}
