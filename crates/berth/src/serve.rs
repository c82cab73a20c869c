//! `berth serve`: the API, the worker or both, on a Postgres of the user's and against AWS.

use std::{sync::Arc, time::Duration};

use aws::{Clouds, Connector};

use crate::{
    Error,
    cli::{Role, Serve, WorkerOptions},
    names,
    replica::{self, Answers, Replica},
};

pub(crate) async fn run(options: Serve) -> Result<(), Error> {
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
                ..config(options.worker)
            };
            Some((clouds, config))
        }
        Role::Api => None,
    };
    let replica = Replica::start(listener, pool, answers, worker)?;
    replica::asked_to_stop().await;
    replica.stop().await;
    Ok(())
}

fn config(options: WorkerOptions) -> worker::Config {
    worker::Config {
        image: options.image,
        sweep_interval: Duration::from_secs(options.sweep_seconds),
        sweep_interval_at_rest: Duration::from_secs(options.sweep_at_rest_seconds),
        launch_deadline: Duration::from_secs(options.launch_deadline_seconds),
        ..worker::Config::default()
    }
}
