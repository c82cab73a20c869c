//! Policy documents: what they are refused for, and what they allow.

use serde_json::{Value, json};

use super::*;

const BERTHS: &str = include_str!("../../../../docs/iam-policy.json");

fn statement(effect: &str, action: &Value, resource: &Value, condition: &Value) -> Value {
    json!({"Effect": effect, "Action": action, "Resource": resource, "Condition": condition})
}

/// A caller with these statements, beside the account's owner, who has no policy.
fn with_policy(statements: &Value) -> (Client, Client) {
    let owner = Client::new();
    let document = json!({"Version": "2012-10-17", "Statement": statements});
    owner.sim.set_policy("intern", Some(&document)).unwrap();
    let intern = owner.as_key("intern");
    (owner, intern)
}

fn allow(action: &str) -> Value {
    statement("Allow", &json!(action), &json!("*"), &json!({}))
}

const VPC: [(&str, &str); 1] = [("CidrBlock", "10.9.0.0/16")];
const DENIED: &str = "UnauthorizedOperation";

#[test]
fn a_key_without_a_policy_may_do_everything_and_one_with_it_what_it_allows() {
    let (owner, intern) = with_policy(&json!([allow("ec2:Describe*")]));
    owner.ok("CreateVpc", &VPC);
    intern.ok("DescribeVpcs", &[]);
    let error = intern.refusal("CreateVpc", &VPC);
    assert_eq!((error.status, &*error.code), (403, DENIED));
    let words = "User: arn:aws:iam::123456789012:user/intern is not authorized to perform: ec2:CreateVpc on resource: \
         arn:aws:ec2:sa-east-1:123456789012:vpc/* because no identity-based policy allows the ec2:CreateVpc action. \
         Encoded authorization failure message: ";
    assert!(error.message.contains(words), "{}", error.message);
    let error = intern.service("iam", "ListInstanceProfiles", &[]);
    assert_eq!(error.unwrap_err().code, "AccessDenied");
    assert!(intern.service("sts", "GetCallerIdentity", &[]).is_ok());
    intern.sim.set_policy("intern", None).unwrap();
    intern.ok("CreateVpc", &VPC);
}

#[test]
fn an_explicit_deny_wins_over_every_allow() {
    let deny = statement("Deny", &json!("ec2:CreateVpc"), &json!("*"), &json!({}));
    let (_, intern) = with_policy(&json!([allow("*"), deny, allow("ec2:CreateVpc")]));
    let error = intern.refusal("CreateVpc", &VPC);
    assert!(
        error
            .message
            .contains("with an explicit deny in an identity-based policy"),
        "{}",
        error.message
    );
    intern.ok("CreateInternetGateway", &[]);
}

#[test]
fn actions_are_matched_with_wildcards_whatever_their_case_and_also_by_exclusion() {
    let (_, intern) = with_policy(&json!([allow("EC2:createinternet*")]));
    intern.ok("CreateInternetGateway", &[]);
    let not = json!({"Effect": "Allow", "NotAction": ["ec2:CreateVpc", "iam:*"], "Resource": "*"});
    let (_, intern) = with_policy(&json!(not));
    intern.ok("CreateInternetGateway", &[]);
    assert_eq!(intern.code("CreateVpc", &VPC), DENIED);
}

#[test]
fn every_resource_that_a_call_is_about_must_be_allowed() {
    let owner = Client::new();
    let net = owner.net();
    let of = |kind: &str, id: &str| json!(format!("arn:aws:ec2:*:123456789012:{kind}/{id}"));
    let launch_on = |resources: Vec<Value>| {
        let on = statement(
            "Allow",
            &json!("ec2:RunInstances"),
            &json!(resources),
            &json!({}),
        );
        let document = json!({"Statement": on});
        owner.sim.set_policy("intern", Some(&document)).unwrap();
        let intern = owner.as_key("intern");
        let more = [("SecurityGroupId.1", net.group.as_str())];
        intern.ask("RunInstances", &intern.launch_params(&net.subnet, &more))
    };
    let all = [
        of("instance", "*"),
        of("network-interface", "*"),
        of("volume", "*"),
        of("subnet", &net.subnet),
        of("security-group", &net.group),
        json!("arn:aws:ec2:sa-east-1::image/ami-*"),
    ];
    launch_on(all.to_vec()).unwrap();
    for missing in 0..all.len() {
        let mut rest = all.to_vec();
        let gone = rest.remove(missing);
        assert_eq!(launch_on(rest).unwrap_err().code, DENIED, "{gone}");
    }
    let elsewhere = json!("arn:aws:ec2:us-east-1:123456789012:*");
    assert_eq!(launch_on(vec![elsewhere]).unwrap_err().code, DENIED);
    // A wildcard does not reach over a colon, here from the region into the account.
    let short = json!("arn:aws:ec2:sa-*12::*");
    assert_eq!(launch_on(vec![short]).unwrap_err().code, DENIED);
}

