//! The token with which the instances of a launch register. The database has it only sealed: it is put into the user data
//! when the launch is sent, each time the same.

use domain::{
    ids::LaunchId,
    launch::{self, LaunchRequest},
    node::Readiness,
    user_data,
};
use pki::SecretKey;
use store::launch::{Launch, Token};

use super::Stop;
use crate::site::Site;

/// Why nothing is sealed or opened.
const NO_SECRET_KEY: &str = "the nodes are to call home, and the worker has no secret key: its operator must start it with the same \
     BERTH_SECRET_KEY as the API";

/// A new token for this launch; none where no agent is awaited.
pub(super) fn make(site: &Site, readiness: Readiness, id: LaunchId) -> Result<Option<Token>, Stop> {
    if readiness == Readiness::Instance {
        return Ok(None);
    }
    let made = secret_key(site).and_then(|secret| {
        let token = pki::fresh_token().map_err(|error| error.to_string())?;
        let sealed = secret.seal(&launch::token_place(id), token.as_bytes());
        Ok(Token {
            sha256: pki::token_digest(&token),
            sealed: sealed.map_err(|error| error.to_string())?,
        })
    });
    made.map(Some).map_err(Stop::Fail)
}

/// The request as it is sent, or why it can't be.
pub(super) fn put_in(site: &Site, launch: &Launch) -> Result<LaunchRequest, String> {
    let mut request = launch.request.clone();
    if let Some(sealed) = &launch.sealed_token {
        let opened = secret_key(site)?.open(&launch::token_place(launch.id), sealed);
        let token = opened.map_err(|error| error.to_string())?;
        request.user_data =
            user_data::with_token(&request.user_data, &String::from_utf8_lossy(&token));
    }
    Ok(request)
}

fn secret_key(site: &Site) -> Result<&SecretKey, String> {
    let secret = site.config.secret_key.as_ref();
    secret.ok_or_else(|| NO_SECRET_KEY.to_owned())
}
