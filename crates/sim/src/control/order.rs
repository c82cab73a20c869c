//! What can be ordered over the control API, by path and body.

use std::ops::Deref;

use serde::Deserialize;
use serde_json::{Value, json};

use super::usual_account;
use crate::catalogue;
use crate::config::Quotas;
use crate::faults::FaultRule;
use crate::hiding::HideRule;
use crate::limits::{self, Bucket, Buckets};
use crate::permissions::Policy;
use crate::protocol::filter::wildcard;
use crate::server;
use crate::simulator::Simulator;

/// An order; its name is the path below `/_sim/`.
#[derive(Debug, Deserialize)]
pub(crate) enum Order {
    #[serde(rename = "bucket")]
    Bucket(BucketOrder),
    #[serde(rename = "capacity")]
    Capacity(Capacity),
    #[serde(rename = "clock/advance")]
    Advance(Advance),
    #[serde(rename = "consistency")]
    Consistency(Consistency),
    #[serde(rename = "console/associate-address")]
    AssociateAddress(OfInstance),
    #[serde(rename = "console/attach-internet-gateway")]
    AttachInternetGateway(OfGateway),
    #[serde(rename = "console/create-internet-gateway")]
    CreateInternetGateway(NewGateway),
    #[serde(rename = "console/delete-security-group")]
    DeleteSecurityGroup(OfGroup),
    #[serde(rename = "console/delete-subnet")]
    DeleteSubnet(OfSubnet),
    #[serde(rename = "console/delete-tag")]
    DeleteTag(OfTag),
    #[serde(rename = "console/detach-internet-gateway")]
    DetachInternetGateway(OfGateway),
    #[serde(rename = "console/disassociate-address")]
    DisassociateAddress(OfInstance),
    #[serde(rename = "console/reboot")]
    Reboot(OfInstances),
    #[serde(rename = "console/start")]
    Start(OfInstances),
    #[serde(rename = "console/stop")]
    Stop(OfInstances),
    #[serde(rename = "console/terminate")]
    Terminate(OfInstances),
    #[serde(rename = "deny")]
    Deny(Denial),
    #[serde(rename = "faults")]
    Fault(FaultRule),
    #[serde(rename = "hide")]
    Hide(HideOrder),
    #[serde(rename = "host/dead-on-arrival")]
    DeadOnArrival(DeadOrder),
    #[serde(rename = "host/kill-agent")]
    KillAgent(OfInstances),
    #[serde(rename = "host/lose-network")]
    LoseNetwork(OfInstances),
    #[serde(rename = "host/restart-agent")]
    RestartAgent(OfInstances),
    #[serde(rename = "host/restore-network")]
    RestoreNetwork(OfInstances),
    #[serde(rename = "offering")]
    Offering(Offering),
    #[serde(rename = "opt-in")]
    OptIn(OptIn),
    #[serde(rename = "policy")]
    Policy(PolicyOrder),
    #[serde(rename = "quotas")]
    Quotas(Quotas),
    #[serde(rename = "revoke")]
    Revoke(AccessKey),
    #[serde(rename = "throttling")]
    Throttling(Switch),
    #[serde(rename = "unhide")]
    Unhide(Everything),
    #[serde(rename = "zone-state")]
    ZoneState(ZoneState),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BucketOrder {
    #[serde(default = "usual_account")]
    account: String,
    action: String,
    request: Option<Bucket>,
    resource: Option<Bucket>,
}

impl BucketOrder {
    fn buckets(&self) -> Buckets {
        Buckets {
            request: self.request,
            resource: self.resource,
        }
    }
}

/// A limit of null takes the limit away.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Capacity {
    #[serde(default = "usual_account")]
    account: String,
    region: RegionName,
    zone: String,
    instance_type: String,
    limit: Option<u32>,
}

impl Capacity {
    fn check(&self) -> Result<(), String> {
        known_zone(&self.region, &self.zone)?;
        known_type(&self.instance_type)
    }
}

/// Whether a zone offers a type to the account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offering {
    #[serde(default = "usual_account")]
    account: String,
    region: RegionName,
    zone: String,
    instance_type: String,
    on: bool,
}

impl Offering {
    fn check(&self) -> Result<(), String> {
        known_zone(&self.region, &self.zone)?;
        known_type(&self.instance_type)
    }
}

/// In which state the account sees a zone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ZoneState {
    #[serde(default = "usual_account")]
    account: String,
    region: RegionName,
    zone: String,
    state: String,
}

/// EC2 API reference, "AvailabilityZone", zoneState.
const ZONE_STATES: [&str; 5] = [
    "available",
    "information",
    "impaired",
    "unavailable",
    "constrained",
];

