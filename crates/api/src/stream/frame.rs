//! A change as it stands on the wire.

use std::sync::OnceLock;

use axum::extract::ws::Utf8Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;
use store::{action::ObjectType, event::Event};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::uri::{self, Uris};

/// An entry of the event log, with its text: made when the first socket wants it, and shared by all.
#[derive(Debug)]
pub(crate) struct Change {
    /// The entry.
    pub(crate) event: Event,
    plain: OnceLock<Utf8Bytes>,
    /// With the namespace in the URIs. An event is seen in its own namespace alone, so there is only one such text.
    with_namespace: OnceLock<Utf8Bytes>,
}

impl Change {
    /// Of an entry.
    pub(crate) fn new(event: Event) -> Self {
        Self {
            event,
            plain: OnceLock::new(),
            with_namespace: OnceLock::new(),
        }
    }

    /// The text of its frame, with URIs in the form that the request used.
    pub(crate) fn text(&self, uris: &Uris, with_namespace: bool) -> Utf8Bytes {
        let text = match with_namespace {
            true => &self.with_namespace,
            false => &self.plain,
        };
        text.get_or_init(|| text_of(&EventFrame::new(&self.event, uris)))
            .clone()
    }
}

/// One change of a cluster, a node or an action.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventFrame<'a> {
    /// The type of the object: `nodecluster`, `node` or `action`.
    #[serde(rename = "type")]
    #[schema(example = "node")]
    object_type: &'a str,
    /// `create`, `update` or `delete`.
    #[schema(example = "update")]
    action: &'a str,
    /// The URIs of what the object belongs to: a node to its cluster, an action to the object that it is about.
    #[schema(example = json!(["/api/infra/v1/nodecluster/5516df0b-721e-4470-b350-741ff22e63a0/"]))]
    parents: Vec<String>,
    /// The object's URI.
    #[schema(example = "/api/infra/v1/node/00cc59e1-c605-403c-a5fb-3269b6a0d6bf/")]
    resource_uri: String,
    /// The state that the object is in from then on.
    #[schema(example = "Deployed")]
    state: &'a str,
    /// The id of the event: the value of `since` for a client that reconnects.
    uuid: Uuid,
    /// When it happened, as ISO 8601 in UTC.
    #[schema(example = "2016-02-01T16:47:28Z")]
    datetime: String,
}

impl<'a> EventFrame<'a> {
    fn new(event: &'a Event, uris: &Uris) -> Self {
        let parent = event.parent.as_ref();
        Self {
            object_type: &event.object_type,
            action: &event.change,
            parents: parent
                .map(|(object_type, id)| uris.object(*object_type, *id))
                .into_iter()
                .collect(),
            resource_uri: match event.object_type.parse::<ObjectType>() {
                Ok(object_type) => uris.object(object_type, event.object_id),
                // The one type of event that nothing is ever asked of by an action.
                Err(_) => uri::action(event.object_id.into()),
            },
            state: &event.state,
            uuid: event.id,
            datetime: iso_8601(event.created_at),
        }
    }
}

/// A line of a log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogFrame<'a> {
    /// Always `log`.
    #[serde(rename = "type")]
    #[schema(example = "log")]
    kind: &'static str,
    /// The line.
    #[schema(example = "10.78.0.0/16 was made as vpc-0a1b2c3d")]
    log: &'a str,
    /// `stdout`; not there in the stream of a node.
    #[serde(rename = "streamType", skip_serializing_if = "Option::is_none")]
    #[schema(example = "stdout")]
    stream_type: Option<&'static str>,
    /// When it was written, in seconds since 1970.
    #[schema(example = 1433779324)]
    timestamp: i64,
}

/// The frame of a line of an action's log.
pub(crate) fn log_line(line: &str, written_at: DateTime<Utc>) -> Utf8Bytes {
    text_of(&LogFrame {
        kind: "log",
        log: line,
        stream_type: Some("stdout"),
        timestamp: written_at.timestamp(),
    })
}

