//! What a user may fix about the AWS side of a cluster: the seed's `provider_options`.

use serde::{Deserialize, Serialize};

use crate::cluster::Invalid;

/// EC2 attaches at most five security groups to a network interface (Amazon VPC quotas).
pub const MAX_SECURITY_GROUPS: usize = 5;

/// The validated `provider_options`; both groups are optional, and it serializes exactly as the seed shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderOptions {
    /// The user's own VPC; absent means that Berth manages `dc-vpc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc: Option<Vpc>,
    /// The instance profile of every node; absent means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam: Option<Iam>,
}

/// The user's own VPC and what in it to use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    /// `vpc-…`
    pub id: String,
    /// `subnet-…`; empty means that Berth uses, and where missing makes, `dc-subnet`s.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<String>,
    /// `sg-…`; empty means `dc-vpc-default`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
}

/// The instance profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Iam {
    /// The profile's name, not its ARN.
    pub instance_profile_name: String,
}

impl ProviderOptions {
    /// Validates the raw values; empty strings mean absent, as the original Go client sends them.
    ///
    /// # Errors
    /// [`Invalid`] naming the member and the malformed value.
    pub fn new(
        vpc_id: &str,
        subnets: Vec<String>,
        security_groups: Vec<String>,
        instance_profile_name: &str,
    ) -> Result<Self, Invalid> {
        let subnets = ids("provider_options.vpc.subnets", "subnet", subnets)?;
        let security_groups = ids(
            "provider_options.vpc.security_groups",
            "sg",
            security_groups,
        )?;
        if security_groups.len() > MAX_SECURITY_GROUPS {
            return Err(Invalid::new(
                "provider_options.vpc.security_groups",
                format!(
                    "{} groups were given, but EC2 allows at most {MAX_SECURITY_GROUPS}",
                    security_groups.len()
                ),
            ));
        }
        let vpc = match vpc_id {
            "" if subnets.is_empty() && security_groups.is_empty() => None,
            "" => {
                return Err(Invalid::new(
                    "provider_options.vpc.id",
                    "is required when vpc.subnets or vpc.security_groups are given",
                ));
            }
            id => {
                check_id("provider_options.vpc.id", "vpc", id)?;
                Some(Vpc {
                    id: id.to_owned(),
                    subnets,
                    security_groups,
                })
            }
        };
        let iam = match instance_profile_name {
            "" => None,
            name => {
                check_profile(name)?;
                Some(Iam {
                    instance_profile_name: name.to_owned(),
                })
            }
        };
        Ok(Self { vpc, iam })
    }

    /// The name of the instance profile, if one was asked for.
    pub fn instance_profile(&self) -> Option<&str> {
        self.iam
            .as_ref()
            .map(|iam| iam.instance_profile_name.as_str())
    }
}

fn ids(field: &'static str, prefix: &str, given: Vec<String>) -> Result<Vec<String>, Invalid> {
    let mut kept: Vec<String> = Vec::with_capacity(given.len());
    for id in given {
        check_id(field, prefix, &id)?;
        if !kept.contains(&id) {
            kept.push(id);
        }
    }
    Ok(kept)
}

/// EC2's ids are a prefix and 8 (older) or 17 hexadecimal digits (EC2 user guide, "Resource IDs").
fn check_id(field: &'static str, prefix: &str, id: &str) -> Result<(), Invalid> {
    let digits = id
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('-'));
    let is_id = digits.is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
    });
    if is_id {
        return Ok(());
    }
    Err(Invalid::new(
        field,
        format!(
            "{id:?} is not an id of this kind; it must be {prefix}- followed by 8 or 17 hexadecimal digits"
        ),
    ))
}

/// IAM API reference, CreateInstanceProfile: `[\w+=,.@-]+`, at most 128 characters.
fn check_profile(name: &str) -> Result<(), Invalid> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if name.len() <= 128 && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Invalid::new(
        "provider_options.iam.instance_profile_name",
        format!("{name:?} is not a name of an instance profile; give its name, not its ARN"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn seed_the_whole_example_is_taken_and_given_back_as_it_came() {
        let options = ProviderOptions::new(
            "vpc-0a1b2c3d",
            strings(&["subnet-0a1b2c3d", "subnet-4a1b2c3d"]),
            strings(&["sg-0a1b2c3d"]),
            "my_instance_profile_name",
        )
        .unwrap();
        assert_eq!(
            serde_json::to_value(options).unwrap(),
            serde_json::json!({
                "vpc": {
                    "id": "vpc-0a1b2c3d",
                    "subnets": ["subnet-0a1b2c3d", "subnet-4a1b2c3d"],
                    "security_groups": ["sg-0a1b2c3d"]
                },
                "iam": {"instance_profile_name": "my_instance_profile_name"}
            })
        );
    }

    #[test]
    fn empty_strings_mean_absent() {
        let options = ProviderOptions::new("", vec![], vec![], "").unwrap();
        assert_eq!(options, ProviderOptions::default());
        assert_eq!(
            serde_json::to_value(options).unwrap(),
            serde_json::json!({})
        );
    }

    #[test]
    fn what_is_malformed_is_named() {
        let cases = [
            (
                ProviderOptions::new("vpc-xyz", vec![], vec![], ""),
                "provider_options.vpc.id",
            ),
            (
                ProviderOptions::new("", strings(&["subnet-0a1b2c3d"]), vec![], ""),
                "provider_options.vpc.id",
            ),
            (
                ProviderOptions::new("vpc-0a1b2c3d", strings(&["sg-0a1b2c3d"]), vec![], ""),
                "\"sg-0a1b2c3d\"",
            ),
            (
                ProviderOptions::new("", vec![], vec![], "arn:aws:iam::1:instance-profile/x"),
                "ARN",
            ),
        ];
        for (result, part) in cases {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
