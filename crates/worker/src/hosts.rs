//! The hosts with an agent: their engines are asked now and then, and what is asked of those that their owners brought is
//! carried out.
//!
//! No site's lease is asked for: every worker looks after all of them, and a host that one of them is dealing with is left
//! alone by the others. What is written follows from the row, which is locked, and from what the engine answers, so doing
//! it twice does no harm.

use std::sync::Arc;

use domain::{
    action::End,
    host::Settings,
    ids::{NamespaceId, NodeId},
    state::{NodeOperation, NodeState},
};
use futures::{StreamExt, stream};
use pki::{Authority, Certificate, Identity, SecretKey};
use store::{
    PgPool,
    host::{self, Change, Due},
    operation::{self, OnNode},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Config, Error, upgrade};

/// How many engines are asked at the same time.
const ASKED_AT_ONCE: usize = 50;

/// Looks after the hosts until it is stopped.
pub(crate) async fn run(pool: PgPool, config: Arc<Config>, stop: CancellationToken) {
    let look_interval = config.look_interval;
    let hosts = Hosts::new(pool, &config);
    while !stop.is_cancelled() {
        if let Err(error) = hosts.look().await {
            warn!(%error, "the hosts can't be looked after; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(look_interval) => {}
        }
    }
}

pub(crate) struct Hosts {
    pool: PgPool,
    settings: Settings,
    secret_key: Option<SecretKey>,
    engines: engine::Way,
}

/// Why no engine is asked by this worker.
const NO_SECRET_KEY: &str =
    "the worker has no secret key; start it with the same BERTH_SECRET_KEY as the API";

impl Hosts {
    pub(crate) fn new(pool: PgPool, config: &Config) -> Self {
        Self {
            pool,
            settings: config.hosts,
            secret_key: config.secret_key.clone(),
            engines: config.engines.clone(),
        }
    }

    /// Asks the engine of a node, and writes down whether it answered. Says so in words; none where nobody knows its
    /// engine, since it has not announced a certificate.
    pub(crate) async fn ask(&self, node: NodeId) -> Result<Option<String>, Error> {
        let mut conn = self.pool.acquire().await?;
        let host = host::get(&mut conn, node).await?;
        drop(conn);
        let due = host.and_then(|host| {
            Some(Due {
                id: host.id,
                namespace_id: host.namespace_id,
                address: host.engine_address?,
                public_cert: host.public_cert?,
            })
        });
        match due {
            Some(due) => self.probe(&due).await.map(Some),
            None => Ok(None),
        }
    }

    /// The state of a node.
    pub(crate) async fn state(&self, node: NodeId) -> Result<Option<NodeState>, Error> {
        let mut conn = self.pool.acquire().await?;
        Ok(host::get(&mut conn, node).await?.map(|host| host.state))
    }

    async fn look(&self) -> Result<(), Error> {
        let mut conn = self.pool.acquire().await?;
        let overdue = host::overdue(&mut conn, self.settings.limits).await?;
        let due = match self.secret_key {
            Some(_) => host::claim_due(&mut conn, &self.settings).await?,
            None => Vec::new(),
        };
        let asked = operation::claim_on_brought(&mut conn, &self.settings).await?;
        let free = operation::brought_with_waiting(&mut conn).await?;
        drop(conn);
        for node in overdue {
            self.settle(node).await?;
        }
        let probes = stream::iter(due).map(|due| async move { self.probe(&due).await.map(drop) });
        let operations = stream::iter(asked).map(|(on, due)| self.carry_on(on, due));
        let mut probes = probes.buffer_unordered(ASKED_AT_ONCE);
        let mut operations = operations.buffer_unordered(ASKED_AT_ONCE);
        while let Some(probed) = probes.next().await {
            probed?;
        }
        while let Some(carried_on) = operations.next().await {
            carried_on?;
        }
        for node in free {
            let mut tx = self.pool.begin().await?;
            operation::begin_next_on_brought(&mut tx, node).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Gives the node the state that follows from what is known of its host.
    pub(crate) async fn settle(&self, node: NodeId) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        let changed = host::settle(&mut tx, node, self.settings.limits).await?;
        tx.commit().await?;
        self.tell(node, changed).await
    }

    async fn tell(&self, node: NodeId, changed: Option<Change>) -> Result<(), Error> {
        let Some(Change { from, to, news }) = changed else {
            return Ok(());
        };
        info!(%node, %from, %to, "node changed");
        if let Some(news) = news {
            let mut conn = self.pool.acquire().await?;
            news.tell(&mut conn).await?;
        }
        Ok(())
    }

    /// Asks the engine of a host, and writes down whether it answered. Says so in words.
    async fn probe(&self, due: &Due) -> Result<String, Error> {
        let (Ok(address), Ok(certificate)) =
            (due.address.parse(), Certificate::from_pem(&due.public_cert))
        else {
            return Ok(format!("{} is no address of an engine", due.address));
        };
        let identity = match self.identity(due.namespace_id).await? {
            Ok(identity) => identity,
            Err(why) => {
                warn!(node = %due.id, why, "the engine of node {} can't be asked", due.id);
                return Ok(why);
            }
        };
        let patience = self.settings.probe_patience;
        let answered =
            engine::reach(&self.engines, address, &certificate, &identity, patience).await;
        let mut tx = self.pool.begin().await?;
        host::record_probe(&mut tx, due.id, &due.address, answered.is_ok()).await?;
        let changed = host::settle(&mut tx, due.id, self.settings.limits).await?;
        tx.commit().await?;
        self.tell(due.id, changed).await?;
        Ok(match answered {
            Ok(()) => format!("The engine at {address} answers"),
            Err(why) => why.to_string(),
        })
    }

    /// A certificate with which the engines of a namespace let Berth in, or why there is none.
    async fn identity(&self, namespace: NamespaceId) -> Result<Result<Identity, String>, Error> {
        let mut conn = self.pool.acquire().await?;
        let kept = store::authority::get(&mut conn, namespace).await?;
        let now = store::authority::now(&mut conn).await?;
        let (Some(kept), Some(secret)) = (kept, &self.secret_key) else {
            return Ok(Err(NO_SECRET_KEY.to_owned()));
        };
        let issued = Authority::open(&namespace.to_string(), &kept.sealed_key, secret)
            .and_then(|authority| authority.issue("Berth", now, 1));
        Ok(issued.map_err(|error| error.to_string()))
    }

    /// Carries out what was asked of a brought node by itself, and ends it.
    async fn carry_on(&self, on: OnNode, due: Option<Due>) -> Result<(), Error> {
        if on.operation == NodeOperation::DockerUpgrade {
            return self.carry_on_upgrade(&on).await;
        }
        let (line, end) = match (on.operation, on.state) {
            _ if on.is_canceling => ("Canceled".to_owned(), End::Canceled),
            (NodeOperation::HealthCheck, _) => match &due {
                Some(due) => {
                    let said = self.probe(due).await?;
                    let state = self.state(on.node).await?.unwrap_or(on.state);
                    (format!("{said}: the node is {state}"), End::Success)
                }
                None => failed(format!(
                    "node {} has not announced a certificate, so nobody knows its engine",
                    on.node
                )),
            },
            (_, NodeState::Deployed) => (format!("Node {} is Deployed", on.node), End::Success),
            (_, state) => failed(format!("node {} is {state}", on.node)),
        };
        let mut tx = self.pool.begin().await?;
        host::release(&mut tx, on.node).await?;
        store::action::log(&mut tx, on.action, &line).await?;
        store::action::finish(&mut tx, on.action, &end).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn carry_on_upgrade(&self, on: &OnNode) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        let settings = &self.settings;
        let ended =
            upgrade::carry_on(&mut tx, on.action, on.node, on.is_canceling, settings).await?;
        host::release(&mut tx, on.node).await?;
        if let Some((line, end)) = ended {
            store::action::log(&mut tx, on.action, &line).await?;
            store::action::finish(&mut tx, on.action, &end).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

fn failed(why: String) -> (String, End) {
    (why.clone(), End::Failed(why))
}
