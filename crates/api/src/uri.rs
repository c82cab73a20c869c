//! Resource URIs: absolute paths with a leading and a trailing slash.
//!
//! Clusters and nodes bear the namespace in their URI when the request's path had it, so that a client that uses one
//! form only ever sees that form. The catalogue and the actions never do: the original command line takes their URIs
//! apart by a fixed prefix.

use domain::{
    catalogue::AWS,
    ids::{ActionId, ClusterId, NodeId},
};
use store::action::ObjectType;
use uuid::Uuid;

const INFRA: &str = "/api/infra/v1";
const AUDIT: &str = "/api/audit/v1";
const AGENT: &str = "/api/agent/v1";
const BERTH: &str = "/api/berth/v1";

/// Builds the URIs of namespaced resources in the form that the request used.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uris {
    namespace: Option<String>,
}

impl Uris {
    /// With the namespace that stood in the request's path.
    pub(crate) fn new(namespace: Option<String>) -> Self {
        Self { namespace }
    }

    /// A node cluster's.
    pub(crate) fn cluster(&self, id: ClusterId) -> String {
        self.infra("nodecluster", id.0)
    }

    /// A node's.
    pub(crate) fn node(&self, id: NodeId) -> String {
        self.infra("node", id.0)
    }

    /// The URI of what an action is about.
    pub(crate) fn object(&self, object_type: ObjectType, id: Uuid) -> String {
        match object_type {
            ObjectType::NodeCluster | ObjectType::Node => self.infra(object_type.as_str(), id),
            // A token can't be read again, so it has no URI of its own.
            ObjectType::Token => match &self.namespace {
                Some(namespace) => format!("{INFRA}/{namespace}/token/"),
                None => format!("{INFRA}/token/"),
            },
            ObjectType::Credentials => self.credentials(),
            // They are named by their names, which what there was may not have any more.
            ObjectType::User | ObjectType::Organization | ObjectType::Key => {
                format!("{BERTH}/{}/", object_type.as_str())
            }
            ObjectType::Member | ObjectType::Quota => match &self.namespace {
                Some(namespace) => format!("{BERTH}/{namespace}/{}/", object_type.as_str()),
                None => format!("{BERTH}/{}/", object_type.as_str()),
            },
        }
    }

    /// The credentials for the provider.
    pub(crate) fn credentials(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{INFRA}/{namespace}/provider/{AWS}/credentials/"),
            None => format!("{INFRA}/provider/{AWS}/credentials/"),
        }
    }

    fn infra(&self, resource: &str, id: Uuid) -> String {
        match &self.namespace {
            Some(namespace) => format!("{INFRA}/{namespace}/{resource}/{id}/"),
            None => format!("{INFRA}/{resource}/{id}/"),
        }
    }
}

/// The provider's.
pub(crate) fn provider() -> String {
    format!("{INFRA}/provider/{AWS}/")
}

/// A region's.
pub(crate) fn region(name: &str) -> String {
    format!("{INFRA}/region/{AWS}/{name}/")
}

/// An availability zone's.
pub(crate) fn zone(region: &str, name: &str) -> String {
    format!("{INFRA}/az/{AWS}/{region}/{name}/")
}

/// A node type's.
pub(crate) fn node_type(name: &str) -> String {
    format!("{INFRA}/nodetype/{AWS}/{name}/")
}

/// A node's own, for its agent.
pub(crate) fn agent_node(id: NodeId) -> String {
    format!("{AGENT}/node/{id}/")
}

/// An action's.
pub(crate) fn action(id: ActionId) -> String {
    format!("{AUDIT}/action/{id}/")
}

/// What a text that should have been a URI lacks, in words.
pub(crate) type NotThatUri = String;

