//! The original `docker-cloud` command line, as its users run it: every command on node clusters, nodes, tags, actions and
//! events, by its exit code and all that it prints.

use serde_json::{Value, json};
use tests::{DockerCloud, Ended, Options, World};

mod action_ends;
mod actions;
mod clusters;
mod credentials;
mod events;
mod identifiers;
mod namespaces;
mod nodes;
mod offers;
mod refusals;
mod tags;
mod usage;

const REGION: &str = "us-east-1";
const REGION_LABEL: &str = "US East (N. Virginia)";
const TYPE_LABEL: &str = "t3.micro [2 vCPU, 1 GB]";
const CLUSTERS: &str = "/api/infra/v1/nodecluster/";
const NODES: &str = "/api/infra/v1/node/";
const ACTIONS: &str = "/api/audit/v1/action/";
const AUTOMATIC_TAGS: &str = "aws byon=false us-east-1 web nodecluster-name=web";
const NOBODY: &str = "00cc59e1-c605-403c-a5fb-3269b6a0d6bf";

/// Stands in an expected table for how long ago something was: seconds, or less.
const AGO: &str = "a moment ago";

const CLUSTER_TABLE: [&str; 8] = [
    "NAME",
    "UUID",
    "REGION",
    "TYPE",
    "DEPLOYED",
    "STATUS",
    "CURRENT#NODES",
    "TARGET#NODES",
];
const NODE_TABLE: [&str; 6] = [
    "UUID",
    "FQDN",
    "LASTSEEN",
    "STATUS",
    "CLUSTER",
    "DOCKER_VER",
];
const ACTION_TABLE: [&str; 7] = ["UUID", "ACTION", "START", "END", "TARGET", "IP", "LOCATION"];
const TAG_TABLE: [&str; 3] = ["IDENTIFIER", "TYPE", "TAGS"];

/// Without a worker nothing moves by itself.
async fn still_world() -> World {
    World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await
}

/// The user `dev` at their terminal.
fn user(world: &World) -> DockerCloud {
    DockerCloud::new(&world.client)
}

/// What a command has printed that went well and complained of nothing.
#[track_caller]
fn good(ended: Ended) -> String {
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{}",
        ended.stdout
    );
    ended.stdout
}

/// Asserts that a command has failed in its own way, with these complaints; answers with what else it has printed.
#[track_caller]
fn failed(ended: Ended, complaints: &[&str]) -> String {
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines, complaints, "{}", ended.stdout);
    assert_eq!(ended.code, Some(3), "{}", ended.stdout);
    ended.stdout
}

/// How the command line puts an answer of the API that is an error.
fn complaint(world: &World, status: u16, request: &str, path: &str, body: &str) -> String {
    let base = &world.client.base;
    format!("Status {status} ({request} {base}{path}). Response: {body}")
}

/// Asserts what a command with `--sync` has printed: the states of the action, each with a dot for every further look,
/// then the object's id.
#[track_caller]
fn assert_synced(printed: &str, end: &str, id: &str) {
    let lines: Vec<&str> = printed
        .lines()
        .map(|line| line.trim_end_matches('.'))
        .collect();
    // What is quick may be over at the first look.
    let states = lines.strip_prefix(&["In progress"]).unwrap_or(&lines);
    assert_eq!(states, [end, id], "{printed}");
}

/// The cells of a printed table, its heading first: a column begins behind two blanks in every line.
fn table(printed: &str) -> Vec<Vec<String>> {
    let lines: Vec<Vec<char>> = printed.lines().map(|line| line.chars().collect()).collect();
    let width = lines.iter().map(Vec::len).max().unwrap_or_default();
    let is_blank = |at: usize| {
        lines
            .iter()
            .all(|line| line.get(at).is_none_or(|c| *c == ' '))
    };
    let begins =
        |at: &usize| !is_blank(*at) && (1..=2).all(|back| *at < back || is_blank(*at - back));
    let starts: Vec<usize> = (0..width).filter(begins).collect();
    let cells = |line: &Vec<char>| {
        let ends = starts.iter().skip(1).copied().chain([width]);
        starts
            .iter()
            .zip(ends)
            .map(|(start, end)| {
                let cell = line.get(*start..end.min(line.len())).unwrap_or_default();
                cell.iter().collect::<String>().trim().to_owned()
            })
            .collect()
    };
    lines.iter().map(cells).collect()
}

