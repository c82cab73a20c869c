//! The hosted zones of an account.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::protocol::ApiError;
use crate::state::{Ids, Millis};

/// "Changes generally propagate to all Route 53 name servers within 60 seconds"; here it is a second.
const PROPAGATED_AFTER_MS: Millis = 1_000;

/// The public hosted zones of an account, and the changes that were made.
#[derive(Debug)]
pub(crate) struct Zones {
    pub ids: Ids,
    pub zones: BTreeMap<String, Zone>,
    pub changes: BTreeMap<String, Change>,
}

/// A hosted zone.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub id: String,
    /// With the dot at its end.
    pub name: String,
    pub caller_reference: String,
    pub records: BTreeMap<Key, RecordSet>,
}

/// The order of ListResourceRecordSets: by the labels of the name from the right, then by the type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    labels: Vec<String>,
    kind: String,
}

/// The records of one name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordSet {
    /// As it is listed: lower-case, a dot at its end, and `\052` for a star.
    pub name: String,
    pub kind: String,
    pub ttl: u32,
    pub values: Vec<String>,
}

/// A change that was made.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub id: String,
    pub at: Millis,
}

impl Change {
    pub(crate) fn status(&self, now: Millis) -> &'static str {
        if now.saturating_sub(self.at) < PROPAGATED_AFTER_MS {
            "PENDING"
        } else {
            "INSYNC"
        }
    }
}

impl RecordSet {
    pub(crate) fn key(&self) -> Key {
        Key::new(&self.name, &self.kind)
    }
}

impl Key {
    pub(crate) fn new(name: &str, kind: &str) -> Self {
        let labels = name.trim_end_matches('.').rsplit('.');
        Self {
            labels: labels.map(str::to_owned).collect(),
            kind: kind.to_owned(),
        }
    }

    /// Whether it is of the same name, whatever its type.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        self.labels == other.labels && self.kind != other.kind
    }

    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }
}

impl Zone {
    /// Where a name leads, as a resolver would find it: by its own records of the type A, or by those of the nearest
    /// wildcard above it.
    pub(crate) fn address_of(&self, name: &str) -> Option<Ipv4Addr> {
        let name = canonical(name)?;
        let names = std::iter::successors(Some(name.as_str()), |it| Some(it.split_once('.')?.1));
        let wildcards = names.skip(1).map(|above| format!("\\052.{above}"));
        let found = std::iter::once(name.clone())
            .chain(wildcards)
            .find_map(|name| self.records.get(&Key::new(&name, "A")))?;
        found.values.first()?.parse().ok()
    }
}

impl Zones {
    pub(crate) fn new(ids: Ids) -> Self {
        Self {
            ids,
            zones: BTreeMap::new(),
            changes: BTreeMap::new(),
        }
    }

    pub(crate) fn zone(&self, id: &str) -> Result<&Zone, ApiError> {
        self.zones.get(id).ok_or_else(|| no_such_zone(id))
    }

    pub(crate) fn new_id(&mut self, prefix: char) -> String {
        let digits = self.ids.iam("");
        format!("{prefix}0{digits}")
    }

    pub(crate) fn note_change(&mut self, now: Millis) -> Change {
        let change = Change {
            id: self.new_id('C'),
            at: now,
        };
        self.changes.insert(change.id.clone(), change.clone());
        change
    }
}

pub(crate) fn no_such_zone(id: &str) -> ApiError {
    let message = format!("No hosted zone found with ID: {id}");
    ApiError::new(404, "NoSuchHostedZone", message)
}

/// A name as Route 53 keeps it ("DNS domain name format"). None where it is none; only letters, digits, hyphens and
/// underscores are simulated, and a star as the whole first label.
pub(crate) fn canonical(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let sound = |label: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(fits)
    };
    let rest = name
        .strip_prefix("*.")
        .or_else(|| name.strip_prefix("\\052."));
    let (star, rest) = rest.map_or(("", name.as_str()), |rest| ("\\052.", rest));
    let is_sound = rest.split('.').all(sound) && rest.len() + 2 <= 255;
    is_sound.then(|| format!("{star}{rest}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_in_one_form() {
        assert_eq!(
            canonical("WWW.Example.com").as_deref(),
            Some("www.example.com.")
        );
        assert_eq!(
            canonical("*.example.com.").as_deref(),
            Some("\\052.example.com.")
        );
        for bad in ["", ".", "a..b", "a.*.b", "a b.c", &"a".repeat(64)] {
            assert_eq!(canonical(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_lead_to_addresses_by_themselves_or_by_a_wildcard_above_them() {
        let records = [
            ("node.example.com.", "A", "198.18.0.1"),
            ("\\052.node.example.com.", "A", "198.18.0.2"),
            ("text.example.com.", "TXT", "198.18.0.3"),
        ];
        let records = records.map(|(name, kind, value)| {
            let set = RecordSet {
                name: name.to_owned(),
                kind: kind.to_owned(),
                ttl: 30,
                values: vec![value.to_owned()],
            };
            (set.key(), set)
        });
        let zone = Zone {
            id: "Z01".to_owned(),
            name: "example.com.".to_owned(),
            caller_reference: "1".to_owned(),
            records: records.into(),
        };
        let leads = |name| zone.address_of(name).map(|ip| ip.to_string());
        assert_eq!(leads("Node.example.com").as_deref(), Some("198.18.0.1"));
        for below in ["a.node.example.com", "b.a.node.example.com."] {
            assert_eq!(leads(below).as_deref(), Some("198.18.0.2"), "{below}");
        }
        for nowhere in ["example.com", "text.example.com", "example.net", "a..b"] {
            assert_eq!(leads(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn record_sets_are_ordered_by_the_labels_of_their_names_from_the_right() {
        let mut keys: Vec<Key> = [
            "b.example.com.",
            "example.com.",
            "z.a.example.com.",
            "a.example.com.",
        ]
        .map(|name| Key::new(name, "A"))
        .into();
        keys.sort();
        let names: Vec<String> = keys.iter().map(|key| key.labels.join(".")).collect();
        assert_eq!(
            names,
            [
                "com.example",
                "com.example.a",
                "com.example.a.z",
                "com.example.b"
            ]
        );
    }
}
