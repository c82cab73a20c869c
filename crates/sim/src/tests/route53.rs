//! Route 53.

use axum::http::Method;
use serde_json::json;

use super::*;
use crate::route53;

const ZONE_OF: &str = "example.com";

impl Client {
    fn rest(&self, method: &Method, target: &str, body: &str) -> Result<String, ApiError> {
        let header = format!(
            "AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/route53/aws4_request, SignedHeaders=host, Signature=0",
            self.key
        );
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let pairs = route53::read(
            method,
            &format!("/2013-04-01/{path}"),
            query,
            body.as_bytes(),
        );
        match request(&self.sim, Some(&header), None, true, pairs).2 {
            Reply::AtOnce(answer) | Reply::After(_, _, answer) => answer,
            Reply::Never(_) | Reply::Lost => panic!("no fault was ordered"),
        }
    }

    fn shown(&self, target: &str) -> String {
        self.rest(&Method::GET, target, "").unwrap()
    }

    fn zone(&self) -> String {
        let answer = self.create_zone(ZONE_OF, "one").unwrap();
        text(&answer, "Id").replace("/hostedzone/", "")
    }

    fn create_zone(&self, name: &str, reference: &str) -> Result<String, ApiError> {
        let body = wrapped(
            "CreateHostedZone",
            &format!("<Name>{name}</Name><CallerReference>{reference}</CallerReference>"),
        );
        self.rest(&Method::POST, "hostedzone", &body)
    }

    fn change(&self, zone: &str, changes: &[String]) -> Result<String, ApiError> {
        let changes = changes.concat();
        let body = wrapped(
            "ChangeResourceRecordSets",
            &format!("<ChangeBatch><Changes>{changes}</Changes></ChangeBatch>"),
        );
        self.rest(&Method::POST, &format!("hostedzone/{zone}/rrset/"), &body)
    }

    /// The messages with which a batch is refused.
    fn refused(&self, zone: &str, changes: &[String]) -> String {
        let error = self.change(zone, changes).unwrap_err();
        assert_eq!(
            (error.status, &*error.code),
            (400, "InvalidChangeBatch"),
            "{error:?}"
        );
        error.message
    }

    fn names(&self, zone: &str) -> Vec<String> {
        texts(&self.shown(&format!("hostedzone/{zone}/rrset")), "Name")
    }
}

fn wrapped(action: &str, content: &str) -> String {
    format!(
        "<{action}Request xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">{content}</{action}Request>"
    )
}

fn change(action: &str, name: &str, kind: &str, values: &[&str]) -> String {
    let record = |value: &&str| format!("<ResourceRecord><Value>{value}</Value></ResourceRecord>");
    let records: String = values.iter().map(record).collect();
    format!(
        "<Change><Action>{action}</Action><ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type><TTL>30</TTL>\
         <ResourceRecords>{records}</ResourceRecords></ResourceRecordSet></Change>"
    )
}

fn a(action: &str, name: &str, address: &str) -> String {
    change(action, name, "A", &[address])
}

#[test]
fn a_hosted_zone_is_made_with_its_name_servers_and_listed() {
    let client = Client::new();
    let id = client.zone();
    let shown = client.shown(&format!("hostedzone/{id}"));
    assert_eq!(text(&shown, "Name"), "example.com.");
    assert_eq!(text(&shown, "ResourceRecordSetCount"), "2");
    assert_eq!(
        client.create_zone("example.org", "one").unwrap_err().code,
        "HostedZoneAlreadyExists"
    );
    assert_eq!(
        client.create_zone("exam ple.org", "two").unwrap_err().code,
        "InvalidDomainName"
    );
    client.create_zone("example.org", "two").unwrap();
    let page = client.shown("hostedzone?maxitems=1");
    assert_eq!(
        (texts(&page, "Id").len(), text(&page, "IsTruncated")),
        (1, "true".to_owned())
    );
    let next = client.shown(&format!("hostedzone?marker={}", text(&page, "NextMarker")));
    assert_eq!(
        (texts(&next, "Id").len(), text(&next, "IsTruncated")),
        (1, "false".to_owned())
    );
    let unknown = client.rest(&Method::GET, "hostedzone/Z1", "").unwrap_err();
    assert_eq!((unknown.status, &*unknown.code), (404, "NoSuchHostedZone"));
}

#[test]
fn another_account_does_not_see_the_zone() {
    let client = Client::new();
    let id = client.zone();
    let other = client.as_key("111122223333");
    let unknown = other.rest(&Method::GET, &format!("hostedzone/{id}"), "");
    assert_eq!(unknown.unwrap_err().code, "NoSuchHostedZone");
}

