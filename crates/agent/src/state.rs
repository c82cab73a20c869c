//! What the agent learned and must know after a reboot.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{Error, config::Token, files, upgrade::Upgrade};

/// The content of `state.json`. Docker Cloud's agent wrote into its configuration file instead; here that file is its
/// owner's alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The node that this machine is.
    pub uuid: Option<Uuid>,
    /// The instance that it was registered on; a copy of its disk is another machine.
    pub instance_id: Option<String>,
    /// The configuration's UUID that was taken up last. One that was forgotten is not taken up again.
    pub claimed: Option<Uuid>,
    /// The node's own token, where the configured one is that of a launch.
    pub token: Option<Token>,
    /// The fingerprint of a token that the server refused, so that a reboot does not ask again.
    pub refused_token: Option<String>,
    /// The node that the key and the certificate were made for.
    pub certified: Option<Uuid>,
    /// What `daemon.json` said, before the agent changed it, of what the agent changes.
    pub docker_before: Option<Map<String, Value>>,
    /// What Docker was configured with, as a fingerprint.
    pub docker_applied: Option<String>,
    /// Docker's configuration was changed and has not yet been seen to work.
    pub docker_on_trial: bool,
    /// The last engine upgrade that was ordered.
    pub upgrade: Option<Upgrade>,
}

/// The state with its file: every change is written before the agent acts on it.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    state: State,
}

impl StateFile {
    /// Reads the state; a machine that has none is a new one.
    pub fn open(home: &Path) -> Result<Self, Error> {
        let path = home.join("state.json");
        let text = files::read(&path).map_err(Error::io("read", &path))?;
        let state = text.map_or(Ok(State::default()), |text| {
            serde_json::from_str(&text).map_err(|error| {
                Error::Config(format!(
                    "{} is no state of this agent ({error}); remove it to register this machine as a new node",
                    path.display()
                ))
            })
        })?;
        Ok(Self { path, state })
    }

    /// The state.
    pub fn get(&self) -> &State {
        &self.state
    }

    /// Changes the state and writes it, if it changed.
    pub fn change(&mut self, change: impl FnOnce(&mut State)) -> Result<(), Error> {
        let mut state = self.state.clone();
        change(&mut state);
        if state == self.state {
            return Ok(());
        }
        let mut text = serde_json::to_vec_pretty(&state).map_err(|error| Error::Io {
            action: "write",
            what: self.path.display().to_string(),
            source: error.into(),
        })?;
        text.push(b'\n');
        files::write(&self.path, &text, files::PRIVATE).map_err(Error::io("write", &self.path))?;
        self.state = state;
        Ok(())
    }
}

/// A fingerprint of some content, in hexadecimal digits.
pub fn fingerprint(content: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    for part in content {
        // The length keeps "ab", "c" apart from "a", "bc".
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let digest = context.finish();
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn the_state_survives_and_only_root_reads_it() {
        let home = tempfile::tempdir().unwrap();
        let uuid = Uuid::from_u128(7);
        let mut file = StateFile::open(home.path()).unwrap();
        file.change(|state| state.uuid = Some(uuid)).unwrap();
        let again = StateFile::open(home.path()).unwrap();
        assert_eq!(again.get().uuid, Some(uuid));
        let mode = fs::metadata(home.path().join("state.json")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_state_of_an_older_or_newer_agent_is_read() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("state.json"), r#"{"of_tomorrow": 1}"#).unwrap();
        assert_eq!(
            *StateFile::open(home.path()).unwrap().get(),
            State::default()
        );
    }

    #[test]
    fn a_broken_state_is_no_new_machine() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("state.json"), "{").unwrap();
        let error = StateFile::open(home.path()).unwrap_err().to_string();
        assert!(
            error.contains("state.json") && error.contains("remove it"),
            "{error}"
        );
    }

    #[test]
    fn fingerprints_know_where_a_part_ends() {
        assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
        assert_eq!(fingerprint(&[b"a"]), fingerprint(&[b"a"]));
    }
}