impl ZoneState {
    fn check(&self) -> Result<(), String> {
        let zones = catalogue::region(&self.region).map(|it| &it.zones);
        if !zones.is_some_and(|zones| zones.iter().any(|it| it.name == self.zone)) {
            let region = &*self.region;
            return Err(format!("zone: there is no '{}' in {region}", self.zone));
        }
        if !ZONE_STATES.contains(&self.state.as_str()) {
            let states = ZONE_STATES.join(", ");
            return Err(format!(
                "state: there is no '{}'; there are {states}",
                self.state
            ));
        }
        Ok(())
    }
}

/// Refuses what no zone of the region is called.
fn known_zone(region: &str, pattern: &str) -> Result<(), String> {
    let zones = catalogue::region(region).map(|it| &it.zones);
    if zones.is_some_and(|zones| zones.iter().any(|it| wildcard(pattern, &it.name))) {
        Ok(())
    } else {
        Err(format!("zone: there is no '{pattern}' in {region}"))
    }
}

/// Refuses what no instance type is called.
fn known_type(pattern: &str) -> Result<(), String> {
    let mut types = catalogue::instance_types().iter();
    if types.any(|it| wildcard(pattern, &it.name)) {
        Ok(())
    } else {
        Err(format!("instance_type: there is no '{pattern}'"))
    }
}

