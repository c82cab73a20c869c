//! Who may do what, and how a refusal says it.

use serde_json::Value;

use super::*;

#[test]
fn a_denied_action_is_unauthorized_even_as_a_dry_run() {
    let c = Client::new();
    c.sim.deny("intern", "ec2:CreateVpc");
    let intern = c.as_key("intern");
    for dry_run in ["false", "true"] {
        let error = intern.refusal(
            "CreateVpc",
            &[("CidrBlock", "10.0.0.0/16"), ("DryRun", dry_run)],
        );
        assert_eq!((error.status, &*error.code), (403, "UnauthorizedOperation"));
        assert!(
            error
                .message
                .starts_with("You are not authorized to perform this operation.")
        );
    }
    c.ok("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]);
}

#[test]
fn passing_a_role_needs_iam_passrole_and_the_refusal_decodes_to_it() {
    let c = Client::new();
    let net = c.net();
    let iam = |action, params: &[(&str, &str)]| c.service("iam", action, params).unwrap();
    iam(
        "CreateRole",
        &[("RoleName", "r"), ("AssumeRolePolicyDocument", "{}")],
    );
    iam("CreateInstanceProfile", &[("InstanceProfileName", "p")]);
    iam(
        "AddRoleToInstanceProfile",
        &[("InstanceProfileName", "p"), ("RoleName", "r")],
    );
    c.sim.deny("intern", "iam:PassRole");
    let intern = c.as_key("intern");
    let error = intern.launch_refusal(&net.subnet, &[("IamInstanceProfile.Name", "p")]);
    assert_eq!((error.status, &*error.code), (403, "UnauthorizedOperation"));
    let encoded = error.message.rsplit("message: ").next().unwrap();
    let answer = c
        .service(
            "sts",
            "DecodeAuthorizationMessage",
            &[("EncodedMessage", encoded)],
        )
        .unwrap();
    let decoded: Value =
        serde_json::from_str(&text(&answer, "DecodedMessage").replace("&quot;", "\"")).unwrap();
    assert_eq!(decoded["context"]["action"], "iam:PassRole");
    assert_eq!(
        decoded["context"]["resource"],
        "arn:aws:iam::123456789012:role/r"
    );
    assert_eq!(
        intern.launch(&net.subnet, &[]).len(),
        1,
        "without a profile nothing is passed"
    );
}

#[test]
fn denials_take_wildcards_and_iam_says_access_denied() {
    let c = Client::new();
    c.sim.deny("intern", "ec2:Describe*");
    c.sim.deny("intern", "iam:*");
    let intern = c.as_key("intern");
    assert_eq!(intern.code("DescribeVpcs", &[]), "UnauthorizedOperation");
    let error = intern
        .service("iam", "ListInstanceProfiles", &[])
        .unwrap_err();
    assert_eq!((error.status, &*error.code), (403, "AccessDenied"));
    assert!(intern.service("sts", "GetCallerIdentity", &[]).is_ok());
}

#[test]
fn a_made_up_authorization_message_is_not_valid() {
    let c = Client::new();
    for bad in ["e30=", "%", "bnVsbA=="] {
        let error = c
            .service(
                "sts",
                "DecodeAuthorizationMessage",
                &[("EncodedMessage", bad)],
            )
            .unwrap_err();
        assert_eq!(error.code, "InvalidAuthorizationMessageException", "{bad}");
    }
}
