//! Who is calling, and with which key.
//!
//! A key has 256 random bits, so its SHA-256 is all that needs to be kept: there is nothing to guess, and nothing slow
//! is needed to protect it. It is found by that digest: how long an index takes to find or not to find it may tell how a
//! digest begins, and from that no key follows. Nothing compares the key itself.

use aws_lc_rs::{digest, rand};
use axum::{
    extract::FromRequestParts,
    http::{
        HeaderMap, Method, Uri,
        header::{AUTHORIZATION, USER_AGENT},
        request::Parts,
    },
};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use chrono::{DateTime, Utc};
use domain::{
    ids::{KeyId, NamespaceId, UserId},
    role::{Denied, Role},
};
use store::{
    access::{self, Pass, Place, Principal},
    action,
};

use crate::{
    App,
    edge::origin,
    error::ApiError,
    path::Asked,
    permission::{self, Needs},
    stream::query::{self, Parameters},
    uri::Uris,
};

const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How much of a program's name is recorded.
const LONGEST_USER_AGENT: usize = 512;

/// What is kept of a key: its SHA-256.
pub fn key_digest(key: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, key.as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

/// A new key: 256 random bits in hexadecimal.
///
/// # Panics
/// When the operating system has no random bytes to give; nothing secret can be made on such a machine.
pub fn new_key() -> String {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The caller of a request, known by their key, and what an action records of the request.
#[derive(Debug)]
pub struct Caller {
    principal: Principal,
    /// The namespace that the request is about, and what the caller may do in it.
    place: Place,
    /// Builds URIs in the form that the request used.
    pub(crate) uris: Uris,
    /// The path that was asked for.
    pub(crate) asked: Asked,
    method: Method,
    user_agent: String,
    ip: String,
}

impl Caller {
    /// The namespace that the request is about.
    pub(crate) fn namespace(&self) -> NamespaceId {
        self.place.namespace_id
    }

    /// The user's name.
    pub(crate) fn name(&self) -> &str {
        &self.principal.user_name
    }

    /// The user.
    pub(crate) fn user(&self) -> UserId {
        self.principal.user_id
    }

    /// The user's own namespace.
    pub(crate) fn own_namespace(&self) -> NamespaceId {
        self.principal.own_namespace
    }

    /// The key of this request.
    pub(crate) fn key(&self) -> KeyId {
        self.principal.key_id
    }

    /// What that key may do at most.
    pub(crate) fn key_role(&self) -> Role {
        self.principal.key_role
    }

    /// From when on that key is worth nothing.
    pub(crate) fn key_expires_at(&self) -> Option<DateTime<Utc>> {
        self.principal.key_expires_at
    }

    /// What a stream needs in order to stay open.
    pub(crate) fn pass(&self) -> Pass {
        Pass {
            key: self.key(),
            namespace: self.namespace(),
        }
    }

    /// Whether the caller may do what takes this role: for what an operation takes beyond the table of `permission`.
    pub(crate) fn may(&self, needed: Role) -> Result<(), Denied> {
        self.place.access.check(needed)
    }

    /// What an action records of the request.
    pub(crate) fn record(&self, body: &str) -> action::Request {
        action::Request {
            namespace_id: self.namespace(),
            method: self.method.to_string(),
            path: self.asked.path.clone(),
            body: body.to_owned(),
            user_name: self.principal.user_name.clone(),
            user_agent: self.user_agent.clone(),
            ip: self.ip.clone(),
        }
    }
}

/// The caller of a stream. Clients that can't set a header have their credentials in the query, and may have them there
/// for streams alone: URLs of requests end up in histories and in the logs of proxies.
#[derive(Debug)]
pub(crate) struct StreamCaller(pub(crate) Caller);

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let credentials = basic(&parts.headers).ok_or(ApiError::Unauthorized(
            "credentials are needed: HTTP Basic authentication with a user's name and an API key",
        ))?;
        Self::known_by(credentials, parts, app).await
    }
}

impl FromRequestParts<App> for StreamCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let credentials = match parts.headers.contains_key(AUTHORIZATION) {
            true => basic(&parts.headers),
            false => in_query(&parts.uri),
        };
        let credentials = credentials.ok_or(ApiError::Unauthorized(
            "credentials are needed: HTTP Basic authentication with a user's name and an API key, or the parameters \
             user and token",
        ))?;
        Caller::known_by(credentials, parts, app).await.map(Self)
    }
}

