//! What is to be done about a name, and how much of that fits into one call of Route 53.

use std::{collections::BTreeMap, net::IpAddr};

use aws::{Record, RecordChange};
use domain::ids::NodeId;
use store::naming::Due;

/// How long resolvers may keep a name: how long a changed address may go unnoticed after it is in Route 53.
const TTL_S: u32 = 30;
/// "A request cannot contain more than 1,000 ResourceRecord elements. When the value of the Action element is UPSERT,
/// each ResourceRecord element is counted twice." ("Quotas on API requests", Amazon Route 53 Developer Guide)
const MOST_RECORDS: usize = 1_000;
/// "The sum of the number of characters (including spaces) in all Value elements in a request cannot exceed 32,000
/// characters. When the value of the Action element is UPSERT, each character in a Value element is counted twice."
const MOST_CHARACTERS: usize = 32_000;
/// The name itself, and the wildcard below it.
const RECORDS_OF_A_NAME: usize = 2;

/// What is to be done about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Give it this address.
    Upsert(IpAddr),
    /// Remove it; this is the address that it has.
    Delete(IpAddr),
}

/// What is to be done next.
///
/// A record can only be removed by the value that it has. So where a call's outcome is not known, it is made known by
/// another one first. An address of the other version of IP is a record of another type: the old one goes first.
pub(super) fn step(due: &Due) -> Option<Step> {
    let is_alike = |a: IpAddr, b: IpAddr| a.is_ipv4() == b.is_ipv4();
    match (due.asked, due.wanted, due.confirmed) {
        (Some(asked), wanted, _) => Some(Step::Upsert(
            wanted
                .filter(|wanted| is_alike(*wanted, asked))
                .unwrap_or(asked),
        )),
        (None, Some(wanted), Some(confirmed)) if wanted == confirmed => None,
        (None, Some(wanted), Some(confirmed)) if is_alike(wanted, confirmed) => {
            Some(Step::Upsert(wanted))
        }
        (None, Some(wanted), None) => Some(Step::Upsert(wanted)),
        (None, _, Some(confirmed)) => Some(Step::Delete(confirmed)),
        (None, None, None) => None,
    }
}

impl Step {
    /// The changes of the name's records.
    pub(super) fn changes(self, name: &str) -> [RecordChange; RECORDS_OF_A_NAME] {
        let record = |name: String, address| Record {
            name,
            ttl_s: TTL_S,
            addresses: vec![address],
        };
        [name.to_owned(), wildcard(name)].map(|name| match self {
            Self::Upsert(address) => RecordChange::Upsert(record(name, address)),
            Self::Delete(address) => RecordChange::Delete(record(name, address)),
        })
    }

    fn characters(self) -> usize {
        let (address, times) = match self {
            Self::Upsert(address) => (address, 2),
            Self::Delete(address) => (address, 1),
        };
        address.to_string().len() * RECORDS_OF_A_NAME * times
    }

    fn records(self) -> usize {
        match self {
            Self::Upsert(_) => RECORDS_OF_A_NAME * 2,
            Self::Delete(_) => RECORDS_OF_A_NAME,
        }
    }
}

/// The name of all that is below a name.
pub(super) fn wildcard(name: &str) -> String {
    format!("*.{name}")
}

/// The names whose records are not as they were made.
pub(super) fn wrong<'a>(
    known: &'a BTreeMap<String, Option<IpAddr>>,
    listed: &[Record],
) -> Vec<(&'a str, IpAddr)> {
    let is_right = |name: &str, address: IpAddr| {
        let mut found = listed.iter().filter(|record| record.name == name);
        let is_as_made = |it: &Record| it.ttl_s == TTL_S && it.addresses == [address];
        found.next().is_some_and(is_as_made) && found.next().is_none()
    };
    let known = known.iter();
    let known = known.filter_map(|(name, address)| Some((name.as_str(), (*address)?)));
    known
        .filter(|(name, address)| !is_right(name, *address) || !is_right(&wildcard(name), *address))
        .collect()
}

/// The names in the form of a node's, directly below `nodes`, that no row knows.
pub(super) fn strange<'a>(
    known: &BTreeMap<String, Option<IpAddr>>,
    listed: &'a [Record],
    nodes: &str,
) -> Vec<(&'a str, NodeId, IpAddr)> {
    let end = format!(".{nodes}");
    let of_a_node = |record: &'a Record| {
        let name = record.name.strip_prefix("*.").unwrap_or(&record.name);
        let id = name.strip_suffix(&end)?.parse().ok()?;
        let address = record.addresses.first()?;
        (!known.contains_key(name)).then_some((name, NodeId(id), *address))
    };
    // Once where both of its records are there.
    let found: BTreeMap<&str, _> = listed
        .iter()
        .filter_map(of_a_node)
        .map(|found| (found.0, found))
        .collect();
    found.into_values().collect()
}

