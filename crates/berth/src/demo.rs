//! `berth demo`: the life of a node cluster, shown in the terminal.
#![expect(clippy::print_stdout, reason = "the show is the command's output")]

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    Error,
    cli::Demo,
    local::{DEV_KEY, DEV_USER, Local, Options},
    replica,
};

/// Simulated instances boot in 5 to 17 s, as real ones were measured to.
const GIVE_UP_AFTER: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(crate) async fn run(options: Demo) -> Result<(), Error> {
    let data = tempfile::tempdir()
        .map_err(|error| Error::Io("no temporary folder can be made".into(), error))?;
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    println!("Starting Postgres, a simulated AWS, the API and a worker on this machine …");
    let local = Local::start(Options {
        listen: anywhere,
        sim_listen: anywhere,
        data_dir: data.path().to_owned(),
        durable: false,
        worker: worker::Config {
            sweep_interval: Duration::from_millis(500),
            ..worker::Config::default()
        },
        scenario: None,
    })
    .await?;
    let shown = tokio::select! {
        shown = show(&local, &options) => shown,
        () = replica::asked_to_stop() => Err(Error::Demo("interrupted".into())),
    };
    if options.keep && shown.is_ok() {
        let (api, sim) = (local.api(), local.sim());
        println!("\nKept running until Ctrl-C:");
        println!("  curl -u {DEV_USER}:{DEV_KEY} http://{api}/api/infra/v1/node/");
        println!(
            "  AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x aws --endpoint-url http://{sim} --region {} \
             ec2 describe-instances",
            options.region
        );
        replica::asked_to_stop().await;
    }
    local.stop().await?;
    shown
}

async fn show(local: &Local, options: &Demo) -> Result<(), Error> {
    let began = Instant::now();
    let api = Api {
        client: Client::new(),
        base: format!("http://{}", local.api()),
    };
    let body = json!({
        "name": "demo",
        "region": format!("/api/infra/v1/region/aws/{}/", options.region),
        "node_type": format!("/api/infra/v1/nodetype/aws/{}/", options.node_type),
        "target_num_nodes": options.nodes,
    });
    println!("\nPOST /api/infra/v1/nodecluster/\n{body:#}");
    let cluster = api
        .call(Method::POST, "/api/infra/v1/nodecluster/", Some(&body))
        .await?;
    let uri = text(&cluster, "resource_uri").to_owned();
    println!("\nPOST {uri}deploy/\n");
    let (_, action) = api
        .call_with_action(Method::POST, &format!("{uri}deploy/"), None)
        .await?;
    let deployed = watch(&api, &uri, &action, options, began + GIVE_UP_AFTER).await;
    let log = api.call(Method::GET, &action, None).await?;
    println!("\nWhat was done in AWS ({action}):");
    for line in text(&log, "log").lines() {
        println!("  {line}");
    }
    let nodes = deployed?;
    println!(
        "\nThe balance over the availability zones of {}:\n{}",
        options.region,
        picture(&nodes)
    );
    println!(
        "Deployed {} nodes in {:.1} s.",
        nodes.len(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Follows the cluster until it is deployed; answers with its nodes.
async fn watch(
    api: &Api,
    uri: &str,
    action: &str,
    options: &Demo,
    until: Instant,
) -> Result<Vec<Value>, Error> {
    let bar = ProgressBar::new(u64::from(options.nodes));
    let style = ProgressStyle::with_template("{msg:14} [{bar:40}] {pos}/{len} nodes  {elapsed}");
    bar.set_style(
        style
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> "),
    );
    let mut last_line = String::new();
    loop {
        let cluster = api.call(Method::GET, uri, None).await?;
        let state = text(&cluster, "state").to_owned();
        let current = cluster["current_num_nodes"].as_u64().unwrap_or(0);
        bar.set_message(state.clone());
        bar.set_position(current);
        // Where there is no terminal the bar is not drawn.
        let line = format!("{state}: {current} of {} nodes", options.nodes);
        if bar.is_hidden() && line != last_line {
            println!("{line}");
            last_line = line;
        }
        match state.as_str() {
            "Deploying" => {}
            "Deployed" => {
                bar.finish();
                return api.nodes(uri).await;
            }
            // A demo of no nodes.
            "Empty cluster" if options.nodes == 0 => return Ok(Vec::new()),
            _ => {
                bar.abandon();
                let action = api.call(Method::GET, action, None).await?;
                let reason = text(&action, "log")
                    .lines()
                    .rev()
                    .nth(1)
                    .unwrap_or_default()
                    .to_owned();
                return Err(Error::Demo(format!(
                    "the node cluster is \"{state}\": {reason}"
                )));
            }
        }
        if Instant::now() > until {
            bar.abandon();
            return Err(Error::Demo(format!(
                "not deployed within {} s",
                GIVE_UP_AFTER.as_secs()
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// One bar per zone.
fn picture(nodes: &[Value]) -> String {
    let mut zones: BTreeMap<&str, usize> = BTreeMap::new();
    for node in nodes {
        let zone = text(node, "availability_zone")
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or("?");
        *zones.entry(zone).or_default() += 1;
    }
    zones
        .into_iter()
        .map(|(zone, count)| format!("  {zone:16} {} {count}\n", "■ ".repeat(count)))
        .collect()
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

/// The demo's own client: plain HTTP, as any user's.
struct Api {
    client: Client,
    base: String,
}

impl Api {
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        Ok(self.call_with_action(method, path, body).await?.0)
    }

    /// The answer, and the URI of the action that it started.
    async fn call_with_action(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(Value, String), Error> {
        let failed = |error: reqwest::Error| Error::Demo(format!("{path}: {error}"));
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .basic_auth(DEV_USER, Some(DEV_KEY));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let action = response
            .headers()
            .get("x-dockercloud-action-uri")
            .and_then(|uri| uri.to_str().ok());
        let action = action.unwrap_or_default().to_owned();
        let answer: Value = response.json().await.map_err(failed)?;
        if !status.is_success() {
            return Err(Error::Demo(format!(
                "{}: {}",
                status.as_u16(),
                text(&answer, "error")
            )));
        }
        Ok((answer, action))
    }

    async fn nodes(&self, cluster_uri: &str) -> Result<Vec<Value>, Error> {
        let path =
            format!("/api/infra/v1/node/?node_cluster={cluster_uri}&state=Deployed&limit=1000");
        let mut list = self.call(Method::GET, &path, None).await?;
        Ok(list["objects"]
            .as_array_mut()
            .map(std::mem::take)
            .unwrap_or_default())
    }
}