/// The frame of what happened to a node.
pub(crate) fn node_line(line: &str, happened_at: DateTime<Utc>) -> Utf8Bytes {
    text_of(&LogFrame {
        kind: "log",
        log: line,
        stream_type: None,
        timestamp: happened_at.timestamp(),
    })
}

/// `2016-02-01T16:47:28Z`: the form of times in events, and only there.
fn iso_8601(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn text_of(frame: &impl Serialize) -> Utf8Bytes {
    serde_json::to_string(frame)
        .expect("a frame is made of texts and numbers")
        .into()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::stream) const ID: &str = "00cc59e1-c605-403c-a5fb-3269b6a0d6bf";
    pub(in crate::stream) const PARENT: &str = "5516df0b-721e-4470-b350-741ff22e63a0";

    /// An event of an object with the id [`ID`].
    pub(in crate::stream) fn event(object_type: &str, parent: Option<ObjectType>) -> Event {
        let time = DateTime::parse_from_rfc3339("2016-02-01T17:47:28.9+01:00").unwrap();
        Event {
            seq: 1,
            id: "7ba98e5a-3b6b-4b0e-9d3d-3c1ac0a8b1a2".parse().unwrap(),
            namespace_id: Uuid::nil().into(),
            object_type: object_type.to_owned(),
            change: "update".to_owned(),
            object_id: ID.parse().unwrap(),
            parent: parent.map(|object_type| (object_type, PARENT.parse().unwrap())),
            state: "Deployed".to_owned(),
            created_at: time.to_utc(),
        }
    }

    fn texts(event: Event) -> [String; 2] {
        let change = Change::new(event);
        let plain = change.text(&Uris::default(), false);
        let spaced = change.text(&Uris::new(Some("dev".to_owned())), true);
        [plain.to_string(), spaced.to_string()]
    }

    #[test]
    fn a_node_has_its_cluster_as_parent_and_the_namespace_that_the_request_had() {
        let event = event("node", Some(ObjectType::NodeCluster));
        let expected = |ns: &str| {
            format!(
                "{{\"type\":\"node\",\"action\":\"update\",\
                 \"parents\":[\"/api/infra/v1/{ns}nodecluster/{PARENT}/\"],\
                 \"resource_uri\":\"/api/infra/v1/{ns}node/{ID}/\",\"state\":\"Deployed\",\
                 \"uuid\":\"7ba98e5a-3b6b-4b0e-9d3d-3c1ac0a8b1a2\",\"datetime\":\"2016-02-01T16:47:28Z\"}}"
            )
        };
        assert_eq!(texts(event), [expected(""), expected("dev/")]);
    }

    #[test]
    fn a_cluster_has_no_parent() {
        let [plain, _] = texts(event("nodecluster", None));
        assert!(plain.contains("\"parents\":[]"), "{plain}");
        assert!(
            plain.contains(&format!(
                "\"resource_uri\":\"/api/infra/v1/nodecluster/{ID}/\""
            )),
            "{plain}"
        );
    }

    #[test]
    fn an_action_never_has_the_namespace_in_its_own_uri() {
        let texts = texts(event("action", Some(ObjectType::Token)));
        for (text, parent) in texts
            .iter()
            .zip(["/api/infra/v1/token/", "/api/infra/v1/dev/token/"])
        {
            assert!(
                text.contains(&format!("\"parents\":[\"{parent}\"]")),
                "{text}"
            );
            assert!(
                text.contains(&format!("\"resource_uri\":\"/api/audit/v1/action/{ID}/\"")),
                "{text}"
            );
        }
    }

    #[test]
    fn a_line_has_its_time_in_seconds() {
        let time = event("node", None).created_at;
        assert_eq!(
            log_line("say \"hello\"", time).as_str(),
            r#"{"type":"log","log":"say \"hello\"","streamType":"stdout","timestamp":1454345248}"#
        );
        assert_eq!(
            node_line("Node 1 is Deployed", time).as_str(),
            r#"{"type":"log","log":"Node 1 is Deployed","timestamp":1454345248}"#
        );
    }
}
