//! HTTP in front of the actions: who asks, which action, what comes back.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Form, FromRequest, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::call::Call;
use crate::faults::{CallName, Fault, Released};
use crate::protocol::auth::{self, Caller, Service};
use crate::protocol::{ApiError, Element, Outcome, Params};
use crate::simulator::{Inner, Simulator};
use crate::view::RecordedCall;
use crate::{ec2, hosts, iam, route53, sts};

/// The size of the largest request; the largest sound one is a launch with 16 KB of user data.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// A launch that only asks whether it would be allowed is worth telling apart.
const DRY_LAUNCH: &str = "RunInstances (dry run)";

/// What the names of actions begin with that change nothing for virtual hosts.
const HARMLESS: [&str; 5] = ["Describe", "Get", "List", "CreateTags", "DeleteTags"];

const HELLO: &str = "This is Berth's AWS simulator: EC2, and some of IAM, STS and Route 53. \
    Try: aws --endpoint-url <this address> ec2 describe-instances\n";

/// Everything that is not the control API.
pub(crate) fn router(simulator: Simulator) -> Router {
    Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(simulator)
}

async fn answer(State(simulator): State<Simulator>, asked: Request) -> Response {
    if asked.method() == Method::CONNECT {
        return hosts::connect(&simulator, asked);
    }
    let is_rest = route53::is_asked(asked.uri().path());
    if !is_rest && asked.method() == Method::GET && asked.uri().query().is_none() {
        return HELLO.into_response();
    }
    let header = asked.headers().get(header::AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok().map(str::to_owned));
    let token = asked.headers().get("x-amz-security-token");
    let token = token.and_then(|value| value.to_str().ok().map(str::to_owned));
    let pairs = if is_rest {
        rest(asked).await
    } else {
        // From the body of a POST or the query of a GET, as the Query protocol has it.
        Form::from_request(asked, &())
            .await
            .map(|Form(pairs)| pairs)
            .map_err(|_| {
                let message = "The query string contains a syntax error";
                ApiError::bad("MalformedQueryString", message)
            })
    };
    let (service, request_id, reply) = request(
        &simulator,
        header.as_deref(),
        token.as_deref(),
        is_rest,
        pairs,
    );
    let outcome = match reply {
        Reply::AtOnce(outcome) => outcome,
        Reply::After(delay, released, outcome) => {
            // Whichever comes first; in both cases there is an answer.
            let _ = tokio::time::timeout(delay, released.wait()).await;
            outcome
        }
        Reply::Never(released) => {
            released.wait().await;
            return drop_connection();
        }
        Reply::Lost => return drop_connection(),
    };
    match outcome {
        Ok(document) => xml(StatusCode::OK, &request_id, document),
        Err(error) => {
            let status =
                StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            xml(status, &request_id, error.body(service, &request_id))
        }
    }
}

/// The document of an answer, or the refusal.
type Answer = Result<String, ApiError>;

/// What the caller gets to see, and when. No lock is held while it waits.
pub(crate) enum Reply {
    AtOnce(Answer),
    /// An answer after some time, or as soon as the faults are cleared.
    After(Duration, Released, Answer),
    /// No answer; the connection ends when the faults are cleared.
    Never(Released),
    /// No answer; the connection ends.
    Lost,
}

/// The parameters of a request.
type Pairs = Vec<(String, String)>;

async fn rest(asked: Request) -> Result<Pairs, ApiError> {
    let (method, uri) = (asked.method().clone(), asked.uri().clone());
    let body = Bytes::from_request(asked, &()).await;
    let body = body.map_err(|_| ApiError::bad("MalformedXML", "The body can't be read"))?;
    route53::read(&method, uri.path(), uri.query(), &body)
}

/// Carries out one request, which came by the Query protocol or, as Route 53's, by REST.
pub(crate) fn request(
    simulator: &Simulator,
    authorization: Option<&str>,
    token: Option<&str>,
    is_rest: bool,
    pairs: Result<Pairs, ApiError>,
) -> (Service, String, Reply) {
    let caller = auth::caller(authorization, &simulator.config().accounts);
    let mut inner = simulator.lock();
    let request_id = inner.request_ids.uuid();
    let service = match &caller {
        Ok(caller) if (caller.service == Service::Route53) == is_rest => caller.service,
        _ if is_rest => Service::Route53,
        _ => Service::Ec2,
    };
    let reply = caller.and_then(|caller| {
        if caller.service != service {
            let message = "Credential should be scoped to correct service.";
            return Err(ApiError::new(403, "SignatureDoesNotMatch", message));
        }
        let (world, permissions) = (&inner.world, &inner.permissions);
        let caller = caller.identified(token, world, permissions, simulator.now())?;
        dispatch(simulator, &mut inner, &caller, pairs?, &request_id)
    });
    let reply = reply.unwrap_or_else(|refusal| Reply::AtOnce(Err(refusal)));
    (service, request_id, reply)
}

