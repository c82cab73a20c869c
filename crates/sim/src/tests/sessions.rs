//! Roles that are assumed: who may, what they may do then, and for how long.

use serde_json::json;

use super::*;

const ACCOUNT: &str = "111122223333";
const ROLE: &str = "arn:aws:iam::111122223333:role/berth";
const VPC: [(&str, &str); 1] = [("CidrBlock", "10.9.0.0/16")];

/// A role in an account of its own that the usual account may assume with this external id, and that may do this.
fn with_role(external_id: &str, action: &str) -> Client {
    let client = Client::new();
    let owner = client.as_key(ACCOUNT);
    let trust = trust(external_id);
    let policy = json!({"Statement": {"Effect": "Allow", "Action": action, "Resource": "*"}});
    let (role, policy) = (("RoleName", "berth"), policy.to_string());
    let made = [role, ("AssumeRolePolicyDocument", &trust)];
    owner.service("iam", "CreateRole", &made).unwrap();
    let given = [
        role,
        ("PolicyName", "berth"),
        ("PolicyDocument", policy.as_str()),
    ];
    owner.service("iam", "PutRolePolicy", &given).unwrap();
    client
}

fn trust(external_id: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
    }]})
    .to_string()
}

fn assume(client: &Client, external_id: &str) -> Result<String, ApiError> {
    let asked = [
        ("RoleArn", ROLE),
        ("RoleSessionName", "one"),
        ("ExternalId", external_id),
    ];
    client.service("sts", "AssumeRole", &asked)
}

/// A client with the temporary credentials of an answer.
fn session(client: &Client, answer: &str) -> Client {
    let leak = |name| &*text(answer, name).leak();
    Client {
        token: Some(leak("SessionToken")),
        ..client.as_key(leak("AccessKeyId"))
    }
}

#[test]
fn a_role_acts_in_its_own_account_and_may_do_what_its_policies_allow() {
    let client = with_role("secret", "ec2:CreateVpc");
    let answer = assume(&client, "secret").unwrap();
    assert!(answer.contains("arn:aws:sts::111122223333:assumed-role/berth/one"));
    let role = session(&client, &answer);
    let identity = role.service("sts", "GetCallerIdentity", &[]).unwrap();
    assert_eq!(text(&identity, "Account"), ACCOUNT);
    role.ok("CreateVpc", &VPC);
    assert_eq!(
        client.sim.network(ACCOUNT, "sa-east-1").vpcs.len(),
        client
            .sim
            .network(default_account(), "sa-east-1")
            .vpcs
            .len()
            + 1
    );
    let refusal = role.refusal("CreateInternetGateway", &[]);
    assert_eq!(refusal.code, "UnauthorizedOperation");
    let words = "because no identity-based policy allows the ec2:CreateInternetGateway action";
    assert!(refusal.message.contains(words), "{}", refusal.message);
}

#[test]
fn nobody_assumes_a_role_that_does_not_trust_them() {
    let client = with_role("secret", "ec2:*");
    for (who, external_id) in [("test", "guessed"), ("999988887777", "secret")] {
        let error = assume(&client.as_key(who), external_id).unwrap_err();
        assert_eq!((error.status, &*error.code), (403, "AccessDenied"), "{who}");
        let words = "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::";
        assert!(error.message.contains(words), "{}", error.message);
    }
    let without = [("RoleArn", ROLE), ("RoleSessionName", "one")];
    let error = client.service("sts", "AssumeRole", &without).unwrap_err();
    assert_eq!(error.code, "AccessDenied");
    let none = [
        ("RoleArn", "arn:aws:iam::111122223333:role/none"),
        without[1],
    ];
    let error = client.service("sts", "AssumeRole", &none).unwrap_err();
    assert_eq!(error.code, "AccessDenied");

    // The caller needs the permission as well.
    client.sim.deny("test", "sts:AssumeRole");
    assert_eq!(assume(&client, "secret").unwrap_err().code, "AccessDenied");
}

#[test]
fn trust_can_be_taken_back_and_sessions_end() {
    let client = with_role("secret", "ec2:*");
    let role = session(&client, &assume(&client, "secret").unwrap());
    let other = trust("other");
    let changed = [("RoleName", "berth"), ("PolicyDocument", other.as_str())];
    let owner = client.as_key(ACCOUNT);
    owner
        .service("iam", "UpdateAssumeRolePolicy", &changed)
        .unwrap();
    assert_eq!(assume(&client, "secret").unwrap_err().code, "AccessDenied");
    // The sessions that there are go on to their end.
    role.ok("CreateVpc", &VPC);
    client.sim.advance(3_600_000);
    assert_eq!(role.code("CreateVpc", &VPC), "RequestExpired");
    let error = role.service("sts", "GetCallerIdentity", &[]).unwrap_err();
    assert_eq!(error.code, "ExpiredToken");
}

#[test]
fn temporary_credentials_need_their_token_and_revoked_keys_are_unknown() {
    let client = with_role("secret", "ec2:*");
    let role = session(&client, &assume(&client, "secret").unwrap());
    for token in [None, Some("guessed")] {
        let other = Client {
            token,
            ..role.as_key(role.key)
        };
        assert_eq!(other.code("DescribeVpcs", &[]), "AuthFailure");
    }
    client.sim.revoke("test");
    assert_eq!(client.code("DescribeVpcs", &[]), "AuthFailure");
    let error = client.service("sts", "GetCallerIdentity", &[]).unwrap_err();
    assert_eq!(error.code, "InvalidClientTokenId");
    role.ok("DescribeVpcs", &[]);
}

#[test]
fn nobody_is_known_in_a_region_that_is_off() {
    let client = Client::new();
    client
        .sim
        .set_opted_in(default_account(), "sa-east-1", false);
    assert_eq!(client.code("DescribeVpcs", &[]), "AuthFailure");
    let elsewhere = Client {
        region: "us-east-1",
        ..client.as_key("test")
    };
    let shown = elsewhere.ok("DescribeRegions", &[]);
    assert!(!shown.contains("sa-east-1"));
    let all = elsewhere.ok("DescribeRegions", &[("AllRegions", "true")]);
    assert_eq!(all.matches("not-opted-in").count(), 1, "{all}");
    client
        .sim
        .set_opted_in(default_account(), "sa-east-1", true);
    client.ok("DescribeVpcs", &[]);
}
