//! What a node is told for its first boot: cloud-init's user data.

use serde_json::{Map, Value, json};

use crate::{cluster::Invalid, ssh};

/// EC2 takes 16 KB, before they are put into base64 (EC2 user guide, "User data").
pub const LARGEST_BYTES: usize = 16 * 1024;

/// The user data of nodes whose login user lets these keys in: a Docker engine from the distribution, and the keys.
///
/// A cloud-config is YAML, and every JSON document is one of YAML: nothing in a key can break out of it.
pub fn cloud_config(ssh_authorized_keys: &[String]) -> String {
    let mut config = Map::new();
    config.insert("package_update".to_owned(), json!(true));
    config.insert("packages".to_owned(), json!(["docker.io"]));
    if !ssh_authorized_keys.is_empty() {
        config.insert(ssh::FIELD.to_owned(), json!(ssh_authorized_keys));
    }
    format!("#cloud-config\n{}\n", Value::Object(config))
}

/// Whether nodes with these keys can be launched.
///
/// # Errors
/// [`Invalid`] where their user data would be larger than EC2 takes.
pub fn check_size(ssh_authorized_keys: &[String]) -> Result<(), Invalid> {
    let bytes = cloud_config(ssh_authorized_keys).len();
    if bytes <= LARGEST_BYTES {
        return Ok(());
    }
    let reason = format!(
        "the user data would be {bytes} bytes with these {} keys, and EC2 takes {LARGEST_BYTES}; give fewer, or shorter \
         ones, as ssh-ed25519 keys are",
        ssh_authorized_keys.len()
    );
    Err(Invalid::new(ssh::FIELD, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_stand_in_the_cloud_config_as_they_were_given() {
        let keys = ["ssh-ed25519 AAAA anna's \"key\" # : - {}".to_owned()];
        let config = cloud_config(&keys);
        let json = config.strip_prefix("#cloud-config\n").unwrap();
        let config: Value = serde_json::from_str(json).unwrap();
        assert_eq!(config["ssh_authorized_keys"], json!(keys));
        assert_eq!(config["packages"], json!(["docker.io"]));
        assert!(!cloud_config(&[]).contains("ssh"));
    }

    #[test]
    fn more_keys_than_ec2_takes_are_refused() {
        let key = |length| vec!["k".repeat(length)];
        let around = cloud_config(&key(0)).len();
        assert_eq!(check_size(&key(LARGEST_BYTES - around)), Ok(()));
        let refused = check_size(&key(LARGEST_BYTES - around + 1)).unwrap_err();
        assert!(refused.reason.contains("16385 bytes"), "{refused}");
    }
}