#[test]
fn records_are_made_replaced_and_removed_by_the_value_that_they_have() {
    let client = Client::new();
    let id = client.zone();
    client
        .change(
            &id,
            &[
                a("UPSERT", "*.A.example.com", "192.0.2.1"),
                a("CREATE", "a.example.com.", "192.0.2.1"),
            ],
        )
        .unwrap();
    assert_eq!(
        client.names(&id)[2..],
        ["a.example.com.", "\\052.a.example.com."]
    );
    client
        .change(&id, &[a("UPSERT", "a.example.com", "192.0.2.2")])
        .unwrap();
    let wrong = client.refused(
        &id,
        &[
            a("CREATE", "a.example.com", "192.0.2.2"),
            a("DELETE", "*.a.example.com", "192.0.2.2"),
            a("DELETE", "b.example.com", "192.0.2.2"),
        ],
    );
    let wrong: Vec<&str> = wrong.lines().collect();
    assert_eq!(
        wrong,
        [
            "Tried to create resource record set [name='a.example.com.', type='A'] but it already exists",
            "Tried to delete resource record set [name='\\052.a.example.com.', type='A'] but the values provided do not match the current values",
            "Tried to delete resource record set [name='b.example.com.', type='A'] but it was not found",
        ]
    );
    client
        .change(
            &id,
            &[
                a("DELETE", "a.example.com", "192.0.2.2"),
                a("DELETE", "*.a.example.com", "192.0.2.1"),
            ],
        )
        .unwrap();
    assert_eq!(client.names(&id).len(), 2);
}

#[test]
fn a_batch_is_done_whole_or_not_at_all() {
    let client = Client::new();
    let id = client.zone();
    for (bad, said) in [
        (
            a("UPSERT", "b.example.org", "192.0.2.1"),
            "RRSet with DNS name b.example.org. is not permitted in zone example.com.",
        ),
        (
            a("UPSERT", "b.example.com", "192.0.2.256"),
            "Invalid Resource Record: '192.0.2.256'",
        ),
        (
            change("UPSERT", "b.example.com", "AAAA", &["192.0.2.1"]),
            "Invalid Resource Record: '192.0.2.1'",
        ),
        (
            a("UPSERT", "A.example.com", "192.0.2.2"),
            "invalid set of changes for a resource record set 'A a.example.com.'",
        ),
        (
            change("UPSERT", "a.example.com", "CNAME", &["example.net"]),
            "a conflicting RRSet of type A",
        ),
    ] {
        let wrong = client.refused(&id, &[a("UPSERT", "a.example.com", "192.0.2.1"), bad]);
        assert!(wrong.contains(said), "{wrong}");
        assert_eq!(client.names(&id).len(), 2, "{said}");
    }
}

#[test]
fn what_is_not_simulated_is_refused() {
    let client = Client::new();
    let id = client.zone();
    let good = a("UPSERT", "a.example.com", "192.0.2.1");
    for (from, to) in [
        ("UPSERT", "REPLACE"),
        ("<Type>A<", "<Type>MX<"),
        ("<TTL>30<", "<TTL>-1<"),
        ("a.example.com", "a..example.com"),
        (
            "<TTL>30</TTL>",
            "<TTL>30</TTL><SetIdentifier>s</SetIdentifier>",
        ),
        ("<Value>192.0.2.1</Value>", "<Values>192.0.2.1</Values>"),
    ] {
        let error = client.change(&id, &[good.replace(from, to)]).unwrap_err();
        assert_ne!(error.code, "InvalidChangeBatch", "{to}");
    }
    client.change(&id, &[good]).unwrap();
    assert_eq!(client.change(&id, &[]).unwrap_err().code, "InvalidInput");
}

#[test]
fn a_request_has_a_thousand_records_of_which_an_upsert_counts_twice() {
    let client = Client::new();
    let id = client.zone();
    let changes = |action: &str, count: usize| -> Vec<String> {
        (0..count)
            .map(|n| a(action, &format!("n{n}.example.com"), "192.0.2.1"))
            .collect()
    };
    let wrong = client.refused(&id, &changes("UPSERT", 501));
    assert_eq!(wrong, "Number of records limit of 1000 exceeded.");
    client.change(&id, &changes("UPSERT", 500)).unwrap();
    client.change(&id, &changes("DELETE", 500)).unwrap();
    client.change(&id, &changes("CREATE", 1_000)).unwrap();
}

#[test]
fn a_request_has_32000_characters_of_which_those_of_an_upsert_count_twice() {
    let client = Client::new();
    let id = client.zone();
    let text = |n: usize| {
        let value = format!("\"{}\"", "x".repeat(n - 2));
        [change("UPSERT", "t.example.com", "TXT", &[&value])]
    };
    assert_eq!(
        client.refused(&id, &text(16_001)),
        "Number of characters limit of 32000 exceeded."
    );
    client.change(&id, &text(16_000)).unwrap();
}

