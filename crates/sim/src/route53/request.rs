//! A REST request, read into parameters: those of the path and of the query by their names, and a body's elements by the
//! names of those around them, as `ChangeBatch.Changes.Change.1.Action`. So every parameter that an action does not know
//! is refused here as well.

use std::borrow::Cow;

use axum::http::Method;
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::protocol::ApiError;
use crate::protocol::auth::Service;

/// The elements that may come more than once.
const REPEATED: [&str; 2] = ["Change", "ResourceRecord"];

type Pairs = Vec<(String, String)>;

/// Whether a path is one of Route 53's.
pub(crate) fn is_asked(path: &str) -> bool {
    path.split('/').nth(1) == Some(Service::Route53.version())
}

/// What a request asks for, with its action.
pub(crate) fn read(
    method: &Method,
    path: &str,
    query: Option<&str>,
    body: &[u8],
) -> Result<Pairs, ApiError> {
    let parts: Vec<&str> = path.split('/').skip(2).collect();
    let (action, id, root) = match (method.as_str(), &parts[..]) {
        ("POST", ["hostedzone"]) => ("CreateHostedZone", None, true),
        ("GET", ["hostedzone"]) => ("ListHostedZones", None, false),
        ("GET", ["hostedzone", id]) => ("GetHostedZone", Some(id), false),
        // The SDKs send the slash, and the reference has it.
        ("POST", ["hostedzone", id, "rrset"] | ["hostedzone", id, "rrset", ""]) => {
            ("ChangeResourceRecordSets", Some(id), true)
        }
        ("GET", ["hostedzone", id, "rrset"]) => ("ListResourceRecordSets", Some(id), false),
        ("GET", ["change", id]) => ("GetChange", Some(id), false),
        _ => {
            let message = format!("{method} {path} is no operation that is simulated");
            return Err(ApiError::new(404, "UnknownOperationException", message));
        }
    };
    let mut pairs: Pairs = vec![
        ("Action".to_owned(), action.to_owned()),
        ("Version".to_owned(), Service::Route53.version().to_owned()),
    ];
    pairs.extend(id.map(|id| ("Id".to_owned(), (*id).to_owned())));
    let query = query.unwrap_or_default().split('&');
    for parameter in query.filter(|it| !it.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        pairs.push((name.to_owned(), decoded(value)?));
    }
    if root {
        pairs.extend(elements(body, &format!("{action}Request"))?);
    } else if !body.is_empty() {
        return Err(malformed("the operation takes no body"));
    }
    Ok(pairs)
}

/// The text of each element that has no others in it.
fn elements(body: &[u8], root: &str) -> Result<Pairs, ApiError> {
    let body = std::str::from_utf8(body).map_err(|it| malformed(&it.to_string()))?;
    let mut reader = Reader::from_str(body);
    let mut pairs = Vec::new();
    // The elements around, each with the parts of its name and how many of the repeated ones were in it.
    let mut open: Vec<(String, u32, bool)> = Vec::new();
    let mut text = String::new();
    loop {
        let event = reader
            .read_event()
            .map_err(|it| malformed(&it.to_string()))?;
        match event {
            Event::Start(start) => {
                let name = start.name();
                let name = name.as_ref();
                if open.is_empty() {
                    let namespace = start.try_get_attribute("xmlns").ok().flatten();
                    let namespace = namespace.map(|it| it.value.into_owned());
                    if name != root || namespace.as_deref() != Some(Service::Route53.namespace()) {
                        return Err(malformed(&format!(
                            "the body must be a {root} of the namespace {}",
                            Service::Route53.namespace()
                        )));
                    }
                }
                let mut part = name.to_owned();
                if let Some((_, count, has_children)) = open.last_mut() {
                    *has_children = true;
                    if REPEATED.contains(&name) {
                        *count += 1;
                        part = format!("{name}.{count}");
                    }
                }
                open.push((part, 0, false));
                text.clear();
            }
            Event::End(_) => {
                let path: Vec<&str> = open
                    .iter()
                    .skip(1)
                    .map(|(part, ..)| part.as_str())
                    .collect();
                let path = path.join(".");
                if let Some((_, _, false)) = open.pop() {
                    pairs.push((path, std::mem::take(&mut text)));
                }
            }
            Event::Text(part) => {
                text.push_str(part.trim());
            }
            Event::GeneralRef(part) => {
                let resolved = quick_xml::escape::unescape(&format!("&{};", &*part))
                    .map(Cow::into_owned)
                    .map_err(|it| malformed(&it.to_string()))?;
                text.push_str(&resolved);
            }
            Event::Decl(_) => {}
            Event::Eof if open.is_empty() && !pairs.is_empty() => return Ok(pairs),
            _ => return Err(malformed("the body is not as the operation has it")),
        }
    }
}

