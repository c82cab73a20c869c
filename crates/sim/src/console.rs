//! Acting as the account's owner does at the AWS console: uncounted, without faults, and allowed everything.

use std::net::Ipv4Addr;

use crate::catalogue;
use crate::protocol::auth::{Caller, Service};
use crate::protocol::{Element, Params};
use crate::server;
use crate::simulator::Simulator;
use crate::state::{Millis, Region, Timings};

impl Simulator {
    /// Terminates instances as somebody at the console would. Unknown ids are ignored.
    pub fn console_terminate(&self, account: &str, region: &str, ids: &[&str]) {
        self.each_instance(account, region, ids, Region::terminate);
    }

    /// Stops instances as somebody at the console would. Unknown ids are ignored.
    pub fn console_stop(&self, account: &str, region: &str, ids: &[&str]) {
        self.each_instance(account, region, ids, Region::stop);
    }

    /// Starts stopped instances as somebody at the console would. Unknown ids are ignored.
    pub fn console_start(&self, account: &str, region: &str, ids: &[&str]) {
        self.each_instance(account, region, ids, |region, id, now, timings| {
            region.start(id, now, timings);
        });
    }

    /// Reboots instances as somebody at the console would: EC2 shows no trace of it, the addresses stay.
    pub fn console_reboot(&self, account: &str, region: &str, ids: &[&str]) {
        self.each_instance(account, region, ids, Region::reboot);
    }

    fn each_instance(
        &self,
        account: &str,
        region: &str,
        ids: &[&str],
        act: impl Fn(&mut Region, &str, Millis, &Timings),
    ) {
        let (now, timings) = (self.now(), self.config().timings());
        self.in_region(account, region, |region| {
            for id in ids {
                act(region, id, now, &timings);
            }
        });
        self.stir();
    }

    /// Deletes a subnet.
    ///
    /// # Errors
    /// EC2's refusal (code and sentence), such as `DependencyViolation` while instances are in it.
    pub fn console_delete_subnet(
        &self,
        account: &str,
        region: &str,
        subnet: &str,
    ) -> Result<(), String> {
        let params = [("SubnetId", subnet)];
        self.as_owner(account, region, "DeleteSubnet", &params)
            .map(drop)
    }

    /// Makes an internet gateway that nobody but the account's owner knows of, and attaches it to a VPC, if one is given.
    /// Answers with its id.
    ///
    /// # Errors
    /// EC2's refusal (code and sentence); then there is no such gateway.
    pub fn console_create_internet_gateway(
        &self,
        account: &str,
        region: &str,
        vpc: Option<&str>,
    ) -> Result<String, String> {
        let answer = self.as_owner(account, region, "CreateInternetGateway", &[])?;
        let made = answer.child_of("internetGateway");
        let gateway = made.and_then(|it| it.text_of("internetGatewayId"));
        let gateway = gateway.unwrap_or_default();
        if let Some(vpc) = vpc
            && let Err(refusal) =
                self.console_attach_internet_gateway(account, region, gateway, vpc)
        {
            let params = [("InternetGatewayId", gateway)];
            self.as_owner(account, region, "DeleteInternetGateway", &params)?;
            return Err(refusal);
        }
        Ok(gateway.to_owned())
    }

    /// Attaches an internet gateway to a VPC.
    ///
    /// # Errors
    /// EC2's refusal (code and sentence), such as `Resource.AlreadyAssociated`.
    pub fn console_attach_internet_gateway(
        &self,
        account: &str,
        region: &str,
        gateway: &str,
        vpc: &str,
    ) -> Result<(), String> {
        let params = [("InternetGatewayId", gateway), ("VpcId", vpc)];
        self.as_owner(account, region, "AttachInternetGateway", &params)
            .map(drop)
    }

