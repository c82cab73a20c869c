//! docs/COMPATIBILITY.md is held against the specification: what is offered is listed, and what is listed as offered is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const PAGE: &str = include_str!("../../docs/COMPATIBILITY.md");
const VERDICTS: [&str; 3] = ["as documented", "inferred", "not offered"];
/// Schemas of the specification that are no objects of Docker Cloud's: envelopes, requests, and Berth's own.
const NOT_LISTED: [&str; 18] = [
    "AgentAnnouncement",
    "ApiKeyWish",
    "ErrorBody",
    "Health",
    "HeartbeatFacts",
    "InterfaceAddress",
    "MemberWish",
    "NewCredentials",
    "NewNodeCluster",
    "NewTag",
    "NodeChange",
    "NodeClusterChange",
    "OrganizationWish",
    "QuotaWish",
    "Registration",
    "Service",
    "UpgradeReport",
    "UserWish",
];

/// A row of a table: its first cell without its backticks, its verdict, and the rest.
struct Row {
    name: String,
    verdict: &'static str,
    why: &'static str,
}

/// The rows of the page by the heading above them.
fn tables() -> BTreeMap<&'static str, Vec<Row>> {
    let mut tables: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    let mut heading = "";
    for line in PAGE.lines() {
        if let Some(text) = line.trim_start_matches('#').strip_prefix(' ')
            && line.starts_with('#')
        {
            heading = text;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, name, verdict, why, _] = cells.as_slice()
            && *verdict != "verdict"
            && !name.starts_with("---")
        {
            tables.entry(heading).or_default().push(Row {
                name: name.replace('`', ""),
                verdict,
                why,
            });
        }
    }
    tables
}

fn offered(rows: &[Row]) -> BTreeSet<String> {
    let names: Vec<&String> = rows
        .iter()
        .filter(|row| row.verdict != "not offered")
        .map(|row| &row.name)
        .collect();
    let once: BTreeSet<String> = names.iter().map(|name| (*name).clone()).collect();
    assert_eq!(once.len(), names.len(), "a row stands twice: {names:?}");
    once
}

fn specification() -> Value {
    serde_json::from_str(&api::openapi_json()).unwrap()
}

/// Each operation as `GET /path/`, with the parameters of its query.
fn operations(api: &Value) -> BTreeMap<String, Vec<String>> {
    let mut operations = BTreeMap::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let query = parameters
                .filter(|parameter| parameter["in"] == "query")
                .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
                .collect();
            operations.insert(format!("{} {path}", method.to_uppercase()), query);
        }
    }
    operations
}

#[test]
fn every_row_has_a_verdict_and_says_why_where_it_is_not_the_documented_one() {
    let tables = tables();
    assert!(tables.values().map(Vec::len).sum::<usize>() > 150);
    for (heading, rows) in &tables {
        for row in rows {
            assert!(VERDICTS.contains(&row.verdict), "{heading}: {}", row.name);
            assert!(
                row.verdict == "as documented" || row.why.len() > 5,
                "{heading}: {} is {} without a reason",
                row.name,
                row.verdict
            );
        }
    }
}

#[test]
fn every_endpoint_is_listed_and_every_listed_one_is_offered() {
    let listed = offered(&tables()["Endpoints"]);
    let served: BTreeSet<String> = operations(&specification()).into_keys().collect();
    assert_eq!(listed, served);
}

#[test]
fn every_parameter_is_listed_and_every_listed_one_is_offered() {
    let tables = tables();
    let mut listed = offered(&tables["Parameters of lists"]);
    listed.extend(offered(&tables["Parameters of streams"]));
    let served: BTreeSet<String> = operations(&specification())
        .into_iter()
        .flat_map(|(operation, names)| {
            names
                .into_iter()
                .map(move |name| format!("{operation}?{name}"))
        })
        .filter(|parameter| !parameter.ends_with("?limit") && !parameter.ends_with("?offset"))
        .collect();
    assert_eq!(listed, served);
}

#[test]
fn every_field_is_listed_and_every_listed_one_is_offered() {
    let api = specification();
    let tables = tables();
    let schemas = api["components"]["schemas"].as_object().unwrap();
    let mut walked = BTreeSet::new();
    for (name, schema) in schemas {
        if name.starts_with("List_") || NOT_LISTED.contains(&name.as_str()) {
            continue;
        }
        let rows = tables
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} has no table"));
        let served: BTreeSet<String> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(offered(rows), served, "{name}");
        walked.insert(name.as_str());
    }
    let objects = tables.keys().filter(|heading| !heading.contains(' '));
    for heading in objects.filter(|h| !["Endpoints", "Transport"].contains(h)) {
        assert!(
            walked.contains(heading),
            "{heading} is no object of the specification"
        );
    }
}
