//! Who asks, for which service and region: the credential scope of a Signature Version 4 header.
//!
//! The signature itself is not checked: the simulator has no secrets to check it with, and it must not be reachable by
//! anybody whom its data should be kept from.

use std::collections::BTreeMap;

use super::ApiError;
use crate::catalogue;

/// The account that access keys belong to unless something else says otherwise.
pub(crate) const DEFAULT_ACCOUNT: &str = "123456789012";

/// The services that are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Ec2,
    Iam,
    Route53,
    Sts,
}

impl Service {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Iam => "iam",
            Self::Route53 => "route53",
            Self::Sts => "sts",
        }
    }

    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Self::Ec2 => "http://ec2.amazonaws.com/doc/2016-11-15/",
            Self::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
            Self::Route53 => "https://route53.amazonaws.com/doc/2013-04-01/",
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
        }
    }

    /// The version of the interface that is simulated; the current SDKs and the aws CLI all ask for it.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Ec2 => "2016-11-15",
            Self::Iam => "2010-05-08",
            Self::Route53 => "2013-04-01",
            Self::Sts => "2011-06-15",
        }
    }
}

/// The party that sent a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub access_key: String,
    pub account: String,
    pub region: String,
    pub service: Service,
}

impl Caller {
    /// The caller's name in AWS's way of writing it.
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:iam::{}:user/{}", self.account, self.access_key)
    }
}

/// Reads the `Authorization` header; `accounts` maps access keys to accounts.
pub(crate) fn caller(
    header: Option<&str>,
    accounts: &BTreeMap<String, String>,
) -> Result<Caller, ApiError> {
    let scope = header
        .and_then(credential)
        .ok_or_else(ApiError::auth_failure)?;
    let [access_key, _date, region, service, "aws4_request"] = scope[..] else {
        return Err(ApiError::auth_failure());
    };
    let service = match service {
        "ec2" => Service::Ec2,
        "iam" => Service::Iam,
        "route53" => Service::Route53,
        "sts" => Service::Sts,
        _ => return Err(ApiError::auth_failure()),
    };
    let key_is_sound = !access_key.is_empty()
        && access_key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !key_is_sound || catalogue::region(region).is_none() {
        return Err(ApiError::auth_failure());
    }
    let account = match accounts.get(access_key) {
        Some(account) => account.clone(),
        None if access_key.len() == 12 && access_key.bytes().all(|b| b.is_ascii_digit()) => {
            access_key.to_owned()
        }
        None => DEFAULT_ACCOUNT.to_owned(),
    };
    Ok(Caller {
        access_key: access_key.to_owned(),
        account,
        region: region.to_owned(),
        service,
    })
}

/// The parts of `Credential=AKID/date/region/service/aws4_request`. An access key may not contain a slash.
fn credential(header: &str) -> Option<Vec<&str>> {
    let fields = header.strip_prefix("AWS4-HMAC-SHA256")?;
    let value = fields
        .split([',', ' '])
        .find_map(|field| field.trim().strip_prefix("Credential="))?;
    Some(value.split('/').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(header: &str) -> Result<Caller, ApiError> {
        caller(
            Some(header),
            &BTreeMap::from([("known".to_owned(), "999999999999".to_owned())]),
        )
    }

    fn header(key: &str, region: &str, service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
        )
    }

    #[test]
    fn the_access_key_decides_the_account() {
        let account = |key| ask(&header(key, "us-east-1", "ec2")).unwrap().account;
        assert_eq!(account("test"), DEFAULT_ACCOUNT);
        assert_eq!(account("known"), "999999999999");
        assert_eq!(account("111122223333"), "111122223333");
    }

    #[test]
    fn a_missing_or_malformed_authorization_is_an_auth_failure() {
        assert_eq!(caller(None, &BTreeMap::new()).unwrap_err().status, 401);
        for bad in [
            "",
            "Basic x",
            "AWS4-HMAC-SHA256 Credential=a/b",
            &header("k", "mars-1", "ec2"),
            &header("k", "us-east-1", "s3"),
        ] {
            assert_eq!(ask(bad).unwrap_err().code, "AuthFailure", "{bad}");
        }
    }
}
