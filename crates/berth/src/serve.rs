//! `berth serve`: the API, the worker or both, on a Postgres of the user's and against AWS.

use std::{sync::Arc, time::Duration};

use aws::{Clouds, Connector};
use chrono::TimeDelta;
use domain::{host, quota::Limits};

use crate::{
    Error,
    cli::{HostOptions, QuotaOptions, Role, Serve, WorkerOptions},
    edge, names,
    replica::{self, Answers, Replica},
    secret_key,
};

pub(crate) async fn run(options: Serve) -> Result<(), Error> {
    let secret_key = secret_key::given(&options.secret)?;
    let hosts = hosts(options.hosts)?;
    let edge = edge::given(options.edge)?;
    let reloading = edge.tls.clone().map(edge::reload_at_sighup).transpose()?;
    let listener = replica::bind(options.listen).await?;
    let pool = store::reach(&options.database.database_url, options.database_connections).await?;
    if !store::is_migrated(&pool).await? {
        return Err(Error::NotMigrated);
    }
    let answers = match options.role {
        Role::Api | Role::All => Answers::Everything,
        Role::Worker => Answers::Health,
    };
    let worker = match options.role {
        Role::Worker | Role::All => {
            let clouds: Arc<dyn Clouds> = Arc::new(Connector::ambient());
            let config = worker::Config {
                names: names::zone(options.names, &*clouds).await?,
                secret_key: secret_key.clone(),
                ..config(options.worker, hosts)
            };
            Some((clouds, config))
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

fn hosts(options: HostOptions) -> Result<host::Settings, Error> {
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
            ..defaults.limits
        },
        probe_patience: Duration::from_secs(options.probe_timeout_seconds),
        ..defaults
    })
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
