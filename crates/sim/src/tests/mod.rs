//! The rules of the simulator, each by its name, through the front door: parameters in, XML out.

mod consistency;
mod control;
mod faults;
mod hiding;
mod hosts;
mod launch;
mod launch_refusals;
mod life;
mod limits;
mod network;
mod offers;
mod permissions;
mod policies;
mod protocol;
mod quotas;
mod route53;
mod scenario;
mod sessions;

use crate::config::Config;
use crate::protocol::ApiError;
use crate::server::{Reply, request};
use crate::simulator::Simulator;
use crate::{catalogue, default_account};

/// A caller of a simulator of its own, in sa-east-1 where one zone lacks t2.micro.
struct Client {
    sim: Simulator,
    key: &'static str,
    token: Option<&'static str>,
    region: &'static str,
}

/// A VPC with one subnet in zone b and an open security group.
struct Net {
    vpc: String,
    subnet: String,
    group: String,
}

impl Client {
    /// Time stands still until the test moves it.
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            manual_clock: true,
            ..Config::fast()
        };
        change(&mut config);
        Self {
            sim: Simulator::new(config),
            key: "test",
            token: None,
            region: "sa-east-1",
        }
    }

    fn as_key(&self, key: &'static str) -> Self {
        Self {
            sim: self.sim.clone(),
            key,
            token: None,
            region: self.region,
        }
    }

    fn service(
        &self,
        service: &str,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<String, ApiError> {
        let header = format!(
            "AWS4-HMAC-SHA256 Credential={}/20260101/{}/{service}/aws4_request, SignedHeaders=host, Signature=0",
            self.key, self.region
        );
        let all = [("Action", action)]
            .into_iter()
            .chain(params.iter().copied());
        let pairs = all
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        match request(&self.sim, Some(&header), self.token, false, Ok(pairs)).2 {
            Reply::AtOnce(answer) | Reply::After(_, _, answer) => answer,
            Reply::Never(_) => Ok("hanging".to_owned()),
            Reply::Lost => Ok("dropped".to_owned()),
        }
    }

    fn ask(&self, action: &str, params: &[(&str, &str)]) -> Result<String, ApiError> {
        self.service("ec2", action, params)
    }

    fn ok(&self, action: &str, params: &[(&str, &str)]) -> String {
        self.ask(action, params)
            .unwrap_or_else(|error| panic!("{action}: {error:?}"))
    }

    /// The code with which the call is refused.
    fn code(&self, action: &str, params: &[(&str, &str)]) -> String {
        self.refusal(action, params).code.into_owned()
    }

    fn refusal(&self, action: &str, params: &[(&str, &str)]) -> ApiError {
        match self.ask(action, params) {
            Err(error) => error,
            Ok(answer) => panic!("{action} was not refused: {answer}"),
        }
    }

    fn net(&self) -> Net {
        let vpc = text(
            &self.ok("CreateVpc", &[("CidrBlock", "10.78.0.0/16")]),
            "vpcId",
        );
        let zone = format!("{}b", self.region);
        let ask = [
            ("VpcId", vpc.as_str()),
            ("CidrBlock", "10.78.0.0/18"),
            ("AvailabilityZone", &zone),
        ];
        let subnet = text(&self.ok("CreateSubnet", &ask), "subnetId");
        let ask = [
            ("VpcId", vpc.as_str()),
            ("GroupName", "open"),
            ("GroupDescription", "open"),
        ];
        let group = text(&self.ok("CreateSecurityGroup", &ask), "groupId");
        Net { vpc, subnet, group }
    }

    fn image(&self, architecture: &str) -> &'static str {
        let images = catalogue::images(self.region);
        let newest = images
            .iter()
            .filter(|it| it.architecture == architecture && it.name.contains("noble"));
        &newest.max_by_key(|it| &it.created).unwrap().id
    }

    /// A launch's parameters: the usual ones, replaced or extended by these; an empty value takes one away.
    fn launch_params<'a>(
        &self,
        subnet: &'a str,
        more: &[(&'a str, &'a str)],
    ) -> Vec<(&'a str, &'a str)> {
        let mut all = vec![
            ("ImageId", self.image("x86_64")),
            ("InstanceType", "t3.micro"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("SubnetId", subnet),
        ];
        for (key, value) in more {
            all.retain(|(known, _)| known != key);
            if !value.is_empty() {
                all.push((key, value));
            }
        }
        all
    }

    fn launch(&self, subnet: &str, more: &[(&str, &str)]) -> Vec<String> {
        texts(
            &self.ok("RunInstances", &self.launch_params(subnet, more)),
            "instanceId",
        )
    }

    fn launch_refusal(&self, subnet: &str, more: &[(&str, &str)]) -> ApiError {
        self.refusal("RunInstances", &self.launch_params(subnet, more))
    }

    fn states(&self) -> Vec<String> {
        self.sim
            .instances(default_account(), self.region)
            .into_iter()
            .map(|it| it.state)
            .collect()
    }
}

/// The texts of all elements of a name, in document order.
fn texts(document: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = document.split(open.as_str()).skip(1);
    parts
        .map(|rest| rest.split(close.as_str()).next().unwrap().to_owned())
        .collect()
}

fn text(document: &str, name: &str) -> String {
    texts(document, name)
        .into_iter()
        .next()
        .unwrap_or_else(|| panic!("no {name} in {document}"))
}
