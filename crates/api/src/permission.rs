//! What each operation takes: one table, by the ids of the specification. An operation that is not in it is refused to
//! everybody, and a test fails.

use std::{collections::HashMap, sync::LazyLock};

use axum::{
    extract::MatchedPath,
    http::{Method, request::Parts},
};
use domain::role::Role;
use utoipa::openapi::path::{Operation, PathItem};

use crate::server;

/// What an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A key of a user who has at least this role in the namespace.
    Role(Role),
    /// A key of a user who manages the installation.
    Operator,
    /// The token of an agent.
    Token,
    /// No credentials.
    Nothing,
}

use Needs::{Nothing, Operator, Token};

const READ: Needs = Needs::Role(Role::Read);
const READ_WRITE: Needs = Needs::Role(Role::ReadWrite);
const ADMIN: Needs = Needs::Role(Role::Admin);

/// Source: Docker Cloud's permissions of organizations, "Nodes" (`domain::role`). Three of them ask for more where they
/// see what it is about: `update_node_cluster` scales with read-write and changes anything else with admin, and
/// `cancel_action` and `retry_action` take what it took to ask for the action.
const TABLE: &[(&str, Needs)] = &[
    ("list_node_clusters", READ),
    ("get_node_cluster", READ),
    ("create_node_cluster", ADMIN),
    ("update_node_cluster", READ_WRITE),
    ("deploy_node_cluster", ADMIN),
    ("upgrade_node_cluster", ADMIN),
    ("terminate_node_cluster", ADMIN),
    ("get_node_cluster_certificate", ADMIN),
    ("list_nodes", READ),
    ("get_node", READ),
    ("update_node", ADMIN),
    ("deploy_node", ADMIN),
    ("check_node", READ_WRITE),
    ("upgrade_node", ADMIN),
    ("terminate_node", ADMIN),
    ("get_node_certificate", ADMIN),
    ("stream_node_events", READ),
    ("create_token", ADMIN),
    ("list_tags", READ),
    ("list_actions", READ),
    ("get_action", READ),
    ("cancel_action", READ_WRITE),
    ("retry_action", READ_WRITE),
    ("stream_action_logs", READ),
    ("stream_events", READ),
    ("list_providers", READ),
    ("get_provider", READ),
    ("list_regions", READ),
    ("get_region", READ),
    ("list_availability_zones", READ),
    ("get_availability_zone", READ),
    ("list_node_types", READ),
    ("get_node_type", READ),
    ("list_services", READ),
    ("get_service", READ),
    ("check_credentials", READ),
    ("get_credentials", READ),
    ("put_credentials", ADMIN),
    ("delete_credentials", ADMIN),
    ("get_launch_options", READ),
    ("list_keys", READ),
    ("create_key", ADMIN),
    ("revoke_key", ADMIN),
    ("list_organizations", READ),
    ("create_organization", Operator),
    ("list_members", READ),
    ("set_member", ADMIN),
    ("remove_member", ADMIN),
    ("get_quota", READ),
    ("set_quota", Operator),
    ("list_users", Operator),
    ("create_user", Operator),
    ("remove_user", Operator),
    ("register_host", Token),
    ("get_own_node", Token),
    ("announce_own_node", Token),
    ("ping_own_node", Token),
    ("send_heartbeat", Token),
    ("read_install_script", Nothing),
    ("download_agent", Nothing),
    ("is_alive", Nothing),
    ("is_ready", Nothing),
];

/// What the operation of this id takes.
pub(crate) fn of(operation_id: &str) -> Option<Needs> {
    TABLE
        .iter()
        .find(|(id, _)| *id == operation_id)
        .map(|(_, needs)| *needs)
}

/// What the operation takes that a request was routed to.
pub(crate) fn of_request(parts: &Parts) -> Option<Needs> {
    static BY_ROUTE: LazyLock<HashMap<(String, Method), Needs>> = LazyLock::new(by_route);
    let path = parts.extensions.get::<MatchedPath>()?.as_str().to_owned();
    // Whatever can be got can be asked for its head.
    let method = match parts.method {
        Method::HEAD => Method::GET,
        ref method => method.clone(),
    };
    BY_ROUTE.get(&(path, method)).copied()
}

fn by_route() -> HashMap<(String, Method), Needs> {
    let mut by_route = HashMap::new();
    for (path, mut item) in server::openapi().paths.paths {
        for (method, operation) in operations(&mut item) {
            if let Some(needs) = operation.operation_id.as_deref().and_then(of) {
                by_route.insert((path.clone(), method), needs);
            }
        }
    }
    by_route
}

/// The operations of a path.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    [
        (Method::GET, &mut item.get),
        (Method::POST, &mut item.post),
        (Method::PATCH, &mut item.patch),
        (Method::PUT, &mut item.put),
        (Method::DELETE, &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_of_the_specification_has_a_permission_and_every_permission_an_operation() {
        let mut served = BTreeSet::new();
        for item in server::openapi().paths.paths.values_mut() {
            for (_, operation) in operations(item) {
                served.insert(operation.operation_id.clone().unwrap());
            }
        }
        let listed: BTreeSet<String> = TABLE.iter().map(|(id, _)| (*id).to_owned()).collect();
        assert_eq!(listed, served);
        assert_eq!(listed.len(), TABLE.len(), "one of them is listed twice");
    }

    #[test]
    fn whatever_changes_something_takes_more_than_to_read() {
        for item in server::openapi().paths.paths.values_mut() {
            for (method, operation) in operations(item) {
                let id = operation.operation_id.clone().unwrap();
                let needs = of(&id).unwrap();
                let may_read = matches!(needs, READ | Nothing);
                let is_certificate = id.ends_with("_certificate");
                assert!(!may_read || method == Method::GET, "{id}");
                assert!(!is_certificate || needs == ADMIN, "{id}");
            }
        }
    }
}