    /// Takes a tag off a resource, whatever its value is.
    ///
    /// # Errors
    /// EC2's refusal (code and sentence), when there is no such resource.
    pub fn console_delete_tag(
        &self,
        account: &str,
        region: &str,
        resource: &str,
        key: &str,
    ) -> Result<(), String> {
        let params = [("ResourceId.1", resource), ("Tag.1.Key", key)];
        self.as_owner(account, region, "DeleteTags", &params)
            .map(drop)
    }

    /// Detaches an internet gateway from a VPC.
    ///
    /// # Errors
    /// EC2's refusal (code and sentence), such as `DependencyViolation` while instances have public addresses.
    pub fn console_detach_internet_gateway(
        &self,
        account: &str,
        region: &str,
        gateway: &str,
        vpc: &str,
    ) -> Result<(), String> {
        let params = [("InternetGatewayId", gateway), ("VpcId", vpc)];
        self.as_owner(account, region, "DetachInternetGateway", &params)
            .map(drop)
    }

    /// Deletes a security group.
    ///
    /// # Errors
    /// EC2's refusal (code and sentence), such as `DependencyViolation` while instances are in it.
    pub fn console_delete_security_group(
        &self,
        account: &str,
        region: &str,
        group: &str,
    ) -> Result<(), String> {
        let params = [("GroupId", group)];
        self.as_owner(account, region, "DeleteSecurityGroup", &params)
            .map(drop)
    }

    /// Allocates an elastic IP address and gives it to an instance, in place of the address that it has.
    ///
    /// # Errors
    /// EC2's refusal (code and sentence); then nothing is allocated.
    pub fn console_associate_address(
        &self,
        account: &str,
        region: &str,
        instance: &str,
    ) -> Result<Ipv4Addr, String> {
        let address = self.as_owner(account, region, "AllocateAddress", &[])?;
        let of = |name| address.text_of(name).unwrap_or_default();
        let ip = of("publicIp").parse().map_err(|error| format!("{error}"))?;
        let params = [
            ("AllocationId", of("allocationId")),
            ("InstanceId", instance),
        ];
        if let Err(refusal) = self.as_owner(account, region, "AssociateAddress", &params) {
            self.as_owner(account, region, "ReleaseAddress", &params[..1])?;
            return Err(refusal);
        }
        Ok(ip)
    }

    /// Takes an instance's elastic IP address away and releases it.
    ///
    /// # Errors
    /// When the instance has none.
    pub fn console_disassociate_address(
        &self,
        account: &str,
        region: &str,
        instance: &str,
    ) -> Result<(), String> {
        let found = self.in_region(account, region, |region| {
            let mut addresses = region.addresses.values();
            addresses.find_map(|it| {
                let used = it.used.as_ref().filter(|used| used.instance == instance)?;
                Some((it.id.clone(), used.association.clone()))
            })
        });
        let (allocation, association) = found
            .flatten()
            .ok_or_else(|| format!("the instance '{instance}' has no elastic IP address"))?;
        let params = [("AssociationId", association.as_str())];
        self.as_owner(account, region, "DisassociateAddress", &params)?;
        let params = [("AllocationId", allocation.as_str())];
        self.as_owner(account, region, "ReleaseAddress", &params)?;
        Ok(())
    }

    /// One call of EC2 that is nobody's request; its refusal is one text.
    fn as_owner(
        &self,
        account: &str,
        region: &str,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<Element, String> {
        if catalogue::region(region).is_none() {
            return Err(format!("there is no region '{region}'"));
        }
        let caller = Caller {
            // No request can bear it, so nothing is denied to it.
            access_key: String::new(),
            account: account.to_owned(),
            region: region.to_owned(),
            service: Service::Ec2,
            assumed: None,
        };
        let pairs = params
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let params = Params::new(pairs);
        let now = self.now();
        let outcome = server::run(self, &mut self.lock(), &caller, &params, action, now);
        self.stir();
        outcome.map_err(|refusal| format!("{}: {}", refusal.code, refusal.message))
    }
}
