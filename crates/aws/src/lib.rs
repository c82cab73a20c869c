//! The only importer of AWS's SDK: EC2 and Route 53 as Berth needs them, in Berth's own types, with errors named by what to do.
//!
//! The cloud is passed in: a worker asks [`Clouds`] for the [`Cloud`] of a site and knows nothing of clients,
//! credentials or endpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    catalogue::{Architecture, Figures, ShownZone},
    ids::ClusterId,
    launch::LaunchRequest,
    network::Object,
    node::InstanceState,
    tags::Tag,
};
use tokio_util::sync::CancellationToken;

mod budget;
mod connect;
mod ec2;
mod error;
mod iam;
mod link;
mod read;
mod route53;
mod survey;
mod validate;

pub use budget::Turn;
pub use connect::{Connector, Endpoint};
pub use error::{Error, Said};
pub use link::{Credentials, Identity, Link, Secret};
pub use survey::survey;
pub use validate::{Denial, INVALID, Report, Verdict, validate};

/// The result of every call.
pub type Result<T> = std::result::Result<T, Error>;

/// Gives the cloud of a site.
#[async_trait]
pub trait Clouds: fmt::Debug + Send + Sync {
    /// EC2 in `region` of the link's account.
    async fn cloud(&self, link: &Link, region: &str) -> Arc<dyn Cloud>;
    /// The same in each of these regions.
    async fn clouds(&self, link: &Link, regions: &[String]) -> Vec<Arc<dyn Cloud>>;
    /// Whom the link's credentials are of.
    async fn identity(&self, link: &Link) -> Result<Identity>;
    /// The names of the account's instance profiles, sorted.
    async fn instance_profiles(&self, link: &Link) -> Result<Vec<String>>;
    /// Route 53, with the process's own credentials.
    async fn names(&self) -> Arc<dyn Names>;
}

/// A region, and whether the account can use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRegion {
    /// `eu-west-1`
    pub name: String,
    /// Whether it is on: some must be opted in to.
    pub is_on: bool,
}

/// What every object of an account has in common: who it belongs to, by its tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags(pub BTreeMap<String, String>);

impl Tags {
    /// The value of a tag.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The `Name`, as the console shows it.
    pub fn name(&self) -> Option<&str> {
        self.get(domain::tags::NAME)
    }

    /// The installation of Berth that made it.
    pub fn installation(&self) -> Option<&str> {
        self.get(domain::tags::INSTALLATION)
    }
}

/// A VPC.
#[derive(Debug, Clone)]
pub struct Vpc {
    /// `vpc-…`
    pub id: String,
    /// Its primary block.
    pub cidr: String,
    /// Its tags.
    pub tags: Tags,
}

/// A subnet.
#[derive(Debug, Clone)]
pub struct Subnet {
    /// `subnet-…`
    pub id: String,
    /// The VPC it is in.
    pub vpc_id: String,
    /// The zone it is in.
    pub zone: String,
    /// Its block.
    pub cidr: String,
    /// How many more addresses it has.
    pub free_addresses: u32,
    /// Its tags.
    pub tags: Tags,
}

/// An internet gateway.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// `igw-…`
    pub id: String,
    /// The VPC it is attached to.
    pub vpc_id: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

/// A route table.
#[derive(Debug, Clone)]
pub struct RouteTable {
    /// `rtb-…`
    pub id: String,
    /// The VPC it is in.
    pub vpc_id: String,
    /// Whether it has a route to 0.0.0.0/0 that leads somewhere.
    pub has_default_route: bool,
    /// The subnets that are associated with it.
    pub subnet_ids: Vec<String>,
    /// Its tags.
    pub tags: Tags,
}

/// A security group.
#[derive(Debug, Clone)]
pub struct SecurityGroup {
    /// `sg-…`
    pub id: String,
    /// The VPC it is in.
    pub vpc_id: String,
    /// Its name.
    pub name: String,
    /// Whether any traffic is let in.
    pub has_ingress: bool,
    /// The ranges of TCP ports that are open to some address outside of any group.
    pub open_tcp: Vec<(u16, u16)>,
    /// Its tags.
    pub tags: Tags,
}

/// What a security group lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ingress {
    /// TCP to this port, from everywhere.
    Tcp(u16),
    /// Everything, from the group itself.
    Itself,
}

/// A machine image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `ami-…`
    pub id: String,
    /// `ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260815`
    pub name: String,
    /// `/dev/sda1`
    pub root_device: String,
}

