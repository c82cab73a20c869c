//! Counting, and the control API, over HTTP.

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;

pub(super) const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/sa-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0";

pub(super) async fn send(sim: &Simulator, request: Request<Body>) -> Response<Body> {
    sim.router().oneshot(request).await.unwrap()
}

pub(super) async fn body(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(super) fn form(text: &'static str) -> Request<Body> {
    let request = Request::post("/").header("authorization", AUTHORIZATION);
    request
        .header(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )
        .body(Body::from(text))
        .unwrap()
}

fn json(method: &str, path: &str, text: &str) -> Request<Body> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json");
    request.body(Body::from(text.to_owned())).unwrap()
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
    let request = json("POST", "/_sim/console/terminate", &order);
    assert_eq!(send(&c.sim, request).await.status(), StatusCode::NO_CONTENT);
    let shown = body(send(&c.sim, get("/_sim/instances?region=sa-east-1")).await).await;
    assert!(shown.contains("\"state\":\"shutting-down\""), "{shown}");
    for (path, text) in [
        ("/_sim/deny", r#"{"access_key":"x","action":"ec2:*"}"#),
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

#[tokio::test]
async fn faults_are_ordered_and_watched_over_http() {
    let c = Client::new();
    let rule = r#"{"action":"Describe*","nth":2,"fault":{"refuse":{"status":503,"code":"c","message":"m"}}}"#;
    let response = send(&c.sim, json("POST", "/_sim/faults", rule)).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(body(response).await, r#"{"id":1}"#);
    c.ok("DescribeVpcs", &[]);
    assert_eq!(c.code("DescribeSubnets", &[]), "c");
    let shown = body(send(&c.sim, json("GET", "/_sim/faults", "")).await).await;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        shown,
        serde_json::json!([{
            "id": 1, "action": "Describe*", "nth": 2, "times": 1, "probability": 1.0,
            "access_key": null, "region": null, "subnet": null,
            "fault": {"refuse": {"status": 503, "code": "c", "message": "m"}},
            "matched": 2,
            "played": [{"call_number": 2, "action": "DescribeSubnets"}],
        }])
    );
    send(&c.sim, json("DELETE", "/_sim/faults", "")).await;
    assert!(c.sim.faults().is_empty());
}

#[tokio::test]
async fn an_order_that_cannot_be_understood_says_what_is_wrong() {
    let sim = Simulator::new(Config::fast());
    for (path, text, words) in [
        ("faults", "{", "the body is not JSON"),
        (
            "faults",
            r#"{"action":"RunInstance","fault":"hang"}"#,
            "no simulated action is called 'RunInstance'",
        ),
        (
            "faults",
            r#"{"action":"*","fault":"explode"}"#,
            "unknown variant `explode`, expected one of",
        ),
        (
            "faults",
            r#"{"action":"*","fault":"hang","nth":0}"#,
            "nth and times: must be 1 or greater",
        ),
        (
            "faults",
            r#"{"action":"*","fault":"hang","probability":2}"#,
            "2 is not between 0 and 1",
        ),
        (
            "bucket",
            r#"{"action":"RunInstance","request":{"size":1,"refill_per_s":1}}"#,
            "'RunInstance' has no bucket",
        ),
        (
            "bucket",
            r#"{"action":"RunInstances","request":{"size":1,"refill_per_s":-1}}"#,
            "-1 is not between",
        ),
        (
            "capacity",
            r#"{"region":"sa-east-1","zones":"x"}"#,
            "unknown field `zones`",
        ),
        (
            "console/explode",
            "{}",
            "unknown variant `console/explode`, expected one of",
        ),
    ] {
        let response = send(&sim, json("POST", &format!("/_sim/{path}"), text)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path} {text}");
        let said = body(response).await;
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn the_network_is_shown_with_what_every_account_starts_with() {
    let c = Client::new();
    let net = c.net();
    let ask = [
        ("VpcId", net.vpc.as_str()),
        ("TagSpecification.1.ResourceType", "route-table"),
        ("TagSpecification.1.Tag.1.Key", "Name"),
        ("TagSpecification.1.Tag.1.Value", "routes"),
    ];
    let table = text(&c.ok("CreateRouteTable", &ask), "routeTableId");
    c.ok(
        "AssociateRouteTable",
        &[("RouteTableId", &table), ("SubnetId", &net.subnet)],
    );
    let gateway = text(&c.ok("CreateInternetGateway", &[]), "internetGatewayId");
    c.ok(
        "AttachInternetGateway",
        &[("InternetGatewayId", &gateway), ("VpcId", &net.vpc)],
    );

    let seen = c.sim.network(default_account(), c.region);
    assert_eq!(seen.vpcs.iter().filter(|it| it.is_default).count(), 1);
    assert_eq!(seen.subnets.iter().filter(|it| it.is_default).count(), 3);
    let ours: Vec<_> = seen
        .subnets
        .iter()
        .filter(|it| it.vpc_id == net.vpc)
        .collect();
    assert_eq!(
        (&ours[0].id, &*ours[0].zone, ours.len()),
        (&net.subnet, "sa-east-1b", 1)
    );
    let found = seen
        .internet_gateways
        .iter()
        .find(|it| it.id == gateway)
        .unwrap();
    assert_eq!(
        (found.vpc_id.as_ref(), found.is_default),
        (Some(&net.vpc), false)
    );
    let tables: Vec<_> = seen
        .route_tables
        .iter()
        .filter(|it| it.vpc_id == net.vpc)
        .collect();
    let (main, own): (Vec<_>, Vec<_>) = tables.into_iter().partition(|it| it.is_main);
    assert_eq!((main.len(), own.len()), (1, 1));
    assert_eq!(
        (&own[0].subnet_ids, &*own[0].tags["Name"]),
        (&vec![net.subnet.clone()], "routes")
    );
    let groups = seen
        .security_groups
        .iter()
        .filter(|it| it.vpc_id == net.vpc);
    let mut groups: Vec<_> = groups.map(|it| (it.name.as_str(), it.is_default)).collect();
    groups.sort_unstable();
    assert_eq!(groups, [("default", true), ("open", false)]);
    assert_eq!(
        c.sim.network(default_account(), "mars-1"),
        Default::default()
    );

    let shown = body(send(&c.sim, json("GET", "/_sim/network?region=sa-east-1", "")).await).await;
    assert_eq!(shown, serde_json::to_string(&seen).unwrap());
}

#[tokio::test]
async fn the_console_is_refused_in_awss_words() {
    let c = Client::new();
    let net = c.net();
    let gateway = text(&c.ok("CreateInternetGateway", &[]), "internetGatewayId");
    c.ok(
        "AttachInternetGateway",
        &[("InternetGatewayId", &gateway), ("VpcId", &net.vpc)],
    );
    let more = [
        ("NetworkInterface.1.DeviceIndex", "0"),
        ("NetworkInterface.1.SubnetId", &net.subnet),
        ("NetworkInterface.1.SecurityGroupId.1", &net.group),
        ("NetworkInterface.1.AssociatePublicIpAddress", "true"),
        ("SubnetId", ""),
    ];
    let ids = c.launch(&net.subnet, &more);
    let place = format!(r#""region":"sa-east-1","subnet_id":"{}""#, net.subnet);
    let subnet = format!("{{{place}}}");
    let detach = format!(
        r#"{{"region":"sa-east-1","internet_gateway_id":"{gateway}","vpc_id":"{}"}}"#,
        net.vpc
    );
    let group = format!(r#"{{"region":"sa-east-1","group_id":"{}"}}"#, net.group);
    let orders = [
        (
            "delete-subnet",
            &subnet,
            "has dependencies and cannot be deleted.",
        ),
        (
            "detach-internet-gateway",
            &detach,
            "has some mapped public address(es).",
        ),
        ("delete-security-group", &group, "has a dependent object"),
    ];
    for (verb, order, words) in orders {
        let response = send(
            &c.sim,
            json("POST", &format!("/_sim/console/{verb}"), order),
        )
        .await;
        assert_eq!(response.status(), StatusCode::CONFLICT, "{verb}");
        let said = body(response).await;
        assert!(
            said.starts_with("DependencyViolation: ") && said.contains(words),
            "{said}"
        );
    }
    c.sim
        .console_terminate(default_account(), c.region, &[&ids[0]]);
    c.sim.advance(100);
    for (verb, order, _) in orders {
        let response = send(
            &c.sim,
            json("POST", &format!("/_sim/console/{verb}"), order),
        )
        .await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{verb}");
    }
    let refusal = c
        .sim
        .console_delete_subnet(default_account(), "mars-1", &net.subnet);
    assert_eq!(refusal, Err("there is no region 'mars-1'".to_owned()));
}

#[tokio::test]
async fn the_console_changes_an_instances_address_and_gives_it_back() {
    let c = Client::new();
    let net = c.net();
    let id = c.launch(&net.subnet, &[]).remove(0);
    let order = format!(r#"{{"region":"sa-east-1","instance_id":"{id}"}}"#);
    let ask = async |verb: &str| {
        let path = format!("/_sim/console/{verb}-address");
        let response = send(&c.sim, json("POST", &path, &order)).await;
        (response.status(), body(response).await)
    };
    let address = || c.sim.instances(default_account(), c.region)[0].public_ip;
    c.sim.advance(100);
    let (status, said) = ask("associate").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(said.starts_with("Gateway.NotAttached: "), "{said}");
    assert!(
        !c.ok("DescribeAddresses", &[]).contains("<item>"),
        "released again"
    );

    let gateway = text(&c.ok("CreateInternetGateway", &[]), "internetGatewayId");
    c.ok(
        "AttachInternetGateway",
        &[("InternetGatewayId", &gateway), ("VpcId", &net.vpc)],
    );
    let (status, said) = ask("associate").await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(said, format!(r#"{{"public_ip":"{}"}}"#, address().unwrap()));
    assert_eq!(ask("disassociate").await.0, StatusCode::NO_CONTENT);
    assert_eq!(address(), None);
    assert_eq!(ask("disassociate").await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn token_buckets_are_set_and_watched_over_http() {
    let c = Client::new();
    for (path, text) in [
        ("throttling", r#"{"on":true}"#),
        (
            "bucket",
            r#"{"action":"DescribeInstances (unfiltered)","request":{"size":1,"refill_per_s":0.5}}"#,
        ),
    ] {
        let response = send(&c.sim, json("POST", &format!("/_sim/{path}"), text)).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{path}");
    }
    c.ok("DescribeInstances", &[]);
    assert_eq!(c.code("DescribeInstances", &[]), "RequestLimitExceeded");
    let shown = body(send(&c.sim, json("GET", "/_sim/throttled", "")).await).await;
    assert_eq!(shown, r#"{"DescribeInstances":1}"#);
}

#[tokio::test]
async fn quotas_and_consistency_are_set_over_http() {
    let c = Client::new();
    for (path, text) in [
        ("quotas", r#"{"vpcs":1}"#),
        ("consistency", r#"{"min_ms":5,"max_ms":9}"#),
    ] {
        let response = send(&c.sim, json("POST", &format!("/_sim/{path}"), text)).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{path}");
    }
    assert_eq!(
        c.code("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]),
        "VpcLimitExceeded"
    );
    let gateway = text(&c.ok("CreateInternetGateway", &[]), "internetGatewayId");
    assert!(!c.ok("DescribeInternetGateways", &[]).contains(&gateway));
    c.sim.advance(9);
    assert!(c.ok("DescribeInternetGateways", &[]).contains(&gateway));
}

#[tokio::test]
async fn a_policy_is_given_and_taken_over_http() {
    let c = Client::new();
    let allow = r#"{"Effect":"Allow","Action":"ec2:DescribeVpcs","Resource":"*"}"#;
    let give = |policy: String| {
        let order = format!(r#"{{"access_key":"test","policy":{policy}}}"#);
        let sim = c.sim.clone();
        async move { send(&sim, json("POST", "/_sim/policy", &order)).await }
    };
    let given = give(format!(r#"{{"Statement":{allow}}}"#)).await;
    assert_eq!(given.status(), StatusCode::NO_CONTENT);
    c.ok("DescribeVpcs", &[]);
    assert_eq!(c.code("DescribeSubnets", &[]), "UnauthorizedOperation");
    let refused = give(r#"{"Statement":{"Effect":"Maybe"}}"#.to_owned()).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let said = body(refused).await;
    assert!(
        said.starts_with("policy: Statement[0].Effect: must be"),
        "{said}"
    );
    assert_eq!(
        give("null".to_owned()).await.status(),
        StatusCode::NO_CONTENT
    );
    c.ok("DescribeSubnets", &[]);
}
