//! The instance metadata service of a machine ("Use the Instance Metadata Service"), version 2 alone.

use agent::http::HttpError;
use axum::body::Bytes;
use axum::http::{Method, Request, Response, StatusCode};

use super::machine::Machine;

/// Its address, the same on every instance.
pub(super) const ADDRESS: &str = "169.254.169.254";
const TOKEN: &str = "AQAEALZ1bmRlciBhIHNpbXVsYXRlZCBBV1M=";
const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";

impl Machine {
    pub(super) fn metadata(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let situation = self.situation();
        if !situation.has_metadata {
            let refused = std::io::ErrorKind::ConnectionRefused.into();
            return Err(HttpError::Connect(ADDRESS.to_owned(), refused));
        }
        let path = request.uri().path();
        let token = request.headers().get(TOKEN_HEADER);
        let (status, text) = match path.strip_prefix("/latest/").unwrap_or_default() {
            "api/token" if request.method() == Method::PUT => {
                (StatusCode::OK, Some(TOKEN.to_owned()))
            }
            _ if token.is_none_or(|token| token != TOKEN) => (StatusCode::UNAUTHORIZED, None),
            "meta-data/instance-id" => (StatusCode::OK, Some(self.instance.clone())),
            "meta-data/local-ipv4" => found(situation.private_ip),
            "meta-data/public-ipv4" => found(situation.public_ip),
            // Nobody but AWS can sign an identity document.
            _ => (StatusCode::NOT_FOUND, None),
        };
        let mut answer = Response::new(Bytes::from(text.unwrap_or_default()));
        *answer.status_mut() = status;
        Ok(answer)
    }
}

fn found(item: Option<impl ToString>) -> (StatusCode, Option<String>) {
    match item {
        Some(item) => (StatusCode::OK, Some(item.to_string())),
        None => (StatusCode::NOT_FOUND, None),
    }
}
