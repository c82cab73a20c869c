//! CIDR blocks as EC2 takes them.

use ipnet::Ipv4Net;

use crate::protocol::ApiError;

/// A block in EC2's form; None when it is malformed. A block with host bits set is truncated, as EC2 does
/// ("we modify the specified CIDR block to its canonical form").
pub(crate) fn parse(text: &str) -> Option<Ipv4Net> {
    text.parse::<Ipv4Net>().ok().map(|net| net.trunc())
}

/// A block for the parameter, which EC2 names in its sentence.
pub(crate) fn parameter(name: &str, text: &str) -> Result<Ipv4Net, ApiError> {
    parse(text).ok_or_else(|| {
        ApiError::value(format!(
            "Value ({text}) for parameter {name} is invalid. This is not a valid CIDR block."
        ))
    })
}

/// VPCs and subnets have between 16 and 65,536 addresses ("VPC sizing", "Subnet sizing").
pub(crate) fn size_is_allowed(net: Ipv4Net) -> bool {
    (16..=28).contains(&net.prefix_len())
}

pub(crate) fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}
