//! Security groups. Their rules are in `security_group_rules`.

use super::tags;
use crate::call::Call;
use crate::protocol::filter::{Fields, Filters};
use crate::protocol::page::Page;
use crate::protocol::{ApiError, Element, Outcome, el};
use crate::state::{Group, Kind, Region, Rule, Source};

const FILTERS: Fields<Group> = &[
    ("description", |it| vec![it.description.clone()]),
    ("group-id", |it| vec![it.id.clone()]),
    ("group-name", |it| vec![it.name.clone()]),
    ("ip-permission.cidr", |it| {
        sources(it, |s| matches!(s, Source::V4(_)))
    }),
    ("ip-permission.from-port", |it| ports(it, |(from, _)| from)),
    ("ip-permission.group-id", |it| {
        sources(it, |s| matches!(s, Source::Group(_)))
    }),
    ("ip-permission.protocol", |it| {
        it.ingress
            .iter()
            .map(|rule| rule.protocol.clone())
            .collect()
    }),
    ("ip-permission.to-port", |it| ports(it, |(_, to)| to)),
    ("vpc-id", |it| vec![it.vpc.clone()]),
];

fn sources(group: &Group, kind: fn(&Source) -> bool) -> Vec<String> {
    group
        .ingress
        .iter()
        .filter(|rule| kind(&rule.source))
        .map(|rule| rule.source.to_string())
        .collect()
}

fn ports(group: &Group, which: fn((i64, i64)) -> i64) -> Vec<String> {
    group
        .ingress
        .iter()
        .filter_map(|rule| rule.ports)
        .map(|ports| which(ports).to_string())
        .collect()
}

pub(crate) fn describe(call: &mut Call<'_>) -> Outcome {
    let ids = call.ids("GroupId", Kind::Group)?;
    let names = call.params.values("GroupName");
    let filters = Filters::read(&call.params, FILTERS)?;
    let page = Page::read(&call.params, 5, 1000)?;
    let region = call.read()?.region;
    let mut groups = region.described(Kind::Group, &region.groups, &ids)?;
    // Names are understood in the default VPC only.
    let default_vpc = region
        .default_vpc()
        .map(|vpc| vpc.id.clone())
        .unwrap_or_default();
    let by_name = |name: &str, it: &Group| it.vpc == default_vpc && it.name == name;
    if let Some(unknown) = names
        .iter()
        .find(|name| !region.groups.values().any(|it| by_name(name, it)))
    {
        let message =
            format!("The security group '{unknown}' does not exist in default VPC '{default_vpc}'");
        return Err(ApiError::bad("InvalidGroup.NotFound", message));
    }
    groups.retain(|it| {
        (names.is_empty() || names.iter().any(|name| by_name(name, it)))
            && filters.matches(it, region.tags(&it.id))
    });
    let cut = page.cut(groups, |it| it.id.clone());
    let items = cut.items.into_iter().map(|it| shown(region, it));
    Ok(Element::answer()
        .list("securityGroupInfo", items)
        .next_token(cut.next))
}

fn shown(region: &Region, group: &Group) -> Element {
    el("item")
        .text("ownerId", &region.account)
        .text("groupId", &group.id)
        .text("groupName", &group.name)
        .text("groupDescription", &group.description)
        .text("vpcId", &group.vpc)
        .text("securityGroupArn", arn(region, "security-group", &group.id))
        .list("ipPermissions", permissions(region, &group.ingress))
        .list("ipPermissionsEgress", permissions(region, &group.egress))
        .list("tagSet", tags::set(region.tags(&group.id)))
}

pub(crate) fn arn(region: &Region, kind: &str, id: &str) -> String {
    format!("arn:aws:ec2:{}:{}:{kind}/{id}", region.name, region.account)
}

