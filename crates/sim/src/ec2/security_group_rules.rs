//! The rules of security groups: what they let in.

use ipnet::Ipv6Net;

use super::cidr;
use super::security_groups::{arn, find};
use crate::call::Call;
use crate::protocol::{ApiError, Element, Outcome, Scope, el};
use crate::state::{Group, Kind, Region, Rule, Source};

/// Protocols by name and number; EC2 shows the name.
const PROTOCOLS: &[(&str, &str)] = &[("tcp", "6"), ("udp", "17"), ("icmp", "1"), ("icmpv6", "58")];

pub(crate) fn authorize_ingress(call: &mut Call<'_>) -> Outcome {
    let id = call.optional_id("GroupId", Kind::Group)?;
    let name = call.params.text("GroupName");
    let mut rules = read(&call.params)?;
    let most = call.quotas.rules_per_group;
    let region = call.look()?.region;
    let group = find(region, id, name)?;
    let id = group.id.clone();
    check_sources(region, group, &rules)?;
    for (at, rule) in rules.iter().enumerate() {
        if rules[..at].iter().any(|it| it.same(rule)) {
            let message = "The same permission must not appear multiple times";
            return Err(ApiError::value(message));
        }
        if group.ingress.iter().any(|it| it.same(rule)) {
            let message = format!("the specified rule \"{}\" already exists", spoken(rule));
            return Err(ApiError::bad("InvalidPermission.Duplicate", message));
        }
    }
    let full = group.ingress.len() + rules.len() > most;
    let region = call.change()?.region;
    if full {
        let message = "The maximum number of rules per security group has been reached.";
        return Err(ApiError::bad("RulesPerSecurityGroupLimitExceeded", message));
    }
    for rule in &mut rules {
        rule.id = region.ids.next("sgr");
    }
    let shown: Vec<Element> = rules.iter().map(|rule| shown(region, &id, rule)).collect();
    if let Some(group) = region.groups.get_mut(&id) {
        group.ingress.extend(rules);
    }
    Ok(Element::done().list("securityGroupRuleSet", shown))
}

pub(crate) fn revoke_ingress(call: &mut Call<'_>) -> Outcome {
    let id = call.optional_id("GroupId", Kind::Group)?;
    let name = call.params.text("GroupName");
    let rule_ids = call.params.values("SecurityGroupRuleId");
    let rules = if rule_ids.is_empty() {
        read(&call.params)?
    } else {
        Vec::new()
    };
    let region = call.look()?.region;
    let group = find(region, id, name)?;
    let id = group.id.clone();
    check_sources(region, group, &rules)?;
    if let Some(unknown) = rule_ids
        .iter()
        .find(|id| !group.ingress.iter().any(|it| it.id == **id))
    {
        let message = format!("The security group rule ID '{unknown}' does not exist");
        return Err(ApiError::bad(
            "InvalidSecurityGroupRuleId.NotFound",
            message,
        ));
    }
    if rules
        .iter()
        .any(|rule| !group.ingress.iter().any(|it| it.same(rule)))
    {
        let message = "The specified rule does not exist in this security group.";
        return Err(ApiError::bad("InvalidPermission.NotFound", message));
    }
    let region = call.change()?.region;
    let goes =
        |it: &Rule| rule_ids.contains(&it.id.as_str()) || rules.iter().any(|rule| rule.same(it));
    let revoked: Vec<Rule> = match region.groups.get_mut(&id) {
        Some(group) => group.ingress.extract_if(.., |it| goes(it)).collect(),
        None => Vec::new(),
    };
    let items = revoked.iter().map(|rule| {
        let mut item = el("item")
            .text("securityGroupRuleId", &rule.id)
            .text("groupId", &id)
            .text("isEgress", false);
        item = item
            .text("ipProtocol", &rule.protocol)
            .text("fromPort", rule.ports.map_or(-1, |(from, _)| from))
            .text("toPort", rule.ports.map_or(-1, |(_, to)| to));
        match &rule.source {
            Source::V4(net) => item.text("cidrIpv4", net),
            Source::V6(net) => item.text("cidrIpv6", net),
            Source::Group(group) => item.text("referencedGroupId", group),
        }
    });
    Ok(Element::done().list("revokedSecurityGroupRuleSet", items))
}

/// The rules that a request names, by `IpPermissions.N` or in the old way by one protocol, port range and block.
fn read(params: &Scope<'_>) -> Result<Vec<Rule>, ApiError> {
    let mut rules = Vec::new();
    for permission in params.items("IpPermissions") {
        let (protocol, ports) = protocol_and_ports(&permission)?;
        let mut push = |source, scope: &Scope<'_>| -> Result<(), ApiError> {
            rules.push(Rule {
                id: String::new(),
                protocol: protocol.clone(),
                ports,
                source,
                description: description(scope)?,
            });
            Ok(())
        };
        let before = permission.items("IpRanges").len()
            + permission.items("Ipv6Ranges").len()
            + permission.items("Groups").len();
        if before == 0 {
            return Err(ApiError::missing("cidrIp or groups"));
        }
        for range in permission.items("IpRanges") {
            push(v4(range.required("CidrIp")?)?, &range)?;
        }
        for range in permission.items("Ipv6Ranges") {
            push(v6(range.required("CidrIpv6")?)?, &range)?;
        }
        for pair in permission.items("Groups") {
            // The owner is only told apart for groups of other accounts, which cannot be reached without peering.
            pair.text("UserId");
            let id = pair.required("GroupId")?;
            Kind::Group.check(id)?;
            push(Source::Group(id.to_owned()), &pair)?;
        }
    }
    if let Some(block) = params.text("CidrIp") {
        let (protocol, ports) = protocol_and_ports(params)?;
        rules.push(Rule {
            id: String::new(),
            protocol,
            ports,
            source: v4(block)?,
            description: None,
        });
    }
    if rules.is_empty() {
        Err(ApiError::missing("ipPermissions"))
    } else {
        Ok(rules)
    }
}

