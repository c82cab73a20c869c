//! Identifiers: one type for each kind of object, so that a node's id is never taken for a cluster's.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )*};
}

id! {
    /// One recorded operation on an object.
    ActionId;
    /// A node cluster.
    ClusterId;
    /// One installation of Berth; the value of every `berth:installation` tag it writes.
    InstallationId;
    /// An API key.
    KeyId;
    /// One decided RunInstances request.
    LaunchId;
    /// A namespace's credentials for one AWS account, or the server's own.
    LinkId;
    /// A user's or an organization's own space of names.
    NamespaceId;
    /// A VPC as Berth uses it in one site.
    NetworkId;
    /// A node.
    NodeId;
    /// One AWS account link in one region.
    SiteId;
    /// Somebody who may call the API.
    UserId;
    /// A process that works on sites.
    WorkerId;
}
