//! What can't be taken, as tables.

use serde_json::{Value, json};

use super::{NODE_TYPE, REGION};

/// Members of a wish, and what the error must begin with and contain.
pub(super) fn wrong_wishes() -> Vec<(Value, &'static str, &'static str)> {
    let options = |options: Value| json!({"provider_options": options});
    let vpc = |vpc: Value| json!({"provider_options": {"vpc": vpc}});
    let tags: Vec<Value> = (0..101).map(|n| json!({"name": format!("t{n}")})).collect();
    let groups: Vec<String> = (0..6).map(|n| format!("sg-0000000{n}")).collect();
    vec![
        (json!({"name": null}), "name: ", "is required"),
        (json!({"name": ""}), "name: ", "is required"),
        (json!({"name": 5}), "name: ", "5 is not a text"),
        (json!({"name": ["web"]}), "name: ", "is not a text"),
        (json!({"name": "my web"}), "name: ", "\"my web\""),
        (json!({"name": "wéb"}), "name: ", "letters, digits"),
        (json!({"name": "a/b"}), "name: ", "letters, digits"),
        (json!({"name": "web\n"}), "name: ", "letters, digits"),
        (json!({"name": "x".repeat(129)}), "name: ", "at most 128"),
        (json!({"name": "we\0b"}), "name: ", "U+0000"),
        (json!({"region": null}), "region: ", "is required"),
        (json!({"region": ""}), "region: ", "is required"),
        (json!({"region": 1}), "region: ", "1 is not a text"),
        (
            json!({"region": "/api/infra/v1/region/aws/us-middle-1/"}),
            "region: ",
            "there is no region \"us-middle-1\"",
        ),
        (
            json!({"region": "/api/infra/v1/region/"}),
            "region: ",
            "a region is /api/infra/v1/region/aws/us-east-1/",
        ),
        (
            json!({"region": "/api/infra/v1/region/azure/us-east-1/"}),
            "region: ",
            "is no URI of this kind",
        ),
        (json!({"region": "a/b/c/d"}), "region: ", "\"a/b/c/d\""),
        (
            json!({"region": "////"}),
            "region: ",
            "is no URI of this kind",
        ),
        (
            json!({"region": NODE_TYPE}),
            "region: ",
            "is no URI of this kind",
        ),
        (json!({"region": "us-east-1\0"}), "region: ", "U+0000"),
        (json!({"node_type": null}), "node_type: ", "is required"),
        (json!({"node_type": {}}), "node_type: ", "{} is not a text"),
        (
            json!({"node_type": "/api/infra/v1/nodetype/aws/t9.mega/"}),
            "node_type: ",
            "there is no node type \"t9.mega\"",
        ),
        (
            json!({"node_type": "/api/infra/v1/nodetype/"}),
            "node_type: ",
            "is no URI of this kind",
        ),
        (
            json!({"node_type": REGION}),
            "node_type: ",
            "is no URI of this kind",
        ),
        (
            json!({"node_type": "/api/infra/v1/nodetype/aws/m3.medium/", "region": "/api/infra/v1/region/aws/eu-west-2/"}),
            "node_type: ",
            "\"m3.medium\" is offered in no zone of eu-west-2",
        ),
        (
            json!({"target_num_nodes": -1}),
            "target_num_nodes: ",
            "-1 is out of range; it must be from 0 to 1000",
        ),
        (
            json!({"target_num_nodes": 1001}),
            "target_num_nodes: ",
            "1001 is out of range",
        ),
        (
            json!({"target_num_nodes": "1001"}),
            "target_num_nodes: ",
            "1001 is out of range",
        ),
        (
            json!({"target_num_nodes": i64::MAX}),
            "target_num_nodes: ",
            "out of range",
        ),
        (
            json!({"target_num_nodes": u64::MAX}),
            "target_num_nodes: ",
            "whole number",
        ),
        (
            json!({"target_num_nodes": "x"}),
            "target_num_nodes: ",
            "\"x\" is not a whole number",
        ),
        (
            json!({"target_num_nodes": ""}),
            "target_num_nodes: ",
            "whole number",
        ),
        (
            json!({"target_num_nodes": 1.5}),
            "target_num_nodes: ",
            "1.5 is not a whole number",
        ),
        (
            json!({"target_num_nodes": 1e300}),
            "target_num_nodes: ",
            "whole number",
        ),
        (
            json!({"target_num_nodes": "9".repeat(400)}),
            "target_num_nodes: ",
            "whole number",
        ),
        (
            json!({"target_num_nodes": true}),
            "target_num_nodes: ",
            "true is not a whole number",
        ),
        (
            json!({"target_num_nodes": [2]}),
            "target_num_nodes: ",
            "[2] is not a whole number",
        ),
        (
            json!({"disk": 7}),
            "disk: ",
            "7 is out of range; it must be from 8 to 16384",
        ),
        (json!({"disk": 16385}), "disk: ", "16385 is out of range"),
        (json!({"disk": -60}), "disk: ", "-60 is out of range"),
        (
            json!({"disk": "60 GB"}),
            "disk: ",
            "\"60 GB\" is not a whole number",
        ),
        (
            json!({"disk": 60.5}),
            "disk: ",
            "60.5 is not a whole number",
        ),
        (
            json!({"nickname": "x".repeat(129)}),
            "nickname: ",
            "at most 128",
        ),
        (
            json!({"nickname": "a\u{1b}[31m"}),
            "nickname: ",
            "control characters",
        ),
        (json!({"nickname": {}}), "nickname: ", "is not a text"),
        (json!({"tags": "web"}), "tags: ", "\"web\" is not a list"),
        (json!({"tags": {"name": "web"}}), "tags: ", "is not a list"),
        (
            json!({"tags": ["web"]}),
            "tags[0]: ",
            "\"web\" is not an object",
        ),
        (
            json!({"tags": [{"name": "a"}, {}]}),
            "tags[1].name: ",
            "is required",
        ),
        (
            json!({"tags": [{"name": 5}]}),
            "tags[0].name: ",
            "5 is not a text",
        ),
        (json!({"tags": [{"name": ""}]}), "tags: ", "1 to 128"),
        (
            json!({"tags": [{"name": "x".repeat(129)}]}),
            "tags: ",
            "1 to 128",
        ),
        (
            json!({"tags": [{"name": "a\0"}]}),
            "tags[0].name: ",
            "U+0000",
        ),
        (json!({"tags": tags}), "tags: ", "more than 100 were given"),
        (
            options(json!("vpc-0a1b2c3d")),
            "provider_options: ",
            "is not an object",
        ),
        (
            options(json!([])),
            "provider_options: ",
            "[] is not an object",
        ),
        (
            options(json!({"vpc": "vpc-0a1b2c3d"})),
            "provider_options.vpc: ",
            "is not an object",
        ),
        (
            vpc(json!({"id": 5})),
            "provider_options.vpc.id: ",
            "5 is not a text",
        ),
        (
            vpc(json!({"id": "vpc-xxxxxxxx"})),
            "provider_options.vpc.id: ",
            "\"vpc-xxxxxxxx\"",
        ),
        (
            vpc(json!({"id": "vpc-0A1B2C3D"})),
            "provider_options.vpc.id: ",
            "hexadecimal",
        ),
        (
            vpc(json!({"id": "vpc-0a1b2c3"})),
            "provider_options.vpc.id: ",
            "8 or 17",
        ),
        (
            vpc(json!({"id": "subnet-0a1b2c3d"})),
            "provider_options.vpc.id: ",
            "vpc-",
        ),
        (
            vpc(json!({"id": "vpc-0a1b2c3d", "subnets": "subnet-0a1b2c3d"})),
            "provider_options.vpc.subnets: ",
            "is not a list",
        ),
        (
            vpc(json!({"id": "vpc-0a1b2c3d", "subnets": ["sg-0a1b2c3d"]})),
            "provider_options.vpc.subnets: ",
            "\"sg-0a1b2c3d\"",
        ),
        (
            vpc(json!({"id": "vpc-0a1b2c3d", "subnets": ["subnet-0a1b2c3d", 5]})),
            "provider_options.vpc.subnets[1]: ",
            "is not a text",
        ),
        (
            vpc(json!({"subnets": ["subnet-0a1b2c3d"]})),
            "provider_options.vpc.id: ",
            "is required",
        ),
        (
            vpc(json!({"id": "", "security_groups": ["sg-0a1b2c3d"]})),
            "provider_options.vpc.id: ",
            "is required",
        ),
        (
            vpc(json!({"id": "vpc-0a1b2c3d", "security_groups": ["sg-1"]})),
            "provider_options.vpc.security_groups: ",
            "\"sg-1\"",
        ),
        (
            vpc(json!({"id": "vpc-0a1b2c3d", "security_groups": groups})),
            "provider_options.vpc.security_groups: ",
            "at most 5",
        ),
        (
            options(json!({"iam": []})),
            "provider_options.iam: ",
            "is not an object",
        ),
        (
            options(
                json!({"iam": {"instance_profile_name": "arn:aws:iam::123456789012:instance-profile/web"}}),
            ),
            "provider_options.iam.instance_profile_name: ",
            "not its ARN",
        ),
        (
            options(json!({"iam": {"instance_profile_name": "a b"}})),
            "provider_options.iam.instance_profile_name: ",
            "\"a b\"",
        ),
        (
            options(json!({"iam": {"instance_profile_name": 5}})),
            "provider_options.iam.instance_profile_name: ",
            "is not a text",
        ),
    ]
}