fn protocol_and_ports(scope: &Scope<'_>) -> Result<(String, Option<(i64, i64)>), ApiError> {
    let given = scope.required("IpProtocol")?;
    let (from, to) = (scope.number("FromPort")?, scope.number("ToPort")?);
    let named = PROTOCOLS
        .iter()
        .find(|(name, number)| *number == given || name.eq_ignore_ascii_case(given));
    let protocol = match named {
        Some((name, _)) => *name,
        None if given == "-1" || given.parse::<u8>().is_ok() => given,
        None => {
            let message = format!("Invalid value '{given}' for IP protocol. Unknown protocol.");
            return Err(ApiError::value(message));
        }
    };
    // Ports mean something for these protocols only: "If you specify -1 or a protocol number other than tcp, udp, icmp or
    // icmpv6, traffic on all ports is allowed, regardless of any ports you specify".
    let ports = match (protocol, from, to) {
        ("tcp" | "udp", Some(from), Some(to)) => {
            let known = 0..=65535;
            if !known.contains(&from) || !known.contains(&to) || from > to {
                let message = format!("Invalid TCP/UDP port range ({from}:{to})");
                return Err(ApiError::bad("InvalidParameterValue", message));
            }
            Some((from, to))
        }
        ("tcp" | "udp", _, _) => {
            let message =
                "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.";
            return Err(ApiError::value(message));
        }
        ("icmp" | "icmpv6", from, to) => {
            let (from, to) = (from.unwrap_or(-1), to.unwrap_or(-1));
            if !(-1..=255).contains(&from) || !(-1..=255).contains(&to) {
                return Err(ApiError::value(format!(
                    "ICMP code ({to}) or type ({from}) out of range"
                )));
            }
            Some((from, to))
        }
        _ => None,
    };
    Ok((protocol.to_owned(), ports))
}

fn description(scope: &Scope<'_>) -> Result<Option<String>, ApiError> {
    let text = scope.text("Description").filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.len() > 255) {
        return Err(ApiError::value(
            "Invalid rule description. Rule descriptions must be less than 256 characters long.",
        ));
    }
    Ok(text.map(str::to_owned))
}

fn v4(text: &str) -> Result<Source, ApiError> {
    let net = cidr::parse(text)
        .ok_or_else(|| ApiError::value(format!("CIDR block {text} is malformed")))?;
    Ok(Source::V4(net))
}

fn v6(text: &str) -> Result<Source, ApiError> {
    let net: Ipv6Net = text
        .parse()
        .map_err(|_| ApiError::value(format!("CIDR block {text} is malformed")))?;
    Ok(Source::V6(net.trunc()))
}

/// A group can be named as a source from the same VPC only (peered VPCs are not simulated).
fn check_sources(region: &Region, group: &Group, rules: &[Rule]) -> Result<(), ApiError> {
    for rule in rules {
        if let Source::Group(id) = &rule.source {
            match region.groups.get(id) {
                Some(found) if found.vpc == group.vpc => {}
                Some(_) => {
                    let message =
                        "You have specified two resources that belong to different networks."
                            .to_owned();
                    return Err(ApiError::bad("InvalidGroup.NotFound", message));
                }
                None => {
                    let message = format!("The security group '{id}' does not exist");
                    return Err(ApiError::bad("InvalidGroup.NotFound", message));
                }
            }
        }
    }
    Ok(())
}

/// A rule in the words of EC2's refusal of a duplicate.
fn spoken(rule: &Rule) -> String {
    let protocol = if rule.protocol == "-1" {
        "ALL"
    } else {
        &rule.protocol
    };
    let ports = rule
        .ports
        .map(|(from, to)| format!(", from port: {from}, to port: {to}"))
        .unwrap_or_default();
    format!(
        "peer: {}, {}{ports}, ALLOW",
        rule.source,
        protocol.to_uppercase()
    )
}

fn shown(region: &Region, group: &str, rule: &Rule) -> Element {
    let item = el("item")
        .text("securityGroupRuleId", &rule.id)
        .text("groupId", group)
        .text("groupOwnerId", &region.account)
        .text("isEgress", false)
        .text("ipProtocol", &rule.protocol)
        .text("fromPort", rule.ports.map_or(-1, |(from, _)| from))
        .text("toPort", rule.ports.map_or(-1, |(_, to)| to));
    let item = match &rule.source {
        Source::V4(net) => item.text("cidrIpv4", net),
        Source::V6(net) => item.text("cidrIpv6", net),
        Source::Group(id) => item.child(
            el("referencedGroupInfo")
                .text("groupId", id)
                .text("userId", &region.account),
        ),
    };
    item.opt("description", rule.description.as_ref())
        .list("tagSet", [])
        .text(
            "securityGroupRuleArn",
            arn(region, "security-group-rule", &rule.id),
        )
}