#[test]
fn records_are_listed_by_pages_and_from_a_name_on() {
    let client = Client::new();
    let id = client.zone();
    let names = [
        "b.a.example.com",
        "c.example.com",
        "*.a.example.com",
        "a.example.com",
    ];
    let changes = names.map(|name| a("UPSERT", name, "192.0.2.1"));
    client.change(&id, &changes).unwrap();
    let listed = client.names(&id);
    let expected = [
        "example.com.",
        "example.com.",
        "a.example.com.",
        "\\052.a.example.com.",
        "b.a.example.com.",
        "c.example.com.",
    ];
    assert_eq!(listed, expected);
    let list = |query: &str| client.shown(&format!("hostedzone/{id}/rrset?{query}"));
    let page = list("name=a.example.com&maxitems=2");
    assert_eq!(texts(&page, "Name"), expected[2..4]);
    assert_eq!(
        (text(&page, "IsTruncated"), text(&page, "NextRecordName")),
        ("true".to_owned(), "b.a.example.com.".to_owned())
    );
    let next = list("name=b.a.example.com.&type=A");
    assert_eq!(texts(&next, "Name"), expected[4..]);
    for bad in ["type=A", "maxitems=0", "maxitems=301", "names=a"] {
        let answer = client.rest(&Method::GET, &format!("hostedzone/{id}/rrset?{bad}"), "");
        assert!(answer.is_err(), "{bad}");
    }
}

#[test]
fn a_change_is_pending_for_a_while() {
    let client = Client::new();
    let id = client.zone();
    let answer = client
        .change(&id, &[a("UPSERT", "a.example.com", "192.0.2.1")])
        .unwrap();
    assert_eq!(text(&answer, "Status"), "PENDING");
    let target = text(&answer, "Id")[1..].to_owned();
    assert_eq!(text(&client.shown(&target), "Status"), "PENDING");
    client.sim.advance(1_000);
    assert_eq!(text(&client.shown(&target), "Status"), "INSYNC");
    assert_eq!(
        client.rest(&Method::GET, "change/C1", "").unwrap_err().code,
        "NoSuchChange"
    );
}

#[test]
fn an_account_has_five_requests_a_second() {
    let client = Client::with(|config| config.throttling = true);
    let id = client.zone();
    let ask = || client.rest(&Method::GET, &format!("hostedzone/{id}"), "");
    for _ in 0..4 {
        ask().unwrap();
    }
    let refused = ask().unwrap_err();
    assert_eq!((refused.status, &*refused.code), (400, "Throttling"));
    assert_eq!(client.sim.throttled()["GetHostedZone"], 1);
    client.sim.advance(200);
    ask().unwrap();
    ask().unwrap_err();
    // Another account has its own.
    client
        .as_key("111122223333")
        .rest(&Method::GET, "hostedzone", "")
        .unwrap();
}

#[test]
fn a_policy_says_in_which_zone_records_may_be_changed() {
    let client = Client::new();
    let id = client.zone();
    let policy = json!({"Statement": {
        "Effect": "Allow",
        "Action": "route53:ChangeResourceRecordSets",
        "Resource": format!("arn:aws:route53:::hostedzone/{id}"),
    }});
    client.sim.set_policy("berth", Some(&policy)).unwrap();
    let other = client.create_zone("example.org", "two").unwrap();
    let other = text(&other, "Id").replace("/hostedzone/", "");
    let berth = client.as_key("berth");
    berth
        .change(&id, &[a("UPSERT", "a.example.com", "192.0.2.1")])
        .unwrap();
    let denied = berth
        .change(&other, &[a("UPSERT", "a.example.org", "192.0.2.1")])
        .unwrap_err();
    assert_eq!((denied.status, &*denied.code), (403, "AccessDenied"));
    let sentence = format!(
        "is not authorized to perform: route53:ChangeResourceRecordSets on resource: arn:aws:route53:::hostedzone/{other}"
    );
    assert!(denied.message.contains(&sentence), "{}", denied.message);
    assert_eq!(
        berth.rest(&Method::GET, "hostedzone", "").unwrap_err().code,
        "AccessDenied"
    );
}

#[test]
fn a_signature_is_for_one_service() {
    let client = Client::new();
    let error = client
        .service("route53", "GetHostedZone", &[("Id", "Z1")])
        .unwrap_err();
    assert_eq!(error.code, "SignatureDoesNotMatch");
}

#[test]
fn a_batch_that_is_refused_is_answered_in_a_form_of_its_own() {
    let error = ApiError::bad("InvalidChangeBatch", "one\ntwo");
    let body = error.body(crate::protocol::auth::Service::Route53, "r");
    assert!(body.contains("<InvalidChangeBatch xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Messages><Message>one</Message><Message>two</Message></Messages>"), "{body}");
}
