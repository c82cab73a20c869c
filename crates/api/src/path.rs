//! One path for each resource, whatever way it was asked for.
//!
//! The original clients and third-party scripts write the same resource in many ways: with and without the trailing
//! slash, with a double one, with a namespace in front of the resource, without `/api`, or at the root. The router knows
//! one canonical form of each; this module rewrites a request to it before it is routed, and keeps what was asked.

use axum::{extract::Request, http::Uri};

/// The resources of each subsystem. A segment in front of one of them is a namespace.
const SUBSYSTEMS: &[(&str, &[&str])] = &[
    (
        "infra",
        &[
            "nodecluster",
            "node",
            "token",
            "tag",
            "provider",
            "region",
            "az",
            "nodetype",
        ],
    ),
    ("audit", &["action", "events"]),
    ("app", &["service"]),
    ("berth", &["member", "quota"]),
    // The namespace of a host is that of its token: none may stand in the path.
    ("agent", &[]),
];

/// The resources that are also offered at the root, for services that call Berth directly.
const AT_ROOT: &[(&str, &str)] = &[
    ("nodecluster", "infra"),
    ("node", "infra"),
    ("token", "infra"),
    ("tag", "infra"),
    ("provider", "infra"),
    ("region", "infra"),
    ("az", "infra"),
    ("nodetype", "infra"),
    ("action", "audit"),
    ("events", "audit"),
];

/// The paths that are no resources of the API, each exactly as it is served.
const PLAIN: &[&str] = &["healthz", "readyz", "openapi.json"];

/// What was asked for, kept beside the canonical path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The path as the client wrote it.
    pub(crate) path: String,
    /// The path that the router sees.
    pub(crate) canonical: String,
    /// The namespace that stood in the path.
    pub(crate) namespace: Option<String>,
}

impl Asked {
    /// Reads a path as a client wrote it.
    pub(crate) fn new(path: &str) -> Self {
        let (canonical, namespace) = canonical(path);
        Self {
            path: path.to_owned(),
            canonical,
            namespace,
        }
    }

    /// The path under which the same thing can be asked for again: from `/api/` on, with the namespace where it had one.
    pub(crate) fn again(&self) -> String {
        let Some(namespace) = &self.namespace else {
            return self.canonical.clone();
        };
        // "/api/<subsystem>/v1/" is followed by the namespace.
        let resource = self.canonical.match_indices('/').nth(3);
        match resource.and_then(|(at, _)| self.canonical.split_at_checked(at)) {
            Some((front, rest)) => format!("{front}/{namespace}{rest}"),
            None => self.canonical.clone(),
        }
    }
}

/// The canonical form of a path, and the namespace that stood in it.
fn canonical(path: &str) -> (String, Option<String>) {
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    match segments.as_slice() {
        [plain] if PLAIN.contains(plain) => (format!("/{plain}"), None),
        // The documentation's files have names without a trailing slash; its page is redirected to the one with it,
        // from which it finds them.
        ["docs", _, ..] => (format!("/{}", segments.join("/")), None),
        // So have the agent's.
        ["agent", _] => (format!("/{}", segments.join("/")), None),
        ["docs"] if !path.ends_with('/') => ("/docs".to_owned(), None),
        ["api", subsystem, "v1", rest @ ..]
        | [subsystem @ ("infra" | "audit"), "v1", rest @ ..] => {
            let (namespace, rest) = split_namespace(subsystem, rest);
            (api_path(subsystem, rest), namespace.map(str::to_owned))
        }
        [resource, ..] => match AT_ROOT.iter().find(|(name, _)| name == resource) {
            Some((_, subsystem)) => (api_path(subsystem, &segments), None),
            None => (format!("/{}/", segments.join("/")), None),
        },
        [] => ("/".to_owned(), None),
    }
}

/// A namespace may bear the name of a resource: what counts is that a resource follows it.
fn split_namespace<'a>(subsystem: &str, rest: &'a [&'a str]) -> (Option<&'a str>, &'a [&'a str]) {
    let resources = SUBSYSTEMS
        .iter()
        .find(|(name, _)| *name == subsystem)
        .map_or(&[][..], |(_, resources)| *resources);
    match rest {
        [namespace, resource, ..] if resources.contains(resource) => (Some(namespace), &rest[1..]),
        _ => (None, rest),
    }
}

fn api_path(subsystem: &str, rest: &[&str]) -> String {
    let mut path = format!("/api/{subsystem}/v1/");
    for segment in rest {
        path.push_str(segment);
        path.push('/');
    }
    path
}

