//! What happens in a storm is done.

use serde_json::{Value, json};

use super::{
    NODE_TYPE, Storm, name,
    plan::{Event, HOMES, PLACES},
    size, uri,
};
use crate::{ACCOUNT, Answer, ApiProcess, Client, OwnPostgres, WorkerProcess};

impl Storm {
    pub(super) async fn play(&mut self, event: &Event, postgres: &mut OwnPostgres) {
        match event {
            Event::Deploy { cluster, nodes } => self.deploy(*cluster, *nodes).await,
            Event::Scale { cluster, nodes } => {
                if let Some(it) = self.find(*cluster).await {
                    let answer = self.client().try_patch(uri(&it), &size(*nodes)).await;
                    self.keep(answer);
                }
            }
            Event::Delete(cluster) => {
                if let Some(it) = self.find(*cluster).await {
                    let answer = self.client().try_delete(uri(&it)).await;
                    self.keep(answer);
                }
            }
            Event::DeleteNode(cluster) => {
                let node = match self.find(*cluster).await {
                    Some(it) => it["nodes"][0].as_str().map(str::to_owned),
                    None => None,
                };
                if let Some(node) = node {
                    let answer = self.client().try_delete(&node).await;
                    self.keep(answer);
                }
            }
            Event::Cancel(cluster) => self.on_newest_action(*cluster, "cancel").await,
            Event::Retry(cluster) => self.on_newest_action(*cluster, "retry").await,
            Event::ConsoleTerminate(every) => {
                self.on_some_instances(*every, |sim, region, ids| {
                    sim.console_terminate(ACCOUNT, region, ids);
                });
            }
            Event::ConsoleStop(every) => {
                self.on_some_instances(*every, |sim, region, ids| {
                    sim.console_stop(ACCOUNT, region, ids);
                });
            }
            Event::ConsoleStart => self.start_instances(),
            Event::ConsoleReboot(every) => {
                self.on_some_instances(*every, |sim, region, ids| {
                    sim.console_reboot(ACCOUNT, region, ids);
                });
            }
            Event::ConsoleDeleteSubnet(which) => self.delete_subnet(*which),
            Event::ConsoleDetachGateway(which) => self.detach_gateway(*which),
            Event::Room {
                place,
                zone,
                instances,
            } => self.room(PLACES[*place], zone, *instances),
            Event::KillWorker(which) => {
                let next = WorkerProcess::start(self.programs.worker, &self.world);
                std::mem::replace(&mut self.workers[*which], next)
                    .kill()
                    .await;
            }
            Event::StopWorker(which) => {
                let next = WorkerProcess::start(self.programs.worker, &self.world);
                let stopped = std::mem::replace(&mut self.workers[*which], next);
                stopped.stop().await;
            }
            Event::FreezeWorker(which) => self.freeze(*which).await,
            Event::FreezeInTransaction(which) => self.freeze_in_transaction(*which).await,
            Event::KillApi {
                replica,
                cluster,
                nodes,
            } => self.kill_api(*replica, *cluster, *nodes).await,
            Event::StopApi(which) => {
                let next = ApiProcess::start(self.programs.berth, &self.world).await;
                let stopped = std::mem::replace(&mut self.replicas[*which], next);
                stopped.stop().await;
            }
            Event::RestartPostgres => postgres.restart().await,
            Event::Faults(rule) => {
                let access_key = Some(self.world.endpoint.access_key_id.clone());
                self.world.sim().add_fault(sim::FaultRule {
                    access_key,
                    ..rule.clone()
                });
            }
            Event::Consistency(ms) => self.world.sim().set_consistency_ms(*ms / 2..*ms + 1),
            Event::Hide(rule) => {
                for region in PLACES {
                    let hidden = self.world.sim().hide(ACCOUNT, region, rule);
                    hidden.expect("a rule that is understood");
                }
            }
            Event::Throttling(on) => self.world.sim().set_throttling(*on),
        }
    }

    /// The user's client: of one replica after the other.
    fn client(&mut self) -> Client {
        self.requests += 1;
        self.replicas[self.requests % self.replicas.len()].client(&self.world)
    }

    /// What was answered with 202 is promised. What was not answered may have been done or not.
    fn keep(&mut self, answer: Option<Answer>) {
        let Some(answer) = answer else {
            return;
        };
        if answer.status == 202 {
            self.promised.push(answer.action_uri());
        }
        // What was given up promises nothing, but it is counted: the API should not have to.
        self.given_up += u64::from(answer.status == 504);
        let is_expected = matches!(answer.status, 202 | 400 | 404 | 409 | 503 | 504);
        assert!(is_expected, "{} {}", answer.status, answer.text);
    }

    async fn deploy(&mut self, cluster: usize, nodes: u32) {
        let found = match self.find(cluster).await {
            Some(found) => found,
            None => {
                let home = HOMES[cluster];
                let region = home.region();
                let body = json!({
                    "name": name(cluster),
                    "region": format!("/api/infra/v1/region/aws/{region}/"),
                    "node_type": format!("/api/infra/v1/nodetype/aws/{NODE_TYPE}/"),
                    "target_num_nodes": nodes,
                    "provider_options": self.ground.options(home),
                });
                let made = self.client();
                let made = made.try_post("/api/infra/v1/nodecluster/", &body).await;
                match made {
                    Some(made) if made.status == 201 => made.body,
                    _ => return,
                }
            }
        };
        let path = format!("{}deploy/", uri(&found));
        let answer = self.client().try_post(&path, &json!({})).await;
        self.keep(answer);
    }

    async fn on_newest_action(&mut self, cluster: usize, verb: &str) {
        let Some(found) = self.find(cluster).await else {
            return;
        };
        let path = format!("/api/audit/v1/action/?object={}&limit=1", uri(&found));
        let newest = self.client().try_get(&path).await;
        let newest = newest.map_or(Value::Null, |answer| answer.body["objects"][0].clone());
        if let Some(action) = newest["resource_uri"].as_str() {
            let path = format!("{action}{verb}/");
            let answer = self.client().try_post(&path, &json!({})).await;
            self.keep(answer);
        }
    }

    /// The replica dies while it is asked.
    async fn kill_api(&mut self, replica: usize, cluster: usize, nodes: u32) {
        let found = self.find(cluster).await;
        let next = ApiProcess::start(self.programs.berth, &self.world).await;
        let killed = std::mem::replace(&mut self.replicas[replica], next);
        let client = killed.client(&self.world);
        let asked = async {
            match found {
                Some(it) => client.try_patch(uri(&it), &size(nodes)).await,
                None => None,
            }
        };
        let kill = async {
            // It has begun to answer, or has not.
            tokio::time::sleep(std::time::Duration::from_millis(u64::from(nodes))).await;
            drop(killed);
        };
        let (answer, ()) = tokio::join!(asked, kill);
        self.keep(answer);
    }
}
