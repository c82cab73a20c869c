//! What a call is about: the resources, one of which after another the caller must be allowed to use it on ("Actions,
//! resources, and condition keys for Amazon EC2" and "… for AWS Identity and Access Management (IAM)").

use crate::protocol::auth::{Caller, Service};
use crate::protocol::filter::Tags;
use crate::protocol::{Params, Scope};
use crate::state::{Kind, Region};

/// A resource that a call is about.
#[derive(Debug)]
pub(super) struct Subject {
    /// An ARN; `*` for calls that are about no resource, as most that describe.
    pub arn: String,
    /// None when there is no such resource.
    pub tags: Option<Tags>,
}

/// The parameters that name resources, alone or numbered.
const NAMING: &[(&str, Kind)] = &[
    ("AllocationId", Kind::Address),
    ("GroupId", Kind::Group),
    ("ImageId", Kind::Image),
    ("InstanceId", Kind::Instance),
    ("InternetGatewayId", Kind::Gateway),
    ("RouteTableId", Kind::RouteTable),
    ("SecurityGroupId", Kind::Group),
    ("SubnetId", Kind::Subnet),
    ("VpcId", Kind::Vpc),
];

/// What the actions that create make. It has no id yet, so its ARN ends in `*`.
const MAKING: &[(&str, &[Kind])] = &[
    ("AllocateAddress", &[Kind::Address]),
    ("CreateInternetGateway", &[Kind::Gateway]),
    ("CreateRouteTable", &[Kind::RouteTable]),
    ("CreateSecurityGroup", &[Kind::Group]),
    ("CreateSubnet", &[Kind::Subnet]),
    ("CreateVpc", &[Kind::Vpc]),
    (
        "RunInstances",
        &[Kind::Instance, Kind::Interface, Kind::Volume],
    ),
];

/// The resources that a call is about; never none.
pub(super) fn subjects(
    caller: &Caller,
    action: &str,
    params: &Params,
    region: &Region,
) -> Vec<Subject> {
    let subjects = match caller.service {
        Service::Ec2 if action.starts_with("Describe") && action != "DescribeVpcAttribute" => {
            Vec::new()
        }
        Service::Ec2 => of_ec2(caller, action, &params.root(), region),
        Service::Iam => of_iam(caller, &params.root()),
        Service::Route53 => of_route53(action, &params.root()),
        Service::Sts => of_sts(&params.root()),
    };
    if subjects.is_empty() {
        vec![untagged("*".to_owned())]
    } else {
        subjects
    }
}

fn of_ec2(caller: &Caller, action: &str, params: &Scope<'_>, region: &Region) -> Vec<Subject> {
    let existing = |kind: Kind, id: &str| Subject {
        arn: arn(caller, kind, id),
        tags: region.exists(kind, id).then(|| region.tags(id).clone()),
    };
    let mut subjects: Vec<Subject> = made(caller, action);
    let mut name = |scope: &Scope<'_>| {
        for (parameter, kind) in NAMING {
            let all = scope.values(parameter);
            let ids = scope.text(parameter).into_iter().chain(all);
            subjects.extend(ids.map(|id| existing(*kind, id)));
        }
    };
    name(params);
    params.items("NetworkInterface").iter().for_each(name);
    for id in params.values("ResourceId") {
        let kind = Kind::of_id(id);
        subjects.extend(kind.map(|kind| existing(kind, id)));
    }
    if let Some(association) = params.text("AssociationId") {
        let addresses = region.addresses.values();
        let addresses = addresses.filter(|it| {
            it.used
                .as_ref()
                .is_some_and(|it| it.association == association)
        });
        subjects.extend(addresses.map(|it| existing(Kind::Address, &it.id)));
        let tables = region.route_tables.values();
        let tables = tables.filter(|it| it.associations.iter().any(|it| it.id == association));
        subjects.extend(tables.map(|it| existing(Kind::RouteTable, &it.id)));
    }
    subjects
}

/// What the action will make.
fn made(caller: &Caller, action: &str) -> Vec<Subject> {
    let made = MAKING.iter().find(|(name, _)| *name == action);
    let kinds = made.map(|(_, kinds)| *kinds).unwrap_or_default();
    let new = |kind: &Kind| untagged(arn(caller, *kind, "*"));
    kinds.iter().map(new).collect()
}

fn of_iam(caller: &Caller, params: &Scope<'_>) -> Vec<Subject> {
    let path = params.text("Path").unwrap_or("/");
    let named = |kind: &str, name: &str| {
        untagged(format!(
            "arn:aws:iam::{}:{kind}{path}{name}",
            caller.account
        ))
    };
    // A role that is put into a profile is passed, which is an action of its own.
    let profile = params.text("InstanceProfileName");
    let profile = profile.map(|name| named("instance-profile", name));
    let role = || params.text("RoleName").map(|name| named("role", name));
    profile.or_else(role).into_iter().collect()
}

/// "Actions, resources, and condition keys for AWS Security Token Service".
fn of_sts(params: &Scope<'_>) -> Vec<Subject> {
    let role = params.text("RoleArn");
    role.map(|arn| untagged(arn.to_owned()))
        .into_iter()
        .collect()
}

/// "Actions, resources, and condition keys for Amazon Route 53".
fn of_route53(action: &str, params: &Scope<'_>) -> Vec<Subject> {
    let kind = if action == "GetChange" {
        "change"
    } else {
        "hostedzone"
    };
    let named = |id| untagged(format!("arn:aws:route53:::{kind}/{id}"));
    params.text("Id").map(named).into_iter().collect()
}

/// The tags that a creating call asks for, with the ARN of what is to bear them.
pub(super) fn tagged(caller: &Caller, params: &Params) -> Vec<(String, Tags)> {
    let specifications = params.root().items("TagSpecification").into_iter();
    let read = |it: Scope<'_>| {
        let kind = it.text("ResourceType").unwrap_or_default();
        let (region, account) = (&caller.region, &caller.account);
        (
            format!("arn:aws:ec2:{region}:{account}:{kind}/*"),
            tags(&it),
        )
    };
    specifications.map(read).collect()
}

/// `Tag.N.Key` and `Tag.N.Value`.
pub(super) fn tags(scope: &Scope<'_>) -> Tags {
    let tags = scope.items("Tag").into_iter();
    let pair = |it: Scope<'_>| {
        let value = it.text("Value").unwrap_or_default();
        it.text("Key").map(|key| (key.to_owned(), value.to_owned()))
    };
    tags.filter_map(pair).collect()
}

fn arn(caller: &Caller, kind: Kind, id: &str) -> String {
    // Images belong to whoever publishes them, and their ARNs name no account.
    let account = match kind {
        Kind::Image => "",
        _ => &caller.account,
    };
    format!(
        "arn:aws:ec2:{}:{account}:{}/{id}",
        caller.region,
        kind.tag_type()
    )
}

fn untagged(arn: String) -> Subject {
    Subject {
        arn,
        tags: Some(Tags::new()),
    }
}