/// An instance.
#[derive(Debug, Clone)]
pub struct Instance {
    /// `i-…`
    pub id: String,
    /// Its state.
    pub state: InstanceState,
    /// Why it is in that state, in EC2's words, where EC2 says.
    pub state_reason: Option<String>,
    /// Its name on the internet.
    pub public_dns: Option<String>,
    /// Its address on the internet.
    pub public_ip: Option<IpAddr>,
    /// Its address in the VPC.
    pub private_ip: Option<IpAddr>,
    /// The subnet it is in.
    pub subnet_id: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

/// EC2 in one region of one account.
///
/// A call answers with what EC2 said and decides nothing. Lookups by id answer with what was found: an unknown id is
/// missing from the answer, not an error.
#[async_trait]
pub trait Cloud: Network + Instances + Leftovers + Account + Offers {
    /// The same, for the work on one cluster: calls that have to wait for EC2's limits are shared out fairly between
    /// clusters.
    fn on_behalf_of(&self, cluster: ClusterId) -> Arc<dyn Cloud>;
    /// The same, until `stop`: what has not been sent by then is not sent any more, and answers [`Error::Stopped`].
    fn until(&self, stop: CancellationToken) -> Arc<dyn Cloud>;
    /// Counts launches that another worker has sent, each so long ago and with so many instances, oldest first, against
    /// EC2's limits.
    fn launched_before(&self, launches: &[(Duration, u32)]);
    /// Waits until AWS has refused the credentials of a call ([`Error::is_about_credentials`]).
    async fn credentials_refused(&self);
}

/// The part of EC2 that networks are made of.
#[async_trait]
pub trait Network: Send + Sync {
    /// The VPCs with this `Name`.
    async fn vpcs_named(&self, name: &str) -> Result<Vec<Vpc>>;
    /// The VPC with this id.
    async fn vpc(&self, vpc_id: &str) -> Result<Option<Vpc>>;
    /// Makes a VPC.
    async fn create_vpc(&self, cidr: &str, tags: &[Tag]) -> Result<Vpc>;
    /// Lets the instances of the VPC have public names.
    async fn enable_dns_hostnames(&self, vpc_id: &str) -> Result<()>;

    /// The subnets of a VPC.
    async fn subnets(&self, vpc_id: &str) -> Result<Vec<Subnet>>;
    /// The subnets with these ids.
    async fn subnets_by_id(&self, subnet_ids: &[String]) -> Result<Vec<Subnet>>;
    /// Makes a subnet.
    async fn create_subnet(
        &self,
        vpc_id: &str,
        zone: &str,
        cidr: &str,
        tags: &[Tag],
    ) -> Result<Subnet>;
    /// Gives instances in the subnet public addresses.
    async fn map_public_ips(&self, subnet_id: &str) -> Result<()>;
    /// Deletes a subnet.
    async fn delete_subnet(&self, subnet_id: &str) -> Result<()>;

    /// The internet gateway that is attached to the VPC.
    async fn gateway_of(&self, vpc_id: &str) -> Result<Option<Gateway>>;
    /// The internet gateways with this `Name`.
    async fn gateways_named(&self, name: &str) -> Result<Vec<Gateway>>;
    /// Makes an internet gateway.
    async fn create_gateway(&self, tags: &[Tag]) -> Result<Gateway>;
    /// Attaches a gateway to a VPC. One that is attached already is [`Error::AlreadyThere`], wherever it is attached.
    async fn attach_gateway(&self, gateway_id: &str, vpc_id: &str) -> Result<()>;

    /// The route tables of a VPC.
    async fn route_tables(&self, vpc_id: &str) -> Result<Vec<RouteTable>>;
    /// Makes a route table; the same token makes one only.
    async fn create_route_table(
        &self,
        vpc_id: &str,
        client_token: &str,
        tags: &[Tag],
    ) -> Result<RouteTable>;
    /// Routes 0.0.0.0/0 to the gateway.
    async fn create_default_route(&self, route_table_id: &str, gateway_id: &str) -> Result<()>;
    /// Lets the subnet use the route table.
    async fn associate_route_table(&self, route_table_id: &str, subnet_id: &str) -> Result<()>;

