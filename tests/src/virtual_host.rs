//! Virtual hosts of the simulator, as their owner and the AWS console see them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{catalogue::Architecture, launch::LaunchRequest};
use serde_json::{Value, json};
use sim::HostView;

use crate::{ACCOUNT, World, fresh_token, theirs, wait_for};

/// Where Berth's agent has its configuration.
const CONFIGURATION: &str = "/etc/dockercloud/agent/dockercloud-agent.conf";

impl World {
    /// Launches an instance in the default VPC that brings itself as a node: its user data has a fresh token of the
    /// world's user. Answers with the instance's id.
    pub async fn launch_a_host(&self, region: &str) -> String {
        let token = fresh_token(self).await;
        let configuration = json!({"Host": self.client.base, "Token": token}).to_string();
        let user_data = json!({"write_files": [
            {"path": CONFIGURATION, "content": configuration, "permissions": "0600"},
        ]});
        self.launch_with(region, &format!("#cloud-config\n{user_data}\n"))
            .await
    }

    /// Launches an instance in the default VPC whose group opens the engine's port to everybody.
    pub async fn launch_with(&self, region: &str, user_data: &str) -> String {
        let cloud = self.cloud(region).await;
        let image = cloud.newest_image(Architecture::Amd64).await;
        let image = image.expect("images").expect("an image");
        let network = self.sim().network(ACCOUNT, region);
        let subnet = network.subnets.iter().find(|it| it.is_default);
        let subnet = subnet.expect("a default subnet");
        let group = self.open_group(region, &subnet.vpc_id).await;
        let request = LaunchRequest {
            image_id: image.id,
            root_device: image.root_device,
            instance_type: "t3.micro".into(),
            subnet_id: subnet.id.clone(),
            security_group_ids: vec![group],
            instance_profile: None,
            disk_gb: 30,
            user_data: user_data.to_owned(),
            tags: theirs(),
        };
        let token = uuid::Uuid::new_v4().to_string();
        self.launch(region, &request, &token).await
    }

    async fn open_group(&self, region: &str, vpc: &str) -> String {
        let name = "open to everybody";
        let known = self.sim().network(ACCOUNT, region).security_groups;
        if let Some(known) = known
            .into_iter()
            .find(|it| it.name == name && it.vpc_id == vpc)
        {
            return known.id;
        }
        let parameters = [
            ("GroupName", name),
            ("GroupDescription", name),
            ("VpcId", vpc),
        ];
        let made = self.aws_call("ec2", region, "CreateSecurityGroup", &parameters);
        let made = made.await;
        let id = made
            .split("<groupId>")
            .nth(1)
            .and_then(|it| it.split('<').next());
        let id = id.expect("a group's id").to_owned();
        let parameters = [
            ("GroupId", id.as_str()),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "2376"),
            ("IpPermissions.1.ToPort", "2376"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
        ];
        self.aws_call("ec2", region, "AuthorizeSecurityGroupIngress", &parameters)
            .await;
        id
    }

    /// The virtual host on an instance.
    pub fn host(&self, region: &str, instance: &str) -> Option<HostView> {
        let hosts = self.sim().hosts(ACCOUNT, region);
        hosts.into_iter().find(|host| host.instance_id == instance)
    }

    /// Waits until the agent on an instance has become a node, and its node is in this state.
    pub async fn host_becomes(&self, region: &str, instance: &str, state: &str) -> Value {
        wait_for(&format!("the node on {instance} to be {state}"), || async {
            let uri = format!("/api/infra/v1/node/{}/", self.host(region, instance)?.node?);
            let node = self.fetch(&uri).await;
            (node["state"] == state).then_some(node)
        })
        .await
    }

    /// Waits until a node is in this state.
    pub async fn node_becomes(&self, node: &Value, state: &str) -> Value {
        let uri = node["resource_uri"]
            .as_str()
            .expect("every object has a URI");
        wait_for(&format!("{uri} to be {state}"), || async {
            let node = self.fetch(uri).await;
            (node["state"] == state).then_some(node)
        })
        .await
    }

    /// What an instance has written to its console.
    pub async fn console_output(&self, region: &str, instance: &str) -> String {
        let parameters = [("InstanceId", instance)];
        let answer = self.aws_call("ec2", region, "GetConsoleOutput", &parameters);
        let answer = answer.await;
        let output = answer
            .split("<output>")
            .nth(1)
            .and_then(|it| it.split('<').next());
        let output = STANDARD.decode(output.unwrap_or_default()).expect("Base64");
        String::from_utf8(output).expect("a text")
    }

    /// One order of the simulator's control API.
    ///
    /// # Panics
    /// Where it is refused.
    pub fn order(&self, name: &str, body: Value) -> Option<Value> {
        self.sim()
            .order(name, body)
            .expect("an order that can be carried out")
    }
}
