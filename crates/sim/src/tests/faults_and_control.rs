//! Faults, counting, and the control API, over HTTP.

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::faults::Fault;

const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/sa-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0";

async fn send(sim: &Simulator, request: Request<Body>) -> Response<Body> {
    sim.router().oneshot(request).await.unwrap()
}

async fn body(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn form(text: &'static str) -> Request<Body> {
    let request = Request::post("/").header("authorization", AUTHORIZATION);
    request
        .header(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )
        .body(Body::from(text))
        .unwrap()
}

fn json(method: &str, path: &str, text: &'static str) -> Request<Body> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json");
    request.body(Body::from(text)).unwrap()
}

#[test]
fn a_refusing_fault_has_no_effect_and_plays_once() {
    let c = Client::new();
    let refuse = Fault::Refuse {
        status: 503,
        code: "RequestLimitExceeded".into(),
        message: "slow".into(),
    };
    c.sim.fail_next("CreateVpc", refuse);
    let error = c.refusal("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]);
    assert_eq!((error.status, &*error.code), (503, "RequestLimitExceeded"));
    assert_eq!(texts(&c.ok("DescribeVpcs", &[]), "vpcId").len(), 1);
    c.ok("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]);
}

#[test]
fn faults_of_an_action_wait_in_their_order() {
    let c = Client::new();
    c.sim.fail_next(
        "CreateVpc",
        Fault::ErrorAfterEffect(500, "InternalError".into()),
    );
    c.sim.fail_next("CreateVpc", Fault::DropAfterEffect);
    let ask = [("CidrBlock", "10.0.0.0/16")];
    assert_eq!(c.code("CreateVpc", &ask), "InternalError");
    assert_eq!(c.ok("CreateVpc", &ask), "dropped");
    assert_eq!(
        texts(&c.ok("DescribeVpcs", &[]), "vpcId").len(),
        3,
        "both took effect"
    );
}

#[tokio::test]
async fn a_dropped_answer_cannot_be_read() {
    let sim = Simulator::new(Config::fast());
    sim.fail_next("DescribeVpcs", Fault::DropAfterEffect);
    let response = send(&sim, form("Action=DescribeVpcs&Version=2016-11-15")).await;
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn errors_have_ec2s_shape_and_status() {
    let sim = Simulator::new(Config::fast());
    let response = send(&sim, form("Action=Nothing&Version=2016-11-15")).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let text = body(response).await;
    assert!(
        text.contains("<Response><Errors><Error><Code>InvalidAction</Code>"),
        "{text}"
    );
    assert!(text.contains("</Errors><RequestID>"), "{text}");
    let unsigned = Request::post("/").body(Body::empty()).unwrap();
    let response = send(&sim, unsigned).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(
        body(response)
            .await
            .contains("AWS was not able to validate the provided access credentials")
    );
}

#[tokio::test]
async fn the_control_api_counts_records_and_acts() {
    let c = Client::with(|config| config.manual_clock = false);
    let net = c.net();
    let ids = c.launch(&net.subnet, &[]);
    c.launch_refusal(&net.subnet, &[("DryRun", "true")]);
    let get = |path: &'static str| json("GET", path, "");
    let calls = body(send(&c.sim, get("/_sim/calls")).await).await;
    assert!(
        calls.contains("\"RunInstances\":1") && calls.contains("\"RunInstances (dry run)\":1"),
        "{calls}"
    );
    let recorded = body(send(&c.sim, get("/_sim/recorded")).await).await;
    assert!(
        recorded.contains("[\"CidrBlock\",\"10.78.0.0/16\"]")
            && recorded.contains("\"access_key\":\"test\"")
    );
    let order = format!(
        "{{\"region\":\"sa-east-1\",\"instance_ids\":[\"{}\"]}}",
        ids[0]
    );
    let request = json("POST", "/_sim/console/terminate", String::leak(order));
    assert_eq!(send(&c.sim, request).await.status(), StatusCode::NO_CONTENT);
    let shown = body(send(&c.sim, get("/_sim/instances?region=sa-east-1")).await).await;
    assert!(shown.contains("\"state\":\"shutting-down\""), "{shown}");
    for (path, text) in [
        ("/_sim/deny", r#"{"access_key":"x","action":"ec2:*"}"#),
        (
            "/_sim/faults",
            r#"{"action":"CreateVpc","fault":{"refuse":{"status":503,"code":"c","message":"m"}}}"#,
        ),
        (
            "/_sim/faults",
            r#"{"action":"CreateVpc","fault":"drop_after_effect"}"#,
        ),
        (
            "/_sim/capacity",
            r#"{"region":"sa-east-1","zone":"sa-east-1a","instance_type":"t3.micro","limit":1}"#,
        ),
    ] {
        assert_eq!(
            send(&c.sim, json("POST", path, text)).await.status(),
            StatusCode::NO_CONTENT,
            "{path}"
        );
    }
    send(&c.sim, json("DELETE", "/_sim/calls", "")).await;
    assert!(c.sim.calls().is_empty() && c.sim.recorded().is_empty());
    let hello = send(&c.sim, Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!(hello.status(), StatusCode::OK);
}

#[test]
fn the_console_stops_and_starts() {
    let c = Client::new();
    let net = c.net();
    let ids = c.launch(&net.subnet, &[]);
    let (account, ids) = (default_account(), [ids[0].as_str(), "i-unknown"]);
    c.sim.advance(100);
    c.sim.console_reboot(account, c.region, &ids);
    c.sim.console_stop(account, c.region, &ids);
    assert_eq!(c.states(), ["stopping"]);
    c.sim.advance(100);
    c.sim.console_start(account, c.region, &ids);
    assert_eq!(c.states(), ["pending"]);
    c.sim.console_terminate(account, c.region, &ids);
    c.sim.advance(100);
    assert_eq!(c.states(), ["terminated"]);
    c.sim.console_terminate(account, "mars-1", &ids);
}