/// EC2 shows the rules with the same protocol and ports as one permission with several sources.
fn permissions(region: &Region, rules: &[Rule]) -> Vec<Element> {
    let mut keys: Vec<(&str, Option<(i64, i64)>)> = Vec::new();
    for rule in rules {
        let key = (rule.protocol.as_str(), rule.ports);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let permission = |(protocol, ports): (&str, Option<(i64, i64)>)| {
        let these: Vec<&Rule> = rules
            .iter()
            .filter(|it| it.protocol == protocol && it.ports == ports)
            .collect();
        let items = |show: fn(&Region, &Source) -> Option<Element>| -> Vec<Element> {
            let item = |rule: &&Rule| {
                Some(show(region, &rule.source)?.opt("description", rule.description.as_ref()))
            };
            these.iter().filter_map(item).collect()
        };
        el("item")
            .text("ipProtocol", protocol)
            .opt("fromPort", ports.map(|(from, _)| from))
            .opt("toPort", ports.map(|(_, to)| to))
            .list("groups", items(group_source))
            .list("ipRanges", items(v4_source))
            .list("ipv6Ranges", items(v6_source))
            .list("prefixListIds", [])
    };
    keys.into_iter().map(permission).collect()
}

fn group_source(region: &Region, source: &Source) -> Option<Element> {
    match source {
        Source::Group(id) => Some(
            el("item")
                .text("userId", &region.account)
                .text("groupId", id),
        ),
        Source::V4(_) | Source::V6(_) => None,
    }
}

fn v4_source(_: &Region, source: &Source) -> Option<Element> {
    match source {
        Source::V4(net) => Some(el("item").text("cidrIp", net)),
        Source::V6(_) | Source::Group(_) => None,
    }
}

fn v6_source(_: &Region, source: &Source) -> Option<Element> {
    match source {
        Source::V6(net) => Some(el("item").text("cidrIpv6", net)),
        Source::V4(_) | Source::Group(_) => None,
    }
}

/// "Up to 255 characters in length. Constraints: a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*".
fn check_text(parameter: &str, text: &str) -> Result<(), ApiError> {
    let sound = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    if text.chars().count() > 255 || !text.chars().all(sound) {
        let message = format!(
            "Value ({text}) for parameter {parameter} is invalid. Character sets beyond ASCII are not supported."
        );
        return Err(ApiError::value(message));
    }
    Ok(())
}

pub(crate) fn create(call: &mut Call<'_>) -> Outcome {
    let name = call.params.required("GroupName")?;
    let description = call.params.required("GroupDescription")?;
    let vpc = call.optional_id("VpcId", Kind::Vpc)?;
    let [tags] = tags::specifications(&call.params, [Kind::Group])?;
    check_text("groupName", name)?;
    check_text("groupDescription", description)?;
    if name.starts_with("sg-") {
        let message =
            format!("Invalid value '{name}' for groupName. The name may not begin with 'sg-'.");
        return Err(ApiError::value(message));
    }
    let most = call.quotas.groups;
    let region = call.look()?.region;
    let vpc = match (vpc, region.default_vpc()) {
        (Some(id), _) => region
            .vpcs
            .get(id)
            .ok_or_else(|| Kind::Vpc.not_found(id))?
            .id
            .clone(),
        (None, Some(default)) => default.id.clone(),
        (None, None) => {
            return Err(ApiError::bad(
                "VPCIdNotSpecified",
                "No default VPC for this user",
            ));
        }
    };
    if name == "default" {
        return Err(ApiError::bad(
            "InvalidGroup.Reserved",
            "The security group 'default' is reserved",
        ));
    }
    if region
        .groups
        .all()
        .any(|it| it.vpc == vpc && it.name == name)
    {
        let message = format!("The security group '{name}' already exists for VPC '{vpc}'");
        return Err(ApiError::bad("InvalidGroup.Duplicate", message));
    }
    let full = region.groups.count() >= most;
    let region = call.change()?.region;
    if full {
        let message = "The maximum number of security groups has been reached.";
        return Err(ApiError::bad("SecurityGroupLimitExceeded", message));
    }
    let id = region.add_group(name, description, &vpc);
    region.add_tags(&id, &tags);
    Ok(Element::answer()
        .text("return", true)
        .text("groupId", &id)
        .list("tagSet", tags::set(&tags))
        .text("securityGroupArn", arn(region, "security-group", &id)))
}

pub(crate) fn delete(call: &mut Call<'_>) -> Outcome {
    let id = call.optional_id("GroupId", Kind::Group)?;
    let name = call.params.text("GroupName");
    let region = call.look()?.region;
    let group = find(region, id, name)?;
    let id = group.id.clone();
    if group.name == "default" {
        let message = "the specified group: \"".to_owned()
            + &id
            + "\" name: \"default\" cannot be deleted by a user";
        return Err(ApiError::bad("CannotDelete", message));
    }
    let named_by = |other: &Group| {
        let mut rules = other.ingress.iter().chain(&other.egress);
        other.id != id && rules.any(|rule| rule.source == Source::Group(id.clone()))
    };
    let in_use = region.is_in_use(|instance| instance.groups.iter().any(|(group, _)| *group == id));
    if in_use || region.groups.all().any(named_by) {
        return Err(ApiError::dependency(format!(
            "resource {id} has a dependent object"
        )));
    }
    let region = call.change()?.region;
    region.groups.remove(&id);
    region.forget_tags(&id);
    Ok(Element::done().text("groupId", id))
}

/// The group that `GroupId` or, in the default VPC, `GroupName` names.
pub(crate) fn find<'r>(
    region: &'r Region,
    id: Option<&str>,
    name: Option<&str>,
) -> Result<&'r Group, ApiError> {
    match (id, name) {
        (Some(_), Some(_)) => Err(ApiError::combination(
            "The parameters GroupId and GroupName cannot be used together",
        )),
        (Some(id), None) => region.groups.get(id).ok_or_else(|| {
            ApiError::bad(
                "InvalidGroup.NotFound",
                format!("The security group '{id}' does not exist"),
            )
        }),
        (None, Some(name)) => {
            let vpc = region
                .default_vpc()
                .map(|vpc| vpc.id.clone())
                .unwrap_or_default();
            let found = region
                .groups
                .values()
                .find(|it| it.vpc == vpc && it.name == name);
            found.ok_or_else(|| {
                let message =
                    format!("The security group '{name}' does not exist in default VPC '{vpc}'");
                ApiError::bad("InvalidGroup.NotFound", message)
            })
        }
        (None, None) => Err(ApiError::missing("GroupName or GroupId")),
    }
}