/// What is taken for a uuid: 36 characters, in either case.
macro_rules! uuid_pattern {
    () => {
        "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    };
}
pub(crate) use uuid_pattern;

// What each `parse_…` takes, for the specification: a URI with anything in front of its resource, or what identifies the
// object alone; slashes may be missing or doubled.
/// [`parse_provider`]
pub(crate) const PROVIDER: &str = "^/*(([^/]+/+)*provider/+)?[^/]+/*$";
/// [`parse_region`]
pub(crate) const REGION: &str = "^/*(([^/]+/+)*region/+)?(aws/+)?[^/]+/*$";
/// [`parse_zone`]
pub(crate) const ZONE: &str = "^/*(([^/]+/+)*az/+)?(aws/+[^/]+/+)?[^/]+/*$";
/// [`parse_node_type`]
pub(crate) const NODE_TYPE: &str = "^/*(([^/]+/+)*nodetype/+)?(aws/+)?[^/]+/*$";
/// [`parse_cluster`]
pub(crate) const CLUSTER: &str = concat!("^/*(([^/]+/+)*nodecluster/+)?", uuid_pattern!(), "/*$");
/// [`parse_object`]
pub(crate) const OBJECT: &str = concat!(
    "^/*(([^/]+/+)*(nodecluster|node)/+)?",
    uuid_pattern!(),
    "/*$"
);

/// The provider that a URI names.
pub(crate) fn parse_provider(text: &str) -> Result<String, NotThatUri> {
    match segments(text).as_slice() {
        [.., "provider", name] | [name] => Ok((*name).to_owned()),
        _ => Err(not_a("provider", text, &provider())),
    }
}

/// The name of the region that a URI names.
pub(crate) fn parse_region(text: &str) -> Result<String, NotThatUri> {
    match segments(text).as_slice() {
        [.., "region", AWS, name] | [.., "region", name] | [AWS, name] | [name] => {
            Ok((*name).to_owned())
        }
        _ => Err(not_a("region", text, &region("us-east-1"))),
    }
}

/// The name of the availability zone that a URI names.
pub(crate) fn parse_zone(text: &str) -> Result<String, NotThatUri> {
    match segments(text).as_slice() {
        [.., "az", AWS, _, name] | [.., "az", name] | [AWS, _, name] | [name] => {
            Ok((*name).to_owned())
        }
        _ => Err(not_a("zone", text, &zone("us-east-1", "us-east-1a"))),
    }
}

/// The name of the node type that a URI names.
pub(crate) fn parse_node_type(text: &str) -> Result<String, NotThatUri> {
    match segments(text).as_slice() {
        [.., "nodetype", AWS, name] | [.., "nodetype", name] | [AWS, name] | [name] => {
            Ok((*name).to_owned())
        }
        _ => Err(not_a("node type", text, &node_type("t3.micro"))),
    }
}

/// The id of the node cluster that a URI names.
pub(crate) fn parse_cluster(text: &str) -> Result<Uuid, NotThatUri> {
    let id = match segments(text).as_slice() {
        [.., "nodecluster", id] | [id] => parse_uuid(id),
        _ => None,
    };
    id.ok_or_else(|| {
        not_a(
            "node cluster",
            text,
            &format!("{INFRA}/nodecluster/<uuid>/"),
        )
    })
}

/// The id of the node cluster or node that a URI names.
pub(crate) fn parse_object(text: &str) -> Result<Uuid, NotThatUri> {
    let id = match segments(text).as_slice() {
        [.., "nodecluster" | "node", id] | [id] => parse_uuid(id),
        _ => None,
    };
    let example = format!("{INFRA}/nodecluster/<uuid>/");
    id.ok_or_else(|| not_a("node cluster or a node", text, &example))
}

/// A uuid in the one form in which they are written here: 36 characters, in either case.
pub(crate) fn parse_uuid(text: &str) -> Option<Uuid> {
    match text.len() {
        36 => text.parse().ok(),
        _ => None,
    }
}

fn segments(text: &str) -> Vec<&str> {
    text.split('/').filter(|s| !s.is_empty()).collect()
}

fn not_a(kind: &str, text: &str, example: &str) -> String {
    format!("{text:?} is no URI of this kind: a {kind} is {example}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00cc59e1-c605-403c-a5fb-3269b6a0d6bf";

    #[test]
    fn clusters_and_nodes_keep_the_form_of_the_request() {
        let id: Uuid = ID.parse().unwrap();
        let (plain, spaced) = (Uris::default(), Uris::new(Some("dev".to_owned())));
        assert_eq!(
            plain.cluster(id.into()),
            format!("/api/infra/v1/nodecluster/{ID}/")
        );
        assert_eq!(
            spaced.node(id.into()),
            format!("/api/infra/v1/dev/node/{ID}/")
        );
        assert_eq!(action(id.into()), format!("/api/audit/v1/action/{ID}/"));
    }

    #[test]
    fn what_is_built_is_read_back() {
        assert_eq!(parse_region(&region("eu-west-1")), Ok("eu-west-1".into()));
        assert_eq!(
            parse_zone(&zone("eu-west-1", "eu-west-1a")),
            Ok("eu-west-1a".into())
        );
        assert_eq!(parse_node_type(&node_type("t3.nano")), Ok("t3.nano".into()));
        assert_eq!(parse_provider(&provider()), Ok("aws".into()));
        let id: Uuid = ID.parse().unwrap();
        for uris in [Uris::default(), Uris::new(Some("dev".to_owned()))] {
            assert_eq!(parse_cluster(&uris.cluster(id.into())), Ok(id));
            assert_eq!(parse_object(&uris.node(id.into())), Ok(id));
        }
    }

    #[test]
    fn a_uri_is_taken_without_its_slashes_and_its_front() {
        for text in [
            "/api/infra/v1/region/aws/us-east-1",
            "api/infra/v1/region/aws/us-east-1/",
            "region/aws/us-east-1",
            "aws/us-east-1",
            "us-east-1",
        ] {
            assert_eq!(parse_region(text), Ok("us-east-1".into()), "{text}");
        }
        assert_eq!(parse_cluster(ID).unwrap().to_string(), ID);
    }

    #[test]
    fn what_is_no_uri_is_named_with_the_form_it_should_have() {
        for text in ["", "/", "/api/infra/v1/region/", "azure/us-east-1", "a/b/c"] {
            let reason = parse_region(text).unwrap_err();
            assert!(
                reason.contains("/api/infra/v1/region/aws/us-east-1/"),
                "{reason}"
            );
            assert!(reason.contains(&format!("{text:?}")), "{reason}");
        }
        assert!(parse_cluster("nodecluster/1").is_err());
        assert!(parse_uuid("{00cc59e1-c605-403c-a5fb-3269b6a0d6bf}").is_none());
        assert!(parse_uuid("00cc59e1c605403ca5fb3269b6a0d6bf").is_none());
    }
}
