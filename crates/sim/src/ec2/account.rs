//! Facts about the account.

use crate::call::Call;
use crate::protocol::{ApiError, Element, Outcome, el};

const NAMES: &[&str] = &[
    "supported-platforms",
    "default-vpc",
    "max-instances",
    "vpc-max-security-groups-per-interface",
    "vpc-max-elastic-ips",
    "max-elastic-ips",
];

pub(crate) fn describe_attributes(call: &mut Call<'_>) -> Outcome {
    let asked = call.params.values("AttributeName");
    if let Some(unknown) = asked.iter().find(|name| !NAMES.contains(name)) {
        return Err(ApiError::invalid("attributeName", unknown));
    }
    let quotas = call.quotas;
    let region = call.read()?.region;
    let value = |name: &str| match name {
        "supported-platforms" => "VPC".to_owned(),
        "default-vpc" => region
            .default_vpc()
            .map_or_else(|| "none".to_owned(), |vpc| vpc.id.clone()),
        "max-instances" => quotas.vcpus.unwrap_or(20).to_string(),
        "vpc-max-security-groups-per-interface" => quotas.groups_per_interface.to_string(),
        _ => quotas.elastic_ips.to_string(),
    };
    let shown = NAMES
        .iter()
        .filter(|name| asked.is_empty() || asked.contains(name));
    let items = shown.map(|name| {
        let values = [el("item").text("attributeValue", value(name))];
        el("item")
            .text("attributeName", name)
            .list("attributeValueSet", values)
    });
    Ok(Element::answer().list("accountAttributeSet", items))
}