#[test]
fn not_resource_is_everything_else() {
    let owner = Client::new();
    let net = owner.net();
    let spared = format!("arn:aws:ec2:sa-east-1:123456789012:subnet/{}", net.subnet);
    let document =
        json!({"Statement": {"Effect": "Allow", "Action": "ec2:*", "NotResource": spared}});
    owner.sim.set_policy("intern", Some(&document)).unwrap();
    let intern = owner.as_key("intern");
    let error = intern.refusal("DeleteSubnet", &[("SubnetId", &net.subnet)]);
    assert!(error.message.contains(&spared), "{}", error.message);
    intern.ok("DescribeSubnets", &[]);
    intern.ok("DeleteSecurityGroup", &[("GroupId", &net.group)]);
}

/// Whether the condition lets the intern do it.
fn lets(c: &Client, action: &str, condition: &Value, params: &[(&str, &str)]) -> bool {
    let actions = json!([format!("ec2:{action}"), "ec2:CreateTags"]);
    let when = statement("Allow", &actions, &json!("*"), condition);
    let document = json!({"Statement": [when]});
    c.sim.set_policy("intern", Some(&document)).unwrap();
    let dry = params.iter().copied().chain([("DryRun", "true")]);
    let dry: Vec<_> = dry.collect();
    match &*c.as_key("intern").code(action, &dry) {
        DENIED => false,
        "DryRunOperation" => true,
        other => panic!("{action}: {other}"),
    }
}

#[test]
fn conditions_on_the_region_and_on_a_resources_tags() {
    let c = Client::new();
    let net = c.net();
    let delete = [("GroupId", net.group.as_str())];
    let tag = |value| {
        c.ok(
            "CreateTags",
            &[
                ("ResourceId.1", &net.group),
                ("Tag.1.Key", "owner"),
                ("Tag.1.Value", value),
            ],
        );
    };
    let holds = |condition: Value| lets(&c, "DeleteSecurityGroup", &condition, &delete);
    assert!(holds(
        json!({"StringEquals": {"ec2:Region": ["us-east-1", "sa-east-1"]}})
    ));
    assert!(holds(
        json!({"StringEquals": {"aws:requestedregion": "sa-east-1"}})
    ));
    assert!(!holds(
        json!({"StringNotEquals": {"aws:RequestedRegion": "sa-east-1"}})
    ));
    assert!(!holds(
        json!({"StringEquals": {"ec2:CreateAction": "DeleteSecurityGroup"}})
    ));
    // No tag yet.
    assert!(!holds(
        json!({"StringEquals": {"aws:ResourceTag/owner": "me"}})
    ));
    assert!(holds(
        json!({"StringNotEquals": {"aws:ResourceTag/owner": "me"}})
    ));
    assert!(holds(json!({"Null": {"aws:ResourceTag/owner": "true"}})));
    assert!(!holds(json!({"Null": {"ec2:ResourceTag/owner": false}})));
    tag("me");
    assert!(holds(
        json!({"StringEquals": {"aws:ResourceTag/owner": "me"}})
    ));
    assert!(holds(
        json!({"StringLike": {"ec2:ResourceTag/Owner": "m?"}})
    ));
    assert!(!holds(
        json!({"StringNotLike": {"ec2:ResourceTag/owner": ["x*", "m*"]}})
    ));
    assert!(holds(json!({"Null": {"ec2:ResourceTag/owner": "false"}})));
    tag("true");
    assert!(holds(json!({"Bool": {"aws:ResourceTag/owner": true}})));
    // All operators and all keys of a condition must hold.
    assert!(!holds(json!({
        "Bool": {"aws:ResourceTag/owner": true},
        "StringEquals": {"ec2:Region": "us-east-1"},
    })));
}