fn decoded(text: &str) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap_or(b' '), rest.next().unwrap_or(b' ')];
                let digits = std::str::from_utf8(&digits).unwrap_or_default();
                u8::from_str_radix(digits, 16).map_err(|_| malformed("a bad percent-encoding"))?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|it| malformed(&it.to_string()))
}

fn malformed(why: &str) -> ApiError {
    ApiError::bad(
        "MalformedXML",
        format!(
            "The XML you provided was not well-formed or did not validate against our published schema: {why}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
        <ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeBatch><Changes>
        <Change><Action>UPSERT</Action><ResourceRecordSet><Name>a&amp;b</Name><ResourceRecords>
        <ResourceRecord><Value>192.0.2.1</Value></ResourceRecord><ResourceRecord><Value>192.0.2.2</Value></ResourceRecord>
        </ResourceRecords></ResourceRecordSet></Change><Change><Action>DELETE</Action></Change>
        </Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"#;

    #[test]
    fn the_elements_of_a_body_are_named_by_those_around_them() {
        let path = "/2013-04-01/hostedzone/Z1/rrset/";
        let pairs = read(&Method::POST, path, None, BODY.as_bytes()).unwrap();
        let pairs: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        let set = "ChangeBatch.Changes.Change.1.ResourceRecordSet";
        let record = |n: u32| format!("{set}.ResourceRecords.ResourceRecord.{n}.Value");
        assert_eq!(
            pairs,
            [
                ("Action", "ChangeResourceRecordSets"),
                ("Version", "2013-04-01"),
                ("Id", "Z1"),
                ("ChangeBatch.Changes.Change.1.Action", "UPSERT"),
                (&format!("{set}.Name"), "a&b"),
                (&record(1), "192.0.2.1"),
                (&record(2), "192.0.2.2"),
                ("ChangeBatch.Changes.Change.2.Action", "DELETE"),
            ]
        );
    }

    #[test]
    fn what_is_not_as_the_operation_has_it_is_refused() {
        let code = |method, path, body: &str| {
            read(&method, path, None, body.as_bytes())
                .unwrap_err()
                .code
                .into_owned()
        };
        let zone = "/2013-04-01/hostedzone/Z1";
        assert_eq!(code(Method::DELETE, zone, ""), "UnknownOperationException");
        assert_eq!(code(Method::GET, zone, "<a/>"), "MalformedXML");
        let rrset = format!("{zone}/rrset/");
        for bad in [
            "",
            "<a>",
            "<ChangeResourceRecordSetsRequest/>",
            &BODY.replace("https:", "http:"),
            &BODY.replace("</Changes>", ""),
        ] {
            assert_eq!(code(Method::POST, &rrset, bad), "MalformedXML", "{bad}");
        }
    }

    #[test]
    fn a_query_is_decoded() {
        let pairs = read(
            &Method::GET,
            "/2013-04-01/hostedzone/Z1/rrset",
            Some("name=%5C052.a&maxitems=1"),
            b"",
        )
        .unwrap();
        assert_eq!(pairs[3], ("name".to_owned(), "\\052.a".to_owned()));
        assert_eq!(pairs[4], ("maxitems".to_owned(), "1".to_owned()));
    }
}
