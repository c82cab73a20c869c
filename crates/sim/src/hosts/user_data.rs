//! What user data makes of a machine: a `#cloud-config` of Berth's, which is JSON as YAML allows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

const HEADER: &str = "#cloud-config\n";

/// As much of a cloud-config as is acted out.
#[derive(Debug, Default, Deserialize)]
pub(super) struct UserData {
    #[serde(default)]
    pub write_files: Vec<File>,
}

/// A file that cloud-init writes.
#[derive(Debug, Deserialize)]
pub(super) struct File {
    pub path: String,
    #[serde(default)]
    pub content: String,
}

impl UserData {
    /// What is not understood is as good as none: machines boot whatever it says.
    pub(super) fn read(encoded: Option<&str>) -> Self {
        let read = || {
            let raw = STANDARD.decode(encoded?).ok()?;
            let text = String::from_utf8(raw).ok()?;
            serde_json::from_str(text.strip_prefix(HEADER)?).ok()
        };
        read().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<(String, String)> {
        let files = UserData::read(Some(&STANDARD.encode(text))).write_files;
        files.into_iter().map(|it| (it.path, it.content)).collect()
    }

    #[test]
    fn the_files_of_a_cloud_config_are_read() {
        let text = "#cloud-config\n{\"write_files\": [{\"path\": \"/a\", \"content\": \"b\", \"permissions\": \"0600\"}], \
                    \"runcmd\": [[\"true\"]]}";
        assert_eq!(read(text.as_bytes()), [("/a".to_owned(), "b".to_owned())]);
        assert!(read(b"#cloud-config\n{}\n").is_empty());
    }

    #[test]
    fn other_user_data_is_none() {
        for text in [
            &b""[..],
            b"#!/bin/sh\n",
            b"#cloud-config\npackages: [docker]\n",
            b"{\"write_files\": []}",
            b"\xff\xfe",
        ] {
            assert!(read(text).is_empty());
        }
        assert!(UserData::read(None).write_files.is_empty());
        assert!(UserData::read(Some("no base64!")).write_files.is_empty());
    }
}
