//! What somebody does in the AWS console in a storm.

use std::collections::BTreeMap;

use sim::InstanceView;

use super::{Storm, plan::PLACES};
use crate::{ACCOUNT, wait_for};

impl Storm {
    /// Every so-manieth instance of Berth's in each region, two at most.
    fn some_of_ours(&self, region: &str, every: usize) -> Vec<String> {
        let ours = self.world.instances(region).into_iter().filter(is_ours);
        ours.step_by(every).map(|i| i.id).take(2).collect()
    }

    pub(super) fn on_some_instances(
        &self,
        every: usize,
        act: impl Fn(&sim::Simulator, &str, &[&str]),
    ) {
        for region in PLACES {
            let some = self.some_of_ours(region, every);
            let some: Vec<&str> = some.iter().map(String::as_str).collect();
            act(self.world.sim(), region, &some);
        }
    }

    pub(super) fn start_instances(&self) {
        for region in PLACES {
            let stopped: Vec<String> = self
                .world
                .instances(region)
                .into_iter()
                .filter(|i| is_ours(i) && i.state == "stopped")
                .map(|i| i.id)
                .collect();
            let stopped: Vec<&str> = stopped.iter().map(String::as_str).collect();
            self.world.sim().console_start(ACCOUNT, region, &stopped);
        }
    }

    /// Every instance of Berth's is started again.
    pub(super) async fn all_instances_run(&self) {
        wait_for("every instance to be started", || async {
            self.start_instances();
            let runs = |i: &InstanceView| !is_ours(i) || i.state == "running";
            let all = PLACES.map(|region| self.world.instances(region).iter().all(runs));
            all.into_iter().all(|all| all).then_some(())
        })
        .await;
    }

    /// Deletes the so-manieth of Berth's subnets, if EC2 lets them.
    pub(super) fn delete_subnet(&mut self, which: usize) {
        let sim = self.world.sim();
        let mut ours = Vec::new();
        for region in PLACES {
            let subnets = sim.network(ACCOUNT, region).subnets.into_iter();
            let subnets = subnets.filter(|it| self.is_of_berth(&it.tags));
            ours.extend(subnets.map(|it| (region, it.id)));
        }
        if let Some((region, subnet)) = ours.into_iter().nth(which)
            && sim.console_delete_subnet(ACCOUNT, region, &subnet).is_ok()
        {
            self.deleted.insert(subnet);
        }
    }

    /// Detaches the so-manieth of Berth's gateways, if EC2 lets them.
    pub(super) fn detach_gateway(&self, which: usize) {
        let sim = self.world.sim();
        let mut ours = Vec::new();
        for region in PLACES {
            let gateways = sim.network(ACCOUNT, region).internet_gateways.into_iter();
            let gateways = gateways.filter(|it| self.is_of_berth(&it.tags));
            ours.extend(gateways.filter_map(|it| Some((region, it.id, it.vpc_id?))));
        }
        if let Some((region, gateway, vpc)) = ours.into_iter().nth(which) {
            let detached = sim.console_detach_internet_gateway(ACCOUNT, region, &gateway, &vpc);
            tracing::info!(?detached, gateway, "storm");
        }
    }

    fn is_of_berth(&self, tags: &BTreeMap<String, String>) -> bool {
        let tag = tags.get("berth:installation");
        tag.is_some_and(|tag| *tag == self.installation)
    }
}

fn is_ours(instance: &InstanceView) -> bool {
    instance.tags.contains_key("berth:cluster")
}
