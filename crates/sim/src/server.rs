//! HTTP in front of the actions: who asks, which action, what comes back.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, Form, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::call::Call;
use crate::faults::{CallName, Fault, Released};
use crate::protocol::auth::{self, Caller, Service};
use crate::protocol::{ApiError, Element, Outcome, Params};
use crate::simulator::{Inner, Simulator};
use crate::view::RecordedCall;
use crate::{ec2, iam, sts};

/// The size of the largest request; the largest sound one is a launch with 16 KB of user data.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// A launch that only asks whether it would be allowed is worth telling apart.
const DRY_LAUNCH: &str = "RunInstances (dry run)";

const HELLO: &str = "This is Berth's AWS simulator: EC2, and some of IAM and STS, over the Query protocol. \
    Try: aws --endpoint-url <this address> ec2 describe-instances\n";

/// Everything that is not the control API.
pub(crate) fn router(simulator: Simulator) -> Router {
    Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(simulator)
}

async fn answer(
    State(simulator): State<Simulator>,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    // From the body of a POST or the query of a GET, as the Query protocol has it.
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    if method == Method::GET && query.is_none() {
        return HELLO.into_response();
    }
    let header = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let (service, request_id, reply) =
        request(&simulator, header, form.ok().map(|Form(pairs)| pairs));
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

/// Carries out one request.
pub(crate) fn request(
    simulator: &Simulator,
    authorization: Option<&str>,
    pairs: Option<Vec<(String, String)>>,
) -> (Service, String, Reply) {
    let caller = auth::caller(authorization, &simulator.config().accounts);
    let mut inner = simulator.lock();
    let request_id = inner.request_ids.uuid();
    let service = caller
        .as_ref()
        .map_or(Service::Ec2, |caller| caller.service);
    let reply = caller.and_then(|caller| {
        let pairs = pairs.ok_or_else(|| {
            ApiError::bad(
                "MalformedQueryString",
                "The query string contains a syntax error",
            )
        })?;
        dispatch(simulator, &mut inner, &caller, pairs, &request_id)
    });
    let reply = reply.unwrap_or_else(|refusal| Reply::AtOnce(Err(refusal)));
    (service, request_id, reply)
}

/// Refuses before there is any effect, or carries the call out and replies as a fault or the action itself has it.
fn dispatch(
    simulator: &Simulator,
    inner: &mut Inner,
    caller: &Caller,
    pairs: Vec<(String, String)>,
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
    let fault = inner.faults.play(&CallName {
        action: name,
        access_key: &caller.access_key,
        region: &caller.region,
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
    let names = [ec2::names(), iam::names(), sts::names()].into_iter();
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