/// Refuses before there is any effect, or carries the call out and replies as a fault or the action itself has it.
fn dispatch(
    simulator: &Simulator,
    inner: &mut Inner,
    caller: &Caller,
    pairs: Pairs,
    request_id: &str,
) -> Result<Reply, ApiError> {
    let value = |name: &str| {
        pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    };
    let action = value("Action").ok_or_else(|| {
        ApiError::bad(
            "MissingAction",
            "The request is missing an action or a required parameter.",
        )
    })?;
    let name = counted_name(&action, value("DryRun").as_deref() == Some("true"));
    inner.count(name);
    if simulator.config().record {
        inner.recorded.push(RecordedCall {
            service: caller.service.name().to_owned(),
            action: action.clone(),
            params: pairs.clone(),
            access_key: caller.access_key.clone(),
            region: caller.region.clone(),
        });
    }
    let now = simulator.now();
    inner.limits.admit(caller, &action, name, &pairs, now)?;
    let subnet = pairs
        .iter()
        .find(|(key, _)| key == "SubnetId" || key.ends_with(".SubnetId"));
    let fault = inner.faults.play(&CallName {
        action: name,
        access_key: &caller.access_key,
        region: &caller.region,
        subnet: subnet.map(|(_, value)| &**value),
    });
    match &fault {
        Some(Fault::Refuse {
            status,
            code,
            message,
        }) => return Err(ApiError::new(*status, code.clone(), message.clone())),
        Some(Fault::Hang) => return Ok(Reply::Never(inner.faults.released())),
        _ => {}
    }
    let params = Params::new(pairs);
    let outcome = run(simulator, inner, caller, &params, &action, now);
    if !HARMLESS.iter().any(|verb| action.starts_with(verb)) {
        simulator.stir();
    }
    tracing::debug!(
        action,
        account = caller.account,
        refused = outcome.as_ref().err().map(|e| &*e.code),
        "call"
    );
    let answer =
        outcome.map(|content| dressed(content, caller.service, &action, request_id).document());
    Ok(match fault {
        Some(Fault::DropAfterEffect) => Reply::Lost,
        Some(Fault::HangAfterEffect) => Reply::Never(inner.faults.released()),
        Some(Fault::ErrorAfterEffect(status, code)) => {
            let error = ApiError::new(status, code, "An internal error has occurred");
            Reply::AtOnce(Err(error))
        }
        Some(Fault::Slow(ms)) => {
            Reply::After(Duration::from_millis(ms), inner.faults.released(), answer)
        }
        Some(Fault::Refuse { .. } | Fault::Hang) | None => Reply::AtOnce(answer),
    })
}

/// The name under which a call is counted, and by which fault rules know it.
fn counted_name(action: &str, dry_run: bool) -> &str {
    if dry_run && action == "RunInstances" {
        DRY_LAUNCH
    } else {
        action
    }
}

/// Runs an action's function.
pub(crate) fn run(
    simulator: &Simulator,
    inner: &mut Inner,
    caller: &Caller,
    params: &Params,
    action: &str,
    now: u64,
) -> Outcome {
    let mut call = Call::new(params, caller, action, now, simulator.config(), inner);
    call.params.text("Action");
    call.check_version()?;
    match caller.service {
        Service::Ec2 => ec2::run(&mut call, action),
        Service::Iam => iam::run(&mut call, action),
        Service::Route53 => route53::run(&mut call, action),
        Service::Sts => sts::run(&mut call, action),
    }
}

/// Gives an answer the outer elements of its service.
fn dressed(content: Element, service: Service, action: &str, request_id: &str) -> Element {
    let name = format!("{action}Response");
    match service {
        Service::Ec2 => content
            .named(name)
            .namespace(service.namespace())
            .first(Element::leaf("requestId", request_id)),
        Service::Route53 => content.named(name).namespace(service.namespace()),
        Service::Iam | Service::Sts => Element::answer()
            .named(name)
            .namespace(service.namespace())
            .child(content.named(format!("{action}Result")))
            .child(
                Element::answer()
                    .named("ResponseMetadata".to_owned())
                    .text("RequestId", request_id),
            ),
    }
}

/// The names of calls as they are counted, which a fault rule can match.
pub(crate) fn call_names() -> impl Iterator<Item = String> {
    let names = [ec2::names(), iam::names(), route53::names(), sts::names()].into_iter();
    names.flatten().chain([DRY_LAUNCH]).map(str::to_owned)
}

/// All supported actions as `service:Action`.
pub(crate) fn actions() -> Vec<String> {
    let of = |service: Service, names: Vec<&'static str>| {
        names
            .into_iter()
            .map(move |name| format!("{}:{name}", service.name()))
    };
    let mut all: Vec<String> = of(Service::Ec2, ec2::names())
        .chain(of(Service::Iam, iam::names()))
        .chain(of(Service::Route53, route53::names()))
        .chain(of(Service::Sts, sts::names()))
        .collect();
    all.sort();
    all
}

fn xml(status: StatusCode, request_id: &str, document: String) -> Response {
    let mut response = (
        status,
        [(header::CONTENT_TYPE, "text/xml;charset=UTF-8")],
        document,
    )
        .into_response();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

/// A body that fails at its first byte: the server can only close the connection, so the client sees no answer.
fn drop_connection() -> Response {
    let failure = futures::stream::once(async {
        Err::<Bytes, _>(std::io::Error::other("dropped by a fault"))
    });
    (
        [(header::CONTENT_LENGTH, "1024")],
        Body::from_stream(failure),
    )
        .into_response()
}