    /// The security groups of a VPC with this name.
    async fn security_groups_named(&self, vpc_id: &str, name: &str) -> Result<Vec<SecurityGroup>>;
    /// The security groups with these ids.
    async fn security_groups_by_id(&self, group_ids: &[String]) -> Result<Vec<SecurityGroup>>;
    /// Makes a security group that lets nothing in.
    async fn create_security_group(
        &self,
        vpc_id: &str,
        name: &str,
        tags: &[Tag],
    ) -> Result<SecurityGroup>;
    /// Lets traffic into a security group.
    async fn authorize_ingress(&self, group_id: &str, ingress: &[Ingress]) -> Result<()>;
}

/// The part of EC2 that tells what an account has, and what its credentials may do.
#[async_trait]
pub trait Account: Send + Sync {
    /// Whether the credentials may launch an instance here, by a dry run.
    async fn may_launch(&self) -> std::result::Result<(), Denial>;
    /// Every region of AWS's.
    async fn regions(&self) -> Result<Vec<AccountRegion>>;
    /// Every VPC of the region.
    async fn all_vpcs(&self) -> Result<Vec<Vpc>>;
    /// Every subnet of the region.
    async fn all_subnets(&self) -> Result<Vec<Subnet>>;
    /// Every security group of the region.
    async fn all_security_groups(&self) -> Result<Vec<SecurityGroup>>;
}

/// The part of EC2 that tells what can be had in a region.
#[async_trait]
pub trait Offers: Send + Sync {
    /// The availability zones, whatever their state, and the instance types that each offers, both sorted by name.
    async fn offers(&self) -> Result<Vec<ShownZone>>;
    /// What these instance types are, as far as they can be nodes.
    async fn node_types(&self, names: &[String]) -> Result<Vec<Figures>>;
}

/// The part of EC2 that clears a network up.
#[async_trait]
pub trait Leftovers: Send + Sync {
    /// Every network object that bears this installation's tag.
    async fn network_objects(&self, installation: &str) -> Result<Vec<Object>>;
    /// Deletes a network object; a gateway is detached first. EC2 refuses while something is in it.
    async fn delete_network_object(&self, object: &Object) -> Result<()>;
}

/// The part of EC2 that instances come from.
#[async_trait]
pub trait Instances: Send + Sync {
    /// The availability zones that can be used, sorted by name.
    async fn zones(&self) -> Result<Vec<String>>;
    /// The zones that offer the instance type.
    async fn zones_offering(&self, instance_type: &str) -> Result<BTreeSet<String>>;
    /// Canonical's newest image of Ubuntu's newest LTS.
    async fn newest_image(&self, architecture: Architecture) -> Result<Option<Image>>;
    /// An image by its id.
    async fn image(&self, image_id: &str) -> Result<Option<Image>>;
    /// Whether the launch would be permitted; it promises no capacity.
    async fn dry_run(&self, request: &LaunchRequest) -> Result<()>;
    /// Waits until a launch of so many instances may be sent.
    async fn turn_to_launch(&self, count: u32) -> Result<Turn>;
    /// Launches up to `count` instances, at least one. The same token and request launch only once.
    async fn run_instances(
        &self,
        turn: Turn,
        request: &LaunchRequest,
        client_token: &str,
        count: u32,
    ) -> Result<Vec<Instance>>;
    /// Every instance that bears this tag.
    async fn instances_tagged(&self, key: &str, value: &str) -> Result<Vec<Instance>>;
    /// The instances with these ids.
    async fn instances_by_id(&self, instance_ids: &[String]) -> Result<Vec<Instance>>;
    /// What an instance has printed since its last start, as far as EC2 has it; none where it has nothing.
    async fn console_output(&self, instance_id: &str) -> Result<Option<String>>;
    /// Terminates instances. One id that EC2 does not know refuses the whole call.
    async fn terminate_instances(&self, instance_ids: &[String]) -> Result<()>;
    /// Writes tags.
    async fn create_tags(&self, resource_id: &str, tags: &[Tag]) -> Result<()>;
}

/// The address records of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Without a dot at its end.
    pub name: String,
    /// How long resolvers may keep it.
    pub ttl_s: u32,
    /// Of one version of IP; none where the records are of another type.
    pub addresses: Vec<IpAddr>,
}

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordChange {
    /// It is made, or replaces the one of the same name and version of IP.
    Upsert(Record),
    /// It is removed; refused where it is not there, or another one.
    Delete(Record),
}

/// The part of Route 53 that keeps names.
#[async_trait]
pub trait Names: Send + Sync {
    /// The domain of a hosted zone, without a dot at its end.
    async fn zone_name(&self, zone_id: &str) -> Result<String>;
    /// Changes records: all of them, or none. [`Error::BadBatch`] is about single ones.
    async fn change_records(&self, zone_id: &str, changes: &[RecordChange]) -> Result<()>;
    /// The records of the domain and of all names below it.
    async fn records(&self, zone_id: &str, domain: &str) -> Result<Vec<Record>>;
}
