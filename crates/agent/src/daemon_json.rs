//! Docker's `daemon.json`: what the agent puts into it, and how it takes that back.

use serde_json::{Map, Value, json};

use crate::keys::Keys;

/// A JSON object.
pub type Object = Map<String, Value>;

/// The keys that the agent sets.
const KEYS: [&str; 5] = ["hosts", "tlscacert", "tlscert", "tlskey", "tlsverify"];

/// What of an untouched file must be known to bring it back.
pub fn remember(untouched: &Object) -> Object {
    KEYS.iter()
        .filter_map(|key| Some(((*key).to_owned(), untouched.get(*key)?.clone())))
        .collect()
}

/// The file with mutual TLS at `docker_host`. Docker goes on listening where it did: by the file, `before` it was
/// touched, or else by the command line, which had `hosts`.
pub fn configure(
    current: &Object,
    before: &Object,
    hosts: &[String],
    docker_host: &str,
    keys: &Keys,
    in_swarm: bool,
) -> Object {
    let mut hosts = match before.get("hosts") {
        Some(Value::Array(hosts)) => hosts.clone(),
        _ if hosts.is_empty() => vec![json!("unix:///var/run/docker.sock")],
        _ => hosts.iter().map(|host| json!(host)).collect(),
    };
    if !hosts.iter().any(|host| host == docker_host) {
        hosts.push(json!(docker_host));
    }
    let mut new = current.clone();
    new.insert("hosts".to_owned(), hosts.into());
    new.insert("tlsverify".to_owned(), json!(true));
    for (key, path) in [
        ("tlscacert", &keys.ca),
        ("tlscert", &keys.cert),
        ("tlskey", &keys.key),
    ] {
        new.insert(key.to_owned(), json!(path.to_string_lossy()));
    }
    if !in_swarm {
        // Containers outlive the restarts that a new authority or an upgrade brings. Docker refuses to start with it in
        // a swarm; whoever has said otherwise has said it.
        new.entry("live-restore").or_insert(json!(true));
    }
    new
}

/// The file as it was `before`, apart from what others changed meanwhile. Live restore stays: without it the restart that
/// follows would stop the containers.
pub fn restore(current: &Object, before: &Object) -> Object {
    let mut old = current.clone();
    for key in KEYS {
        match before.get(key) {
            Some(value) => old.insert(key.to_owned(), value.clone()),
            None => old.remove(key),
        };
    }
    old
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    fn object(value: Value) -> Object {
        match value {
            Value::Object(object) => object,
            other => panic!("{other} is no object"),
        }
    }

    fn configured(current: Value, hosts: &[&str], in_swarm: bool) -> Object {
        let current = object(current);
        let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
        configure(
            &current,
            &remember(&current),
            &hosts,
            "tcp://0.0.0.0:2376",
            &Keys::of(Path::new("/home")),
            in_swarm,
        )
    }

    #[test]
    fn an_engine_without_a_file_listens_where_it_did_and_with_mutual_tls() {
        assert_eq!(
            Value::from(configured(json!({}), &["fd://"], false)),
            json!({
                "hosts": ["fd://", "tcp://0.0.0.0:2376"],
                "tlsverify": true,
                "tlscacert": "/home/ca.pem",
                "tlscert": "/home/cert.pem",
                "tlskey": "/home/key.pem",
                "live-restore": true,
            })
        );
    }

    #[test]
    fn the_owners_settings_stay() {
        let own = json!({
            "log-driver": "journald", "live-restore": false, "hosts": ["unix:///run/other.sock"],
        });
        let new = configured(own, &["fd://"], false);
        assert_eq!(new["log-driver"], "journald");
        assert_eq!(new["live-restore"], false);
        assert_eq!(
            new["hosts"],
            json!(["unix:///run/other.sock", "tcp://0.0.0.0:2376"])
        );
    }

    #[test]
    fn without_any_host_the_engines_own_socket_is_kept() {
        let new = configured(json!({}), &[], false);
        assert_eq!(new["hosts"][0], "unix:///var/run/docker.sock");
    }

    #[test]
    fn an_engine_in_a_swarm_gets_no_live_restore() {
        assert_eq!(
            configured(json!({}), &["fd://"], true).get("live-restore"),
            None
        );
    }

    #[test]
    fn configuring_twice_changes_nothing() {
        let before = object(json!({"hosts": ["fd://"], "debug": true}));
        let keys = Keys::of(Path::new("/home"));
        let again = |current: &Object, host: &str| {
            configure(current, &remember(&before), &[], host, &keys, false)
        };
        let once = again(&before, "tcp://0.0.0.0:2376");
        assert_eq!(again(&once, "tcp://0.0.0.0:2376"), once);
        let moved = again(&once, "tcp://0.0.0.0:2375");
        assert_eq!(moved["hosts"], json!(["fd://", "tcp://0.0.0.0:2375"]));
    }

    #[test]
    fn restoring_keeps_what_others_changed_meanwhile() {
        let before = object(json!({"hosts": ["fd://"], "tlsverify": false}));
        let mut current = configured(Value::from(before.clone()), &[], false);
        current.insert("debug".to_owned(), json!(true));
        assert_eq!(
            Value::from(restore(&current, &remember(&before))),
            json!({"hosts": ["fd://"], "tlsverify": false, "live-restore": true, "debug": true})
        );
    }

    fn anything() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z:/]{0,12}".prop_map(Value::from),
            proptest::collection::vec("[a-z:/]{0,12}", 0..3).prop_map(Value::from),
        ]
    }

    fn any_file() -> impl Strategy<Value = Object> {
        let known = prop_oneof![
            Just("hosts"),
            Just("tlsverify"),
            Just("tlscert"),
            Just("live-restore")
        ];
        let key = prop_oneof![known.prop_map(str::to_owned), "[a-z-]{1,8}"];
        btree_map(key, anything(), 0..8).prop_map(|file| file.into_iter().collect())
    }

    proptest! {
        #[test]
        fn any_file_is_restored_but_for_live_restore(file in any_file(), in_swarm: bool) {
            let keys = Keys::of(Path::new("/home"));
            let before = remember(&file);
            let new = configure(&file, &before, &[], "tcp://0.0.0.0:2376", &keys, in_swarm);
            prop_assert_eq!(&new["tlsverify"], &json!(true));
            let mut restored = restore(&new, &before);
            if !file.contains_key("live-restore") {
                restored.remove("live-restore");
            }
            prop_assert_eq!(restored, file);
        }
    }
}