#[test]
fn conditions_on_the_tags_that_a_call_gives() {
    let c = Client::new();
    let params = [
        VPC[0],
        ("TagSpecification.1.ResourceType", "vpc"),
        ("TagSpecification.1.Tag.1.Key", "a"),
        ("TagSpecification.1.Tag.1.Value", "1"),
        ("TagSpecification.1.Tag.2.Key", "b"),
        ("TagSpecification.1.Tag.2.Value", "2"),
    ];
    let tagged = |condition: Value| lets(&c, "CreateVpc", &condition, &params);
    let plain = |condition: Value| lets(&c, "CreateVpc", &condition, &VPC);
    assert!(tagged(json!({"StringEquals": {"aws:RequestTag/a": "1"}})));
    assert!(!plain(json!({"StringEquals": {"aws:RequestTag/a": "1"}})));
    assert!(!tagged(
        json!({"ForAllValues:StringEquals": {"aws:TagKeys": "a"}})
    ));
    assert!(tagged(
        json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b", "c"]}})
    ));
    assert!(
        plain(json!({"ForAllValues:StringEquals": {"aws:TagKeys": "a"}})),
        "of none"
    );
    assert!(!tagged(
        json!({"ForAnyValue:StringLike": {"aws:TagKeys": "A*"}})
    ));
    assert!(tagged(
        json!({"ForAnyValue:StringLike": {"aws:TagKeys": "a*"}})
    ));
    assert!(!plain(
        json!({"ForAnyValue:StringLike": {"aws:TagKeys": "a*"}})
    ));
    assert!(plain(json!({"Null": {"aws:TagKeys": "true"}})));
}

#[test]
fn tags_of_what_is_created_need_create_tags_by_that_action() {
    let tagging = |when: &str| {
        let condition = json!({"StringEquals": {"ec2:CreateAction": when}});
        statement("Allow", &json!("ec2:CreateTags"), &json!("*"), &condition)
    };
    let params = [
        VPC[0],
        ("TagSpecification.1.ResourceType", "vpc"),
        ("TagSpecification.1.Tag.1.Key", "a"),
    ];
    let (_, intern) = with_policy(&json!([allow("ec2:CreateVpc")]));
    intern.ok("CreateVpc", &VPC);
    let error = intern.refusal("CreateVpc", &params);
    assert!(
        error.message.contains(
            "perform: ec2:CreateTags on resource: arn:aws:ec2:sa-east-1:123456789012:vpc/*"
        )
    );
    let (_, intern) = with_policy(&json!([allow("ec2:CreateVpc"), tagging("RunInstances")]));
    assert_eq!(intern.code("CreateVpc", &params), DENIED);
    let (_, intern) = with_policy(&json!([allow("ec2:CreateVpc"), tagging("CreateVpc")]));
    let vpc = text(&intern.ok("CreateVpc", &params), "vpcId");
    let later = [("ResourceId.1", vpc.as_str()), ("Tag.1.Key", "b")];
    assert_eq!(intern.code("CreateTags", &later), DENIED, "not by itself");
}

#[test]
fn passing_a_role_is_asked_for_by_the_roles_arn_and_for_ec2() {
    let pass = |resource: &str, service: &str| {
        let condition = json!({"StringEquals": {"iam:PassedToService": service}});
        let pass = statement(
            "Allow",
            &json!("iam:PassRole"),
            &json!(resource),
            &condition,
        );
        let (owner, intern) = with_policy(&json!([allow("ec2:*"), pass]));
        let net = owner.net();
        for (action, params) in [
            (
                "CreateRole",
                vec![("RoleName", "r"), ("AssumeRolePolicyDocument", "{}")],
            ),
            ("CreateInstanceProfile", vec![("InstanceProfileName", "p")]),
            (
                "AddRoleToInstanceProfile",
                vec![("InstanceProfileName", "p"), ("RoleName", "r")],
            ),
        ] {
            owner.service("iam", action, &params).unwrap();
        }
        let more = [("IamInstanceProfile.Name", "p")];
        intern
            .ask("RunInstances", &intern.launch_params(&net.subnet, &more))
            .is_ok()
    };
    assert!(pass("arn:aws:iam::*:role/*", "ec2.amazonaws.com"));
    assert!(!pass("arn:aws:iam::*:role/*", "lambda.amazonaws.com"));
    assert!(!pass("arn:aws:iam::*:role/other", "ec2.amazonaws.com"));
}

#[test]
fn what_does_not_exist_is_not_found_where_only_its_tags_are_in_question() {
    let tagged = json!({"Null": {"aws:ResourceTag/mine": "false"}});
    let end = statement(
        "Allow",
        &json!("ec2:TerminateInstances"),
        &json!("*"),
        &tagged,
    );
    let (owner, intern) = with_policy(&json!([end]));
    let unknown = [("InstanceId.1", "i-0123456789abcdef0")];
    assert_eq!(
        intern.code("TerminateInstances", &unknown),
        "InvalidInstanceID.NotFound"
    );
    assert_eq!(intern.code("StopInstances", &unknown), DENIED);
    let net = owner.net();
    let id = owner.launch(&net.subnet, &[]).remove(0);
    let theirs = [("InstanceId.1", id.as_str())];
    assert_eq!(intern.code("TerminateInstances", &theirs), DENIED);
    owner.ok(
        "CreateTags",
        &[("ResourceId.1", &id), ("Tag.1.Key", "mine")],
    );
    intern.ok("TerminateInstances", &theirs);
}