impl Caller {
    /// The caller who has these credentials.
    async fn known_by(
        (user_name, key): (String, String),
        parts: &Parts,
        app: &App,
    ) -> Result<Self, ApiError> {
        let (from, digest) = (origin::of(parts), key_digest(&key));
        app.logins.may_try(from, &digest)?;
        let mut connection = app.pool.acquire().await?;
        let asked = match parts.extensions.get::<Asked>() {
            Some(asked) => asked.clone(),
            None => Asked::new(parts.uri.path()),
        };
        let namespace = asked.namespace.as_deref();
        let known = access::authenticate(&mut connection, &user_name, &digest, namespace).await?;
        let Some(mut principal) = known else {
            app.logins.were_wrong(from, &digest);
            return Err(ApiError::Unauthorized(
                "the user name or the API key is wrong, or the key has expired",
            ));
        };
        app.logins.were_right(digest);
        app.requests.count(principal.user_id)?;
        // Whether a namespace exists is nobody's business who has no access to it.
        let place = principal.place.take().ok_or_else(|| {
            ApiError::no_such("namespace", namespace.unwrap_or(&principal.user_name))
        })?;
        let needed = match permission::of_request(parts) {
            Some(Needs::Role(role)) => role,
            Some(Needs::Operator) if principal.is_operator => Role::Admin,
            // What is in no table is nobody's.
            Some(Needs::Operator | Needs::Token | Needs::Nothing) | None => {
                return Err(ApiError::NotOperator);
            }
        };
        place.access.check(needed)?;
        Ok(Self {
            principal,
            place,
            uris: Uris::new(asked.namespace.clone()),
            asked,
            method: parts.method.clone(),
            user_agent: user_agent(&parts.headers),
            ip: ip(parts),
        })
    }
}

/// The user and the key of `Authorization: Basic …`.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = LENIENT_BASE64.decode(credentials.trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user_name, key) = decoded.split_once(':')?;
    possible(user_name, key)
}

/// The user and the key of `?user=…&token=…`.
fn in_query(uri: &Uri) -> Option<(String, String)> {
    let parameters = Parameters::of(uri).ok()?;
    possible(parameters.get(query::USER)?, parameters.get(query::TOKEN)?)
}

fn possible(user_name: &str, key: &str) -> Option<(String, String)> {
    // Postgres' text has no place for U+0000, so nobody has such a name.
    let is_possible = !user_name.contains('\0');
    is_possible.then(|| (user_name.to_owned(), key.to_owned()))
}

fn user_agent(headers: &HeaderMap) -> String {
    headers.get(USER_AGENT).map_or_else(String::new, |value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        text.chars().take(LONGEST_USER_AGENT).collect()
    })
}

/// The address of whoever asks, as it is recorded.
pub(crate) fn ip(parts: &Parts) -> String {
    origin::of(parts).map_or_else(String::new, |address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(authorization: &str) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        basic(&headers)
    }

    #[test]
    fn basic_credentials_are_read() {
        let dev = Some(("dev".to_owned(), "a:b".to_owned()));
        for ok in [
            "Basic ZGV2OmE6Yg==",
            "basic ZGV2OmE6Yg",
            "Basic  ZGV2OmE6Yg== ",
        ] {
            assert_eq!(read(ok), dev, "{ok}");
        }
        for bad in [
            "",
            "Basic",
            "Basic !",
            "Bearer ZGV2OmE6Yg==",
            "Basic ZGV2",
            "Basic /w==",
            "Basic AGE6Yg==",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(basic(&HeaderMap::new()), None);
    }

    #[test]
    fn credentials_in_a_query_are_read() {
        let read = |query: &str| in_query(&format!("/?{query}").parse().unwrap());
        let dev = Some(("dev".to_owned(), "a:b".to_owned()));
        assert_eq!(read("user=dev&token=a:b"), dev);
        assert_eq!(read("tail=1&token=a%3Ab&user=dev"), dev);
        for bad in ["", "user=dev", "token=a:b", "user=d%00ev&token=a:b"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_key_is_long_and_never_the_same() {
        let (one, other) = (new_key(), new_key());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
    }

    #[test]
    fn a_digest_is_sha_256() {
        let hex: String = key_digest("abc")
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(
            hex,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