/// The least and the greatest time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consistency {
    min_ms: u64,
    max_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Advance {
    ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfInstances {
    #[serde(default = "usual_account")]
    account: String,
    region: RegionName,
    instance_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfInstance {
    #[serde(default = "usual_account")]
    account: String,
    region: RegionName,
    instance_id: String,
}

/// Whether agents of a type never start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadOrder {
    #[serde(default = "usual_account")]
    account: String,
    region: RegionName,
    instance_type: String,
    on: bool,
}

impl DeadOrder {
    fn check(&self) -> Result<(), String> {
        known_type(&self.instance_type)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfSubnet {
    #[serde(default = "usual_account")]
    account: String,
    region: RegionName,
    subnet_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfGateway {
    #[serde(default = "usual_account")]
    account: String,
    region: RegionName,
    internet_gateway_id: String,
    vpc_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGateway {
    #[serde(default = "usual_account")]
    account: String,
    region: RegionName,
    vpc_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfTag {
    #[serde(default = "usual_account")]
    account: String,
    region: RegionName,
    resource_id: String,
    key: String,
}

/// A [`HideRule`] in a region.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HideOrder {
    #[serde(default = "usual_account")]
    account: String,
    region: RegionName,
    #[serde(default)]
    ids: Vec<String>,
    kind: Option<String>,
    next: Option<u32>,
    for_ms: Option<u64>,
    #[serde(default)]
    by_id: bool,
}

impl HideOrder {
    fn rule(&self) -> HideRule {
        HideRule {
            ids: self.ids.clone(),
            kind: self.kind.clone(),
            next: self.next,
            for_ms: self.for_ms,
            by_id: self.by_id,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Everything {
    #[serde(default = "usual_account")]
    account: String,
    region: RegionName,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfGroup {
    #[serde(default = "usual_account")]
    account: String,
    region: RegionName,
    group_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Denial {
    access_key: String,
    action: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessKey {
    access_key: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OptIn {
    #[serde(default = "usual_account")]
    account: String,
    region: RegionName,
    on: bool,
}

/// A policy of null takes the key's policy away.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyOrder {
    access_key: String,
    policy: Value,
}

impl PolicyOrder {
    fn document(&self) -> Option<&Value> {
        Some(&self.policy).filter(|it| !it.is_null())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Switch {
    on: bool,
}

/// The name of a region that there is.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct RegionName(String);

impl TryFrom<String> for RegionName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match catalogue::region(&name) {
            Some(_) => Ok(Self(name)),
            None => Err(format!("region: there is no '{name}'")),
        }
    }
}

impl Deref for RegionName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Order {
    /// Reads an order by its name and body. The error says which part of the body is wrong.
    pub(crate) fn read(name: &str, body: Value) -> Result<Self, String> {
        let order = Value::Object([(name.to_owned(), body)].into_iter().collect());
        let order = serde_json::from_value(order).map_err(|error| error.to_string())?;
        match &order {
            Self::Bucket(it) => limits::check(&it.action, it.buckets())?,
            Self::Capacity(it) => it.check()?,
            Self::Offering(it) => it.check()?,
            Self::ZoneState(it) => it.check()?,
            Self::DeadOnArrival(it) => it.check()?,
            Self::Consistency(it) if it.min_ms > it.max_ms => {
                return Err(format!(
                    "min_ms: {} is greater than max_ms, {}",
                    it.min_ms, it.max_ms
                ));
            }
            Self::Policy(it) => {
                if let Some(document) = it.document() {
                    Policy::read(document).map_err(|wrong| format!("policy: {wrong}"))?;
                }
            }
            Self::Fault(rule) => rule.check(server::call_names())?,
            Self::Hide(it) => it.rule().scope().map(drop)?,
            _ => {}
        }
        Ok(order)
    }

    /// Carries the order out. Answers with what there is to know, or with AWS's or the simulator's refusal.
    pub(crate) fn carry_out(self, sim: &Simulator) -> Result<Option<Value>, String> {
        match self {
            Self::Bucket(it) => sim.set_bucket(&it.account, &it.action, it.buckets()),
            Self::Capacity(it) => {
                let key = (it.zone.as_str(), it.instance_type.as_str());
                sim.set_capacity(&it.account, &it.region, key.0, key.1, it.limit);
            }
            Self::Advance(it) => sim.advance(it.ms),
            Self::AssociateAddress(it) => {
                let ip = sim.console_associate_address(&it.account, &it.region, &it.instance_id)?;
                return Ok(Some(json!({"public_ip": ip})));
            }
            Self::AttachInternetGateway(it) => sim.console_attach_internet_gateway(
                &it.account,
                &it.region,
                &it.internet_gateway_id,
                &it.vpc_id,
            )?,
            Self::CreateInternetGateway(it) => {
                let vpc = it.vpc_id.as_deref();
                let id = sim.console_create_internet_gateway(&it.account, &it.region, vpc)?;
                return Ok(Some(json!({"internet_gateway_id": id})));
            }
            Self::Consistency(it) => {
                sim.set_consistency_ms(it.min_ms..it.max_ms.saturating_add(1));
            }
            Self::DeleteSecurityGroup(it) => {
                sim.console_delete_security_group(&it.account, &it.region, &it.group_id)?;
            }
            Self::DeleteSubnet(it) => {
                sim.console_delete_subnet(&it.account, &it.region, &it.subnet_id)?;
            }
            Self::DeleteTag(it) => {
                sim.console_delete_tag(&it.account, &it.region, &it.resource_id, &it.key)?;
            }
            Self::DetachInternetGateway(it) => sim.console_detach_internet_gateway(
                &it.account,
                &it.region,
                &it.internet_gateway_id,
                &it.vpc_id,
            )?,
            Self::DisassociateAddress(it) => {
                sim.console_disassociate_address(&it.account, &it.region, &it.instance_id)?;
            }
            Self::Reboot(it) => sim.console_reboot(&it.account, &it.region, &it.ids()),
            Self::Start(it) => sim.console_start(&it.account, &it.region, &it.ids()),
            Self::Stop(it) => sim.console_stop(&it.account, &it.region, &it.ids()),
            Self::Terminate(it) => sim.console_terminate(&it.account, &it.region, &it.ids()),
            Self::Deny(it) => sim.deny(&it.access_key, &it.action),
            Self::Fault(rule) => return Ok(Some(json!({"id": sim.add_fault(rule)}))),
            Self::Hide(it) => sim.hide(&it.account, &it.region, &it.rule())?,
            Self::DeadOnArrival(it) => {
                sim.set_dead_on_arrival(&it.account, &it.region, &it.instance_type, it.on)?;
            }
            Self::KillAgent(it) => sim.kill_agent(&it.account, &it.region, &it.ids())?,
            Self::LoseNetwork(it) => {
                sim.set_network(&it.account, &it.region, &it.ids(), false)?;
            }
            Self::RestartAgent(it) => sim.restart_agent(&it.account, &it.region, &it.ids())?,
            Self::RestoreNetwork(it) => {
                sim.set_network(&it.account, &it.region, &it.ids(), true)?;
            }
            Self::Offering(it) => {
                let key = (it.zone.as_str(), it.instance_type.as_str());
                sim.set_offering(&it.account, &it.region, key.0, key.1, it.on);
            }
            Self::OptIn(it) => sim.set_opted_in(&it.account, &it.region, it.on),
            Self::Revoke(it) => sim.revoke(&it.access_key),
            Self::Policy(it) => sim.set_policy(&it.access_key, it.document())?,
            Self::Quotas(quotas) => sim.set_quotas(quotas),
            Self::Throttling(it) => sim.set_throttling(it.on),
            Self::Unhide(it) => sim.unhide(&it.account, &it.region),
            Self::ZoneState(it) => {
                sim.set_zone_state(&it.account, &it.region, &it.zone, &it.state);
            }
        }
        Ok(None)
    }
}

impl OfInstances {
    fn ids(&self) -> Vec<&str> {
        self.instance_ids.iter().map(String::as_str).collect()
    }
}