#[test]
fn the_policy_that_users_give_to_berth_can_be_evaluated() {
    let document: Value = serde_json::from_str(BERTHS).unwrap();
    let c = Client::new();
    c.sim.set_policy("berth", Some(&document)).unwrap();
    let berth = c.as_key("berth");
    let net = c.net();
    berth.ok("DescribeInstances", &[]);
    assert_eq!(
        berth.code("DeleteSubnet", &[("SubnetId", &net.subnet)]),
        DENIED
    );
    assert_eq!(berth.code("DeleteVpc", &[("VpcId", &net.vpc)]), DENIED);
    let mark = ("Tag.1.Key", "berth:installation");
    c.ok("CreateTags", &[("ResourceId.1", &net.subnet), mark]);
    berth.ok("DeleteSubnet", &[("SubnetId", &net.subnet)]);
}

#[test]
fn a_document_with_anything_unknown_is_refused_and_changes_nothing() {
    let c = Client::new();
    let sound = json!({"Effect": "Allow", "Action": "ec2:*", "Resource": "*"});
    let with = |field: &str, value: Value| {
        let mut statement = sound.clone();
        statement[field] = value;
        json!({"Statement": [sound, statement]})
    };
    for (document, words) in [
        (json!([]), "the policy must be an object"),
        (json!({}), "Statement: must be a list of statements"),
        (json!({"Statement": []}), "Statement: must be"),
        (
            json!({"Statement": ["x"]}),
            "Statement[0]: must be an object",
        ),
        (
            json!({"Version": "2020-01-01", "Statement": sound}),
            "Version: must be",
        ),
        (json!({"Id": 1, "Statement": sound}), "Id: must be a string"),
        (
            json!({"Statements": [sound]}),
            "Statements: must be one of Version",
        ),
        (
            with("Effect", json!("allow")),
            "Statement[1].Effect: must be \"Allow\" or \"Deny\"",
        ),
        (
            with("Principal", json!("*")),
            "Statement[1].Principal: must be one of",
        ),
        (
            with("Sid", json!("a b")),
            "Statement[1].Sid: must be letters and digits",
        ),
        (
            with("NotAction", json!("*")),
            "Statement[1]: must have either Action or NotAction",
        ),
        (
            with("Action", json!([])),
            "Statement[1].Action: must be a string or a list",
        ),
        (
            with("Action", json!(["ec2"])),
            "Statement[1].Action: 'ec2' is none",
        ),
        (
            with("Resource", json!("vpc-1")),
            "Statement[1].Resource: 'vpc-1' is none",
        ),
        (
            with("Resource", json!("arn:aws:ec2:*:*:vpc/${aws:username}")),
            "or has what is not simulated",
        ),
        (
            with(
                "Condition",
                json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
            ),
            "Statement[1].Condition.IpAddress.aws:SourceIp: this condition key is not simulated",
        ),
        (
            with("Condition", json!({"DateLessThan": {"ec2:Region": "x"}})),
            "Condition.DateLessThan.ec2:Region: this condition operator is not simulated",
        ),
        (
            with("Condition", json!({"StringEquals": {"aws:TagKeys": "x"}})),
            "use ForAllValues: or ForAnyValue:",
        ),
        (
            with(
                "Condition",
                json!({"StringEquals": {"aws:RequestTag/": "x"}}),
            ),
            "this condition key is not simulated",
        ),
        (
            with("Condition", json!({"Null": {"ec2:Region": "maybe"}})),
            "must be true or false",
        ),
        (
            with("Condition", json!({"StringEquals": {"ec2:Region": 1}})),
            "1 is not a string",
        ),
        (
            with("Condition", json!({"StringEquals": {"ec2:Region": "${x}"}})),
            "policy variables are not simulated",
        ),
        (
            with("Condition", json!("x")),
            "Statement[1].Condition: must be an object",
        ),
    ] {
        let refusal = c.sim.set_policy("test", Some(&document)).unwrap_err();
        assert!(refusal.contains(words), "{document}: {refusal}");
        c.ok("DescribeVpcs", &[]);
    }
    let twice = json!({"Sid": "S", "Effect": "Allow", "Action": "*", "Resource": "*"});
    let refusal = c
        .sim
        .set_policy("test", Some(&json!({"Statement": [twice, twice]})));
    assert!(
        refusal
            .unwrap_err()
            .contains("Statement[1].Sid: is the Sid of another")
    );
}
