//! Who asks, for which service and region: the credential scope of a Signature Version 4 header.
//!
//! The signature itself is not checked: the simulator has no secrets to check it with, and it must not be reachable by
//! anybody whom its data should be kept from.

use std::collections::BTreeMap;

use super::ApiError;
use crate::catalogue;
use crate::permissions::{Permissions, Policy};
use crate::state::{Millis, Session, World};

/// The account that access keys belong to unless something else says otherwise.
pub(crate) const DEFAULT_ACCOUNT: &str = "123456789012";

/// What the access keys of temporary credentials begin with.
pub(crate) const TEMPORARY: &str = "ASIA";

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
    /// The role that the caller acts in.
    pub assumed: Option<Assumed>,
}

/// A role that somebody has assumed, and what it may do at the moment.
#[derive(Clone, Debug)]
pub(crate) struct Assumed {
    pub session: Session,
    pub policies: Vec<Policy>,
}

impl Caller {
    /// What permissions are known by: the access key, or the ARN of the role that was assumed.
    pub(crate) fn principal(&self) -> &str {
        match &self.assumed {
            Some(assumed) => &assumed.session.role_arn,
            None => &self.access_key,
        }
    }

    /// The caller's unique id.
    pub(crate) fn user_id(&self) -> String {
        match &self.assumed {
            Some(Assumed { session, .. }) => format!("{}:{}", session.role_id, session.name),
            None => self.access_key.clone(),
        }
    }

    /// The caller with the role that its access key is of, if it is a temporary one. Refuses a key that there is no
    /// longer, a wrong token, and a session that is over ("Temporary security credentials in IAM"), and everybody in a
    /// region that the account has not opted in to.
    pub(crate) fn identified(
        mut self,
        token: Option<&str>,
        world: &World,
        permissions: &Permissions,
        now: Millis,
    ) -> Result<Self, ApiError> {
        let session = world.sessions.get(&self.access_key);
        let is_known = match session {
            Some(session) => token == Some(session.token.as_str()),
            None => !self.access_key.starts_with(TEMPORARY) && token.is_none(),
        };
        if !is_known || permissions.revoked.contains(&self.access_key) {
            return Err(self.unknown());
        }
        if let Some(session) = session {
            if session.expires <= now {
                return Err(self.expired());
            }
            let iam = world.iam(&session.account);
            let role = iam.and_then(|iam| iam.roles.get(&session.role_name));
            let policies = role.map(|role| role.policies.values().cloned().collect());
            self.account.clone_from(&session.account);
            self.assumed = Some(Assumed {
                session: session.clone(),
                policies: policies.unwrap_or_default(),
            });
        }
        let place = (self.account.clone(), self.region.clone());
        if self.service == Service::Ec2 && world.off.contains(&place) {
            return Err(self.unknown());
        }
        Ok(self)
    }

    fn unknown(&self) -> ApiError {
        match self.service {
            Service::Ec2 => ApiError::auth_failure(),
            Service::Iam | Service::Route53 | Service::Sts => ApiError::new(
                403,
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
            ),
        }
    }

    fn expired(&self) -> ApiError {
        match self.service {
            Service::Ec2 => ApiError::bad("RequestExpired", "Request has expired."),
            Service::Iam | Service::Route53 | Service::Sts => ApiError::new(
                403,
                "ExpiredToken",
                "The security token included in the request is expired",
            ),
        }
    }

    /// The caller's name in AWS's way of writing it.
    pub(crate) fn arn(&self) -> String {
        if let Some(assumed) = &self.assumed {
            return assumed.session.arn();
        }
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
        assumed: None,
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