/// Gives the request its canonical path. The query stays as it is.
pub(crate) fn rewrite(mut request: Request) -> Request {
    let asked = Asked::new(request.uri().path());
    let path_and_query = match request.uri().query() {
        Some(query) => format!("{}?{query}", asked.canonical),
        None => asked.canonical.clone(),
    };
    // Made of the pieces of a valid path, so it is one; if it ever were not, the router answers 404 to the original.
    if let Ok(uri) = path_and_query.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request.extensions_mut().insert(asked);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(path: &str) -> (String, Option<String>) {
        canonical(path)
    }

    #[test]
    fn every_way_to_write_a_resource_leads_to_one_path() {
        let id = "00cc59e1-c605-403c-a5fb-3269b6a0d6bf";
        let cluster = format!("/api/infra/v1/nodecluster/{id}/");
        for asked in [
            format!("/api/infra/v1/nodecluster/{id}/"),
            format!("/api/infra/v1/nodecluster/{id}"),
            format!("/api/infra/v1/nodecluster/{id}//"),
            format!("//api//infra/v1/nodecluster/{id}/"),
            format!("/infra/v1/nodecluster/{id}/"),
            format!("/nodecluster/{id}"),
            format!("/nodecluster/{id}/"),
        ] {
            assert_eq!(form(&asked), (cluster.clone(), None), "{asked}");
        }
        assert_eq!(form("/action"), ("/api/audit/v1/action/".to_owned(), None));
        assert_eq!(
            form("/az/aws/us-east-1/us-east-1a"),
            (
                "/api/infra/v1/az/aws/us-east-1/us-east-1a/".to_owned(),
                None
            )
        );
    }

    #[test]
    fn a_namespace_is_taken_out_and_kept() {
        for (asked, canonical, namespace) in [
            (
                "/api/infra/v1/dev/nodecluster",
                "/api/infra/v1/nodecluster/",
                "dev",
            ),
            ("/api/infra/v1/dev/node/1/", "/api/infra/v1/node/1/", "dev"),
            ("/api/infra/v1/dev/token/", "/api/infra/v1/token/", "dev"),
            ("/api/infra/v1/dev/region/", "/api/infra/v1/region/", "dev"),
            (
                "/api/audit/v1/dev/action/1/logs/",
                "/api/audit/v1/action/1/logs/",
                "dev",
            ),
            ("/api/audit/v1/dev/events", "/api/audit/v1/events/", "dev"),
            (
                "/infra/v1/dev/node/1/events/",
                "/api/infra/v1/node/1/events/",
                "dev",
            ),
            // Somebody may be called like a resource.
            (
                "/api/infra/v1/node/nodecluster/",
                "/api/infra/v1/nodecluster/",
                "node",
            ),
        ] {
            let expected = (canonical.to_owned(), Some(namespace.to_owned()));
            assert_eq!(form(asked), expected, "{asked}");
        }
    }

    #[test]
    fn what_is_no_resource_stays() {
        for path in [
            "/",
            "/healthz",
            "/readyz",
            "/openapi.json",
            "/docs",
            "/docs/",
            "/docs/swagger-ui.css",
            "/elsewhere/",
            "/api/infra/v1/dev/elsewhere/",
            "/api/infra/v2/nodecluster/",
            "/api/infra/v1/%FF/%00/",
        ] {
            assert_eq!(form(path), (path.to_owned(), None));
        }
        assert_eq!(form("/docs//").0, "/docs/");
        assert_eq!(form("/healthz/").0, "/healthz");
        assert_eq!(form("*").0, "/*/");
        assert_eq!(form("").0, "/");
    }

    #[test]
    fn the_query_and_what_was_asked_are_kept() {
        let request = Request::builder()
            .uri("/api/infra/v1/dev/nodecluster?name=a%20b&limit=2")
            .body(axum::body::Body::empty())
            .unwrap();
        let request = rewrite(request);
        assert_eq!(
            request.uri(),
            "/api/infra/v1/nodecluster/?name=a%20b&limit=2"
        );
        let asked = request.extensions().get::<Asked>().unwrap();
        assert_eq!(asked.path, "/api/infra/v1/dev/nodecluster");
        assert_eq!(asked.again(), "/api/infra/v1/dev/nodecluster/");
        assert_eq!(
            Asked::new("/nodecluster").again(),
            "/api/infra/v1/nodecluster/"
        );
    }
}