/// How many of these steps fit into one call; at least one where there is one.
pub(super) fn fitting(steps: impl IntoIterator<Item = Step>) -> usize {
    let (mut records, mut characters) = (0, 0);
    let fits = |step: &Step| {
        records += step.records();
        characters += step.characters();
        records <= MOST_RECORDS && characters <= MOST_CHARACTERS
    };
    steps.into_iter().take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;

    use uuid::Uuid;

    use super::*;

    fn due(wanted: &str, asked: &str, confirmed: &str) -> Due {
        let address = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        Due {
            hosted_zone_id: "Z1".into(),
            name: "a.node.example.com".into(),
            node_id: Uuid::nil().into(),
            wanted: address(wanted),
            asked: address(asked),
            confirmed: address(confirmed),
        }
    }

    fn upsert(address: &str) -> Option<Step> {
        Some(Step::Upsert(address.parse().unwrap()))
    }

    fn delete(address: &str) -> Option<Step> {
        Some(Step::Delete(address.parse().unwrap()))
    }

    const A: &str = "192.0.2.1";
    const B: &str = "192.0.2.2";
    const SIX: &str = "2001:db8::1";

    #[test]
    fn a_name_gets_the_address_that_is_wanted_and_goes_when_none_is() {
        assert_eq!(step(&due(A, "", "")), upsert(A));
        assert_eq!(step(&due(B, "", A)), upsert(B));
        assert_eq!(step(&due(A, "", A)), None);
        assert_eq!(step(&due("", "", A)), delete(A));
        assert_eq!(step(&due("", "", "")), None);
    }

    #[test]
    fn an_outcome_that_is_not_known_is_made_known_before_anything_else() {
        assert_eq!(step(&due(A, A, "")), upsert(A));
        assert_eq!(step(&due(B, A, "")), upsert(B));
        assert_eq!(step(&due(A, B, A)), upsert(A));
        assert_eq!(step(&due("", A, "")), upsert(A));
        assert_eq!(step(&due("", B, A)), upsert(B));
    }

    #[test]
    fn an_address_of_the_other_version_of_ip_comes_after_the_old_one_is_gone() {
        assert_eq!(step(&due(SIX, "", A)), delete(A));
        assert_eq!(step(&due(SIX, A, "")), upsert(A));
        assert_eq!(step(&due(SIX, "", "")), upsert(SIX));
    }

    #[test]
    fn a_name_comes_with_its_wildcard() {
        let changes = step(&due(A, "", "")).unwrap().changes("a.node.example.com");
        let names = changes.map(|change| match change {
            RecordChange::Upsert(record) => record.name,
            RecordChange::Delete(_) => String::new(),
        });
        assert_eq!(names, ["a.node.example.com", "*.a.node.example.com"]);
    }

    fn record(name: &str, ttl_s: u32, addresses: &[&str]) -> Record {
        Record {
            name: name.into(),
            ttl_s,
            addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn a_name_is_right_when_it_and_its_wildcard_are_as_they_were_made() {
        let known = |name: &str, address: &str| (name.to_owned(), address.parse().ok());
        let known = BTreeMap::from([
            known("a.n", A),
            known("b.n", A),
            known("c.n", A),
            known("d.n", ""),
        ]);
        let listed = [
            record("a.n", TTL_S, &[A]),
            record("*.a.n", TTL_S, &[A]),
            record("b.n", TTL_S, &[B]),
            record("*.b.n", TTL_S, &[A]),
            record("c.n", TTL_S, &[A]),
        ];
        let names: Vec<&str> = wrong(&known, &listed)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["b.n", "c.n"]);
        let other_ttl = [record("a.n", 60, &[A]), record("*.a.n", TTL_S, &[A])];
        assert_eq!(wrong(&known, &other_ttl).len(), 3);
    }

    #[test]
    fn a_stranger_has_the_name_of_a_node_and_no_row() {
        let id = |n: u8| format!("00000000-0000-4000-8000-00000000000{n}.node.example.com");
        let known = BTreeMap::from([(id(1), None)]);
        let listed = [
            record(&id(1), TTL_S, &[A]),
            record(&id(2), TTL_S, &[A]),
            record(&format!("*.{}", id(2)), TTL_S, &[A]),
            record(&format!("*.{}", id(3)), TTL_S, &[B]),
            record(&id(4), TTL_S, &[]),
            record("www.node.example.com", TTL_S, &[A]),
            record(&format!("www.{}", id(5)), TTL_S, &[A]),
        ];
        let found = strange(&known, &listed, "node.example.com");
        let names: Vec<&str> = found.iter().map(|(name, ..)| *name).collect();
        assert_eq!(names, [id(2), id(3)]);
    }

    #[test]
    fn a_call_has_at_most_a_thousand_records_and_32000_characters() {
        let count = |step: Option<Step>| fitting(repeat_n(step.unwrap(), 2_000));
        assert_eq!(count(upsert("1.2.3.4")), 250);
        assert_eq!(count(delete("1.2.3.4")), 500);
        // 39 characters, 4 times each.
        let long = "2001:db81:2345:6789:abcd:ef01:2345:6789";
        assert_eq!(count(upsert(long)), 32_000 / (39 * 4));
        assert_eq!(count(delete(long)), 32_000 / (39 * 2));
        assert_eq!(fitting([]), 0);
    }
}
