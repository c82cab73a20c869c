//! The tables themselves, row by row as the reference has them.

use Form::*;

/// What the value of a field looks like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Text,
    Bool,
    Int,
    Uuid,
    /// Of one of the resources.
    Uri(&'static str),
    Uris(&'static str),
    /// `Tue, 16 Sep 2014 17:01:15 +0000`
    Time,
    /// `2016-02-01T16:47:28Z`
    IsoTime,
    /// 32 hexadecimal digits.
    Token,
    OneOf(&'static [&'static str]),
    /// An object with these fields.
    Object(Table),
    /// An object with some of these fields.
    Options(Table),
    Objects(Table),
    Texts,
}

/// A row: the field, its form, and whether it may be null.
pub(super) type Row = (&'static str, Form, bool);
pub(super) type Table = &'static [Row];

const fn never(name: &'static str, form: Form) -> Row {
    (name, form, false)
}

const fn nullable(name: &'static str, form: Form) -> Row {
    (name, form, true)
}

pub(super) const PROVIDER: Table = &[
    never("available", Bool),
    never("label", Text),
    never("name", Text),
    never("regions", Uris("region")),
    never("resource_uri", Uri("provider")),
];
pub(super) const REGION: Table = &[
    never("availability_zones", Uris("az")),
    never("available", Bool),
    never("label", Text),
    never("name", Text),
    never("node_types", Uris("nodetype")),
    never("provider", Uri("provider")),
    never("resource_uri", Uri("region")),
];
pub(super) const ZONE: Table = &[
    never("available", Bool),
    never("name", Text),
    never("region", Uri("region")),
    never("resource_uri", Uri("az")),
];
pub(super) const NODE_TYPE: Table = &[
    never("availability_zones", Uris("az")),
    never("available", Bool),
    never("label", Text),
    never("name", Text),
    never("provider", Uri("provider")),
    never("regions", Uris("region")),
    never("resource_uri", Uri("nodetype")),
];
pub(super) const CLUSTER: Table = &[
    never("uuid", Uuid),
    never("resource_uri", Uri("nodecluster")),
    never("name", Text),
    never("nickname", Text),
    never("state", OneOf(CLUSTER_STATES)),
    never("node_type", Uri("nodetype")),
    never("region", Uri("region")),
    never("disk", Int),
    never("nodes", Uris("node")),
    never("target_num_nodes", Int),
    never("current_num_nodes", Int),
    nullable("deployed_datetime", Time),
    nullable("destroyed_datetime", Time),
    never("tags", Objects(TAG)),
    never("provider_options", Options(PROVIDER_OPTIONS)),
];
const CLUSTER_STATES: &[&str] = &[
    "Init",
    "Deploying",
    "Deployed",
    "Partly deployed",
    "Scaling",
    "Terminating",
    "Terminated",
    "Empty cluster",
];
pub(super) const PROVIDER_OPTIONS: Table = &[
    never("vpc", Options(VPC)),
    never("iam", Object(&[never("instance_profile_name", Text)])),
];
pub(super) const VPC: Table = &[
    never("id", Text),
    never("subnets", Texts),
    never("security_groups", Texts),
];
pub(super) const NODE: Table = &[
    never("uuid", Uuid),
    never("resource_uri", Uri("node")),
    nullable("availability_zone", Uri("az")),
    never("cpu", Int),
    never("memory", Int),
    never("disk", Int),
    never("current_num_containers", Int),
    nullable("deployed_datetime", Time),
    nullable("destroyed_datetime", Time),
    nullable("docker_version", Text),
    nullable("docker_execdriver", Text),
    nullable("docker_graphdriver", Text),
    never("external_fqdn", Text),
    never("nickname", Text),
    nullable("last_seen", Time),
    nullable("node_cluster", Uri("nodecluster")),
    nullable("node_type", Uri("nodetype")),
    nullable("region", Uri("region")),
    nullable("public_ip", Text),
    never(
        "private_ips",
        Objects(&[never("name", Text), never("cidr", Text)]),
    ),
    nullable("tunnel", Text),
    never("state", OneOf(NODE_STATES)),
    never("tags", Objects(TAG)),
];
const NODE_STATES: &[&str] = &[
    "Deploying",
    "Deployed",
    "Unreachable",
    "Upgrading",
    "Terminating",
    "Terminated",
];
pub(super) const TAG: Table = &[never("name", Text)];
pub(super) const USED_TAG: Table = &[
    never("name", Text),
    never("origin", OneOf(&["user", "tutum"])),
];
pub(super) const EVENT: Table = &[
    never("type", OneOf(&["nodecluster", "node", "action"])),
    never("action", OneOf(&["create", "update", "delete"])),
    never("parents", Uris("")),
    never("resource_uri", Uri("")),
    never("state", Text),
    never("uuid", Uuid),
    never("datetime", IsoTime),
];
pub(super) const LOG: Table = &[
    never("type", OneOf(&["log"])),
    never("log", Text),
    never("timestamp", Int),
    never("streamType", OneOf(&["stdout"])),
];
pub(super) const ACTION: Table = &[
    never("uuid", Uuid),
    never("resource_uri", Uri("action")),
    never("action", Text),
    never("object", Uri("")),
    never("method", Text),
    never("path", Text),
    never("user", Text),
    never("user_agent", Text),
    never("ip", Text),
    never("location", Text),
    never("start_date", Time),
    nullable("end_date", Time),
    never("state", OneOf(ACTION_STATES)),
    never("is_user_action", Bool),
    never("can_be_canceled", Bool),
    never("can_be_retried", Bool),
    never("body", Text),
    // Berth's own, in place of Tutum's `logs`, under whose name the Python library has a method.
    never("log", Text),
];
const ACTION_STATES: &[&str] = &[
    "Pending",
    "In progress",
    "Canceling",
    "Canceled",
    "Success",
    "Failed",
];
pub(super) const TOKEN: Table = &[never("token", Token)];