/// Bodies that are no wish at all, and what the error must contain.
pub(super) fn wrong_bodies() -> Vec<(Vec<u8>, &'static str)> {
    vec![
        (b"{\"name\": ".to_vec(), "the body is not JSON: EOF"),
        (b"{\"name\": \"web\",}".to_vec(), "line 1 column 16"),
        (b"{} {}".to_vec(), "the body is not JSON: trailing"),
        (b"name=web".to_vec(), "the body is not JSON"),
        (
            b"[{\"name\": \"web\"}]".to_vec(),
            "the body must be a JSON object, not a list",
        ),
        (
            b"\"web\"".to_vec(),
            "the body must be a JSON object, not a text",
        ),
        (
            b"5".to_vec(),
            "the body must be a JSON object, not a number",
        ),
        ("[".repeat(200_000).into_bytes(), "recursion"),
        (
            format!("{{\"tags\": {}", "[".repeat(100_000)).into_bytes(),
            "recursion",
        ),
        ("{\"a\":".repeat(100_000).into_bytes(), "recursion"),
        (b"{\"name\": \"\xff\xfe\"}".to_vec(), "not UTF-8"),
        (
            b"{\"name\": \"we\0b\"}".to_vec(),
            "the body is not JSON: control character",
        ),
        (b"\0".to_vec(), "the body is not JSON"),
        (b"{\"name\": \"\\ud800\"}".to_vec(), "the body is not JSON"),
        ("\u{feff}{}".as_bytes().to_vec(), "the body is not JSON"),
    ]
}
