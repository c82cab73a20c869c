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

use crate::{error::ErrorBody, health, install};

const SCHEME: &str = "basic";
const AGENT_SCHEME: &str = "agent_token";
/// The paths of agents, which have credentials of their own.
const AGENT_PATHS: &str = "/api/agent/";

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
            `/api/infra/v1/<namespace>/nodecluster/`: it must be the caller's own, and the URIs in the answer then have \
            it too. The trailing slash may be left out. The resources are also at the root: `/nodecluster`, `/node`, \
            `/token`, `/tag`, \
            `/provider`, `/region`, `/az`, `/nodetype`, `/action` and `/events`.\n\n\
            **Bodies.** JSON whatever the Content-Type says; an empty body is `{}`, null is absent, unknown members are \
            ignored, a number may be a string of digits.\n\n\
            **Errors.** Anything but a success has the body `{\"error\": \"…\"}`, which names what was wrong. A path \
            that there is not answers 404, a method that a path does not have 405 with the header `Allow`.\n\n\
            **Streams** (`/api/audit/v1/events/`, `/api/audit/v1/action/{uuid}/logs/`, \
            `/api/infra/v1/node/{uuid}/events/`) are WebSockets: connect with `ws://` or `wss://`. What is wrong is \
            answered to the handshake, with a status as everywhere. Where a client can't send a header, the \
            credentials may be the parameters `user` and `token`.\n\n\
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
    for (path, item) in &mut api.paths.paths {
        let scheme = match path.starts_with(AGENT_PATHS) {
            true => AGENT_SCHEME,
            false => SCHEME,
        };
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.patch,
            &mut item.put,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            if !health::PATHS.contains(&path.as_str()) && !install::PATHS.contains(&path.as_str()) {
                complete_operation(operation, scheme);
            }
        }
    }
    api
}

fn complete_operation(operation: &mut Operation, scheme: &str) {
    operation.security = Some(vec![SecurityRequirement::new(scheme, Vec::<String>::new())]);
    let refusals = [
        (
            "401",
            "The credentials are missing or wrong.",
            Some("WWW-Authenticate"),
        ),
        (
            "404",
            "The namespace in the path is not the caller's.",
            None,
        ),
        ("500", "A fault of Berth's.", None),
        ("503", "The database can't be reached at the moment.", None),
        ("504", "It took too long and was given up.", None),
    ];
    for (status, description, header) in refusals {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("ErrorBody")))
            .build();
        let mut response = ResponseBuilder::new()
            .description(description)
            .content("application/json", content);
        if let Some(name) = header {
            let header = HeaderBuilder::new()
                .description(Some("The scheme to use."))
                .build();
            response = response.header(name, header);
        }
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(response.build()));
    }
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