/// A row of an expected table.
fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// Asserts a printed table cell by cell.
#[track_caller]
fn assert_table(printed: &str, heading: &[&str], rows: &[Vec<String>]) {
    let found = table(printed);
    assert_eq!(found[0], heading, "{printed}");
    assert_eq!(found.len() - 1, rows.len(), "{printed}");
    for (found, expected) in found[1..].iter().zip(rows) {
        let same =
            found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| is_cell(f, e));
        assert!(same, "{found:?} is not {expected:?}\n{printed}");
    }
}

fn is_cell(found: &str, expected: &str) -> bool {
    if expected == AGO {
        let words: Vec<&str> = found.split(' ').collect();
        return matches!(
            words.as_slice(),
            [n, "second" | "seconds" | "microsecond" | "microseconds", "ago"] if n.parse::<u32>().is_ok()
        );
    }
    found == expected || (expected.len() == SHORT && is_same_number(found, expected))
}

/// The length to which tables cut ids.
const SHORT: usize = 8;

/// Where all ids of a table look like numbers, 12345e67 say, they are printed as such, with six digits.
fn is_same_number(found: &str, expected: &str) -> bool {
    match (found.parse::<f64>(), expected.parse::<f64>()) {
        (Ok(found), Ok(expected)) => {
            found == expected || (found - expected).abs() <= expected.abs() * 1e-5
        }
        _ => false,
    }
}

fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object[member].as_str().expect("a text")
}

fn uri(object: &Value) -> &str {
    text(object, "resource_uri")
}

fn id(object: &Value) -> &str {
    text(object, "uuid")
}

/// An id as tables show it.
fn short(object: &Value) -> &str {
    &id(object)[..SHORT]
}

/// The objects that `inspect` has printed, one after the other.
fn objects(printed: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(printed)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// An object as `inspect` prints it: with a member for the action that a request started, none of which asked here.
fn inspected(mut object: Value) -> Value {
    object["dockercloud_action_uri"] = json!("");
    object
}

/// All objects of a list, in its order.
async fn all(world: &World, path: &str) -> Vec<Value> {
    let list = world.fetch(&format!("{path}?limit=1000")).await;
    list["objects"].as_array().expect("a list").clone()
}

/// The newest action.
async fn newest_action(world: &World) -> Value {
    all(world, ACTIONS).await.remove(0)
}

/// The lines of an action's log, each with its end, as they are stored.
async fn log_of(world: &World, action: &Value) -> String {
    let lines: Vec<String> = sqlx::query_scalar(
        "SELECT line || chr(10) FROM action_log WHERE action_id = $1::uuid ORDER BY id",
    )
    .bind(id(action))
    .fetch_all(&world.pool)
    .await
    .expect("the log");
    lines.concat()
}

#[test]
fn tables_are_read_by_their_columns() {
    let printed = "NAME    STATUS      CURRENT#NODES    END\n\
                   web     ▶ Deployed              2\n\
                   \n";
    assert_eq!(
        table(printed),
        [
            row(&["NAME", "STATUS", "CURRENT#NODES", "END"]),
            row(&["web", "▶ Deployed", "2", ""]),
            row(&["", "", "", ""]),
        ]
    );
    for found in ["1 second ago", "17 seconds ago", "345000 microseconds ago"] {
        assert!(is_cell(found, AGO), "{found}");
    }
    for found in ["", "9 hours ago", "in 2 seconds", "now"] {
        assert!(!is_cell(found, AGO), "{found}");
    }
    assert!(is_cell("1.2345e+71", "12345e67"));
    assert!(!is_cell("12345e68", "12345e67"));
    assert!(!is_cell("2.0", "2"));
}
