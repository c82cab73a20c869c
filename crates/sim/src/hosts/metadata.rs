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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::ConsoleLog;
    use crate::hosts::machine::{Agent, Situation};
    use crate::state::PhaseKind;

    const SITUATION: Situation = Situation {
        phase: PhaseKind::Running,
        public_ip: None,
        private_ip: Some(std::net::Ipv4Addr::new(10, 78, 0, 4)),
        prefix: 18,
        leads_out: true,
        is_open: true,
        has_metadata: true,
    };

    fn machine() -> Machine {
        let hardware = agent::machine::Hardware {
            cpu: 2,
            memory_kb: 1 << 20,
            disk_gb: 30,
        };
        let names = ("123456789012", "us-east-1", "i-0123456789abcdef0");
        Machine::new(
            names,
            ConsoleLog::default(),
            hardware,
            Agent::None,
            SITUATION,
        )
    }

    fn ask(machine: &Machine, method: Method, path: &str, token: Option<&str>) -> (u16, String) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{ADDRESS}/latest/{path}"));
        if let Some(token) = token {
            request = request.header(TOKEN_HEADER, token);
        }
        let answer = machine
            .metadata(&request.body(Bytes::new()).unwrap())
            .unwrap();
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        (answer.status().as_u16(), text)
    }

    #[test]
    fn the_service_answers_whoever_has_its_token() {
        let machine = machine();
        let (status, token) = ask(&machine, Method::PUT, "api/token", None);
        assert_eq!(status, 200);
        let get = |path: &str, token: Option<&str>| ask(&machine, Method::GET, path, token);
        assert_eq!(get("meta-data/instance-id", None).0, 401);
        assert_eq!(get("meta-data/instance-id", Some("stolen")).0, 401);
        let found = get("meta-data/instance-id", Some(&token));
        assert_eq!(found, (200, "i-0123456789abcdef0".to_owned()));
        let found = get("meta-data/local-ipv4", Some(&token));
        assert_eq!(found, (200, "10.78.0.4".to_owned()));
        assert_eq!(get("meta-data/public-ipv4", Some(&token)).0, 404);
        assert_eq!(
            get("dynamic/instance-identity/document", Some(&token)).0,
            404
        );
        machine.set_situation(Situation {
            public_ip: Some([198, 18, 0, 1].into()),
            ..SITUATION
        });
        let found = get("meta-data/public-ipv4", Some(&token));
        assert_eq!(found, (200, "198.18.0.1".to_owned()));
    }

    #[test]
    fn a_service_that_is_disabled_answers_nobody() {
        let machine = machine();
        machine.set_situation(Situation {
            has_metadata: false,
            ..SITUATION
        });
        let request = Request::get(format!("http://{ADDRESS}/latest/api/token"));
        assert!(
            machine
                .metadata(&request.body(Bytes::new()).unwrap())
                .is_err()
        );
    }
}
