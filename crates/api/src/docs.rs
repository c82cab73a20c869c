//! The specification, generated from the handlers, and a page to read it that needs no other host.

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use utoipa::{
    OpenApi,
    openapi::{
        self, Object, ObjectBuilder, Ref, RefOr, ResponseBuilder,
        content::ContentBuilder,
        header::HeaderBuilder,
        path::Operation,
        schema::Type,
        security::{
            ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
        },
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{
    error::ErrorBody,
    permission::{self, Needs},
};

const SCHEME: &str = "basic";
const AGENT_SCHEME: &str = "agent_token";
/// What stands in place of a role for those who manage the installation.
const OPERATOR: &str = "operator";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Berth",
        description = "Node clusters on AWS over HTTP, wire-compatible with Docker Cloud's infra and audit API.\n\n\
            **The way of a cluster.** `POST /api/infra/v1/nodecluster/` describes it, `POST …/deploy/` starts it, \
            `PATCH` with `target_num_nodes` changes its size, `DELETE` terminates it. Each of them answers at once; the \
            header `X-DockerCloud-Action-URI` names the action that tells how it goes, and the cluster's and the nodes' \
            `state` show how far it is.\n\n\
            **Paths.** Each resource stands here once. A namespace may be inserted before the resource, as in \
            `/api/infra/v1/<namespace>/nodecluster/`: the caller's own or that of an organization that the caller is a \
            member of, and the URIs in the answer then have it too. The trailing slash may be left out. The resources are \
            also at the root: `/nodecluster`, `/node`, `/token`, `/tag`, \
            `/provider`, `/region`, `/az`, `/nodetype`, `/action` and `/events`.\n\n\
            **Bodies.** JSON whatever the Content-Type says; an empty body is `{}`, null is absent, unknown members are \
            ignored, a number may be a string of digits.\n\n\
            **Errors.** Anything but a success has the body `{\"error\": \"…\"}`, which names what was wrong. A path \
            that there is not answers 404, a method that a path does not have 405 with the header `Allow`.\n\n\
            **Streams** (`/api/audit/v1/events/`, `/api/audit/v1/action/{uuid}/logs/`, \
            `/api/infra/v1/node/{uuid}/events/`) are WebSockets: connect with `ws://` or `wss://`. What is wrong is \
            answered to the handshake, with a status as everywhere. Where a client can't send a header, the \
            credentials may be the parameters `user` and `token`.\n\n\
            **Roles.** A member of an organization has a role there: `read` sees; `read-write` also scales and checks the \
            health; `admin` does everything. An API key may have less than its user. What an operation takes is named as \
            the scope of its security.\n\n\
            **Times** look like `Tue, 16 Sep 2014 17:01:15 +0000`; in events alone, like `2016-02-01T16:47:28Z`.",
    ),
    tags(
        (name = "Node clusters", description = "Groups of nodes of one type in one region."),
        (name = "Nodes", description = "The hosts of the node clusters."),
        (name = "Agents", description = "For the agents on the nodes: how a host registers, and what it tells."),
        (name = "Actions", description = "What was asked for, by whom, and how it went."),
        (name = "Events", description = "Every change, as it happens."),
        (name = "Tags", description = "The tags that node clusters and nodes bear."),
        (name = "Services", description = "There are none; the original command line asks for them all the same."),
        (name = "Credentials", description = "Whether they are good."),
        (name = "Providers", description = "Where nodes can be deployed: AWS."),
        (name = "Regions", description = "The regions of the provider."),
        (name = "Availability zones", description = "The zones of a region, over which nodes are spread."),
        (name = "Node types", description = "The sizes of nodes and where they are offered."),
        (name = "People", description = "Users, organizations, API keys and quotas: Berth's own, not of Docker Cloud."),
        (name = "Health", description = "For load balancers and orchestrators."),
    ),
    components(schemas(ErrorBody)),
)]
struct Front;

/// The specification without its paths, which the router adds.
pub(crate) fn front() -> openapi::OpenApi {
    Front::openapi()
}

/// Adds to every operation what any of them may answer, so that none can forget it.
pub(crate) fn complete(mut api: openapi::OpenApi) -> openapi::OpenApi {
    let components = api.components.get_or_insert_default();
    let mut basic = Http::new(HttpAuthScheme::Basic);
    basic.description = Some("A user's name and one of their API keys.".to_owned());
    components.add_security_scheme(SCHEME, SecurityScheme::Http(basic));
    let mut token = ApiKeyValue::new("Authorization");
    token.description = Some(
        "`TutumAgentToken` and a token of `POST /api/infra/v1/token/`, with a space between them."
            .to_owned(),
    );
    components.add_security_scheme(AGENT_SCHEME, SecurityScheme::ApiKey(ApiKey::Header(token)));
    for item in api.paths.paths.values_mut() {
        for (_, operation) in permission::operations(item) {
            let needs = operation.operation_id.as_deref().and_then(permission::of);
            match needs {
                Some(Needs::Role(role)) => complete_operation(operation, SCHEME, &[role.as_str()]),
                Some(Needs::Operator) => complete_operation(operation, SCHEME, &[OPERATOR]),
                Some(Needs::Token) => complete_operation(operation, AGENT_SCHEME, &[]),
                Some(Needs::Nothing) | None => {}
            }
        }
    }
    api
}

fn complete_operation(operation: &mut Operation, scheme: &str, scopes: &[&str]) {
    let scopes = scopes.iter().copied();
    operation.security = Some(vec![SecurityRequirement::new(scheme, scopes)]);
    if scheme == SCHEME {
        add_answer(operation, ("403", "The role does not allow it.", None));
    }
    for answer in [
        (
            "401",
            "The credentials are missing or wrong.",
            Some("WWW-Authenticate"),
        ),
        (
            "404",
            "The caller has no access to the namespace in the path.",
            None,
        ),
        (
            "429",
            "Too many requests of this user, or wrong credentials from this address, lately.",
            Some("Retry-After"),
        ),
        ("500", "A fault of Berth's.", None),
        ("503", "The database can't be reached at the moment.", None),
        ("504", "It took too long and was given up.", None),
    ] {
        add_answer(operation, answer);
    }
}

/// Adds what the operation may answer, unless it says itself when it does.
fn add_answer(
    operation: &mut Operation,
    (status, description, header): (&str, &str, Option<&str>),
) {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("ErrorBody")))
        .build();
    let mut response = ResponseBuilder::new()
        .description(description)
        .content("application/json", content);
    if let Some(name) = header {
        let header = HeaderBuilder::new()
            .description(Some(match name {
                "Retry-After" => "After how many seconds to try again.",
                _ => "The scheme to use.",
            }))
            .build();
        response = response.header(name, header);
    }
    operation
        .responses
        .responses
        .entry(status.to_owned())
        .or_insert_with(|| RefOr::T(response.build()));
}

/// The schema of a state: one of these texts.
pub(crate) fn state(states: impl Iterator<Item = &'static str>, about: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(states))
        .description(Some(about))
        .build()
}

/// The schema of a text of this form, a regular expression.
pub(crate) fn text(form: &str, about: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(form))
        .description(Some(about))
        .build()
}

/// Serves the specification and the page.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(specification: String) -> Router<S> {
    let serve = move || {
        let specification = specification.clone();
        async move { ([(CONTENT_TYPE, "application/json")], specification) }
    };
    // Without a validator: it would send the specification's address to another host.
    let config = Config::from("/openapi.json")
        .validator_url("none")
        .try_it_out_enabled(true);
    Router::new()
        .route("/openapi.json", get(serve))
        .merge(SwaggerUi::new("/docs").config(config))
}
