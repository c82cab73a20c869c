//! The life of instances: what time, stopping, starting and terminating do to them and to what belongs to them.

use super::{Association, Boot, Instance, Millis, Phase, Region, Timings};

/// How long EC2 shows a terminated instance ("Terminate Amazon EC2 instances": about an hour).
const TERMINATED_VISIBLE_MS: u64 = 3_600_000;

impl Region {
    /// Brings everything to the present: what is new is seen, phases pass, terminated instances give their things back and then go.
    pub(crate) fn settle(&mut self, now: Millis) {
        self.now = now;
        self.vpcs.settle(now);
        self.subnets.settle(now);
        self.gateways.settle(now);
        self.route_tables.settle(now);
        self.groups.settle(now);
        self.instances.settle(now);
        self.volumes.settle(now);
        let mut ended = Vec::new();
        for instance in self.instances.all_mut() {
            let before = instance.phase;
            instance.phase = before.at(now);
            if !matches!(before, Phase::Terminated { .. })
                && matches!(instance.phase, Phase::Terminated { .. })
            {
                ended.push(instance.id.clone());
            }
        }
        for id in ended {
            self.release(&id);
        }
        let gone = |instance: &Instance| match instance.phase {
            Phase::Terminated { since } => now >= since.saturating_add(TERMINATED_VISIBLE_MS),
            _ => false,
        };
        let forgotten: Vec<String> = self
            .instances
            .all()
            .filter(|it| gone(it))
            .map(|it| it.id.clone())
            .collect();
        for id in forgotten {
            self.instances.remove(&id);
            self.tags.remove(&id);
        }
    }

    /// A terminated instance has no address, no interface and no volume of its own any more.
    fn release(&mut self, id: &str) {
        let Some(instance) = self.instances.any_mut(id) else {
            return;
        };
        instance.private_ip = None;
        instance.public = None;
        let (interface, volume) = (instance.interface.clone(), instance.volume.take());
        self.tags.remove(&interface);
        let Some(volume) = volume else { return };
        match self.volumes.any_mut(&volume) {
            Some(kept) if !kept.delete_on_termination => kept.attached = None,
            _ => self.forget_volume(&volume),
        }
    }

    fn forget_volume(&mut self, id: &str) {
        self.volumes.remove(id);
        self.tags.remove(id);
    }

    /// Starts a stopped instance; false when it is in another phase.
    pub(crate) fn start(&mut self, id: &str, now: Millis, timings: &Timings) -> bool {
        let boot = self.ids.within(&timings.boot_ms);
        let public = self.new_public_ip();
        let Some(instance) = self.instances.any_mut(id) else {
            return false;
        };
        if instance.phase != Phase::Stopped {
            return false;
        }
        let until = now.saturating_add(boot);
        instance.phase = Phase::Pending { until };
        let number = instance.boot.number + 1;
        instance.boot = Boot::new(id, number, until, &timings.system_ms);
        instance.launched = now;
        instance.reason = None;
        if instance.wants_public_ip && instance.public.is_none() {
            instance.public = Some(Association {
                ip: public,
                allocation: None,
            });
        }
        true
    }

    /// Boots the system of an instance that runs anew. To EC2 it leaves no trace: state, addresses and launch time stay.
    pub(crate) fn reboot(&mut self, id: &str, now: Millis, timings: &Timings) {
        if let Some(instance) = self.instances.any_mut(id)
            && instance.phase == Phase::Running
        {
            let number = instance.boot.number + 1;
            instance.boot = Boot::new(id, number, now, &timings.system_ms);
        }
    }

    /// Stops an instance. The pool's address goes at once, an elastic one stays.
    pub(crate) fn stop(&mut self, id: &str, now: Millis, timings: &Timings) {
        let Some(instance) = self.instances.any_mut(id) else {
            return;
        };
        if matches!(instance.phase, Phase::Pending { .. } | Phase::Running) {
            instance.phase = Phase::Stopping {
                until: now.saturating_add(timings.stop_ms),
            };
            instance.reason = Some((
                "Client.UserInitiatedShutdown",
                "User initiated shutdown",
                now,
            ));
            instance.public = instance
                .public
                .take()
                .filter(|public| public.allocation.is_some());
        }
    }

    /// Terminates an instance. An elastic address is free at once.
    pub(crate) fn terminate(&mut self, id: &str, now: Millis, timings: &Timings) {
        let Some(instance) = self.instances.any_mut(id) else {
            return;
        };
        if instance.phase.is_leaving() {
            return;
        }
        instance.phase = Phase::ShuttingDown {
            until: now.saturating_add(timings.terminate_ms),
        };
        instance.reason = Some((
            "Client.UserInitiatedShutdown",
            "User initiated shutdown",
            now,
        ));
        instance.public = None;
        for address in self.addresses.values_mut() {
            if address
                .used
                .as_ref()
                .is_some_and(|used| used.instance == id)
            {
                address.used = None;
            }
        }
    }
}
