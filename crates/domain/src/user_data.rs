//! What a node is told for its first boot: cloud-init's user data.

use serde_json::{Map, Value, json};

use crate::{cluster::Invalid, ssh};

/// EC2 takes 16 KB, before they are put into base64 (EC2 user guide, "User data").
pub const LARGEST_BYTES: usize = 16 * 1024;

/// Where the agent's configuration is on a node.
pub const AGENT_CONFIG: &str = "/etc/dockercloud/agent/dockercloud-agent.conf";

/// Stands for the launch's token in user data that are kept, and is as long: the token itself is kept sealed, apart from
/// them.
const TOKEN: &str = "{{token-of-this-launch-is-here}}";

/// The most characters that a URL of Berth's may have.
const LONGEST_URL: usize = 512;

/// Under which URL the agents of nodes reach Berth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Checks a URL: `http://` or `https://`, a host, perhaps a port and a path, and nothing that a shell or a
    /// configuration file would take for something else. A slash at its end does not count.
    ///
    /// # Errors
    /// [`Invalid`], in the name of `field`.
    pub fn new(field: &str, url: &str) -> Result<Self, Invalid> {
        let url = url.trim_end_matches('/');
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]".contains(c);
        let has_host = rest.is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
                && rest.chars().all(is_plain)
        });
        if !has_host || url.len() > LONGEST_URL {
            return Err(Invalid::new(
                field,
                format!("{url:?} is no URL of a server, as https://berth.example.com is one"),
            ));
        }
        Ok(Self(url.to_owned()))
    }

    /// The URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The user data of nodes whose login user lets these keys in: a Docker engine from the distribution, and the keys; with
/// the URL of Berth also the agent, which fetches itself from there and is told a token that [`with_token`] puts in.
///
/// A cloud-config is YAML, and every JSON document is one of YAML: nothing in a key can break out of it.
pub fn cloud_config(ssh_authorized_keys: &[String], agents_call: Option<&PublicUrl>) -> String {
    let mut config = Map::new();
    config.insert("package_update".to_owned(), json!(true));
    config.insert("packages".to_owned(), json!(["docker.io"]));
    if !ssh_authorized_keys.is_empty() {
        config.insert(ssh::FIELD.to_owned(), json!(ssh_authorized_keys));
    }
    if let Some(PublicUrl(url)) = agents_call {
        let content = json!({"Host": url, "Token": TOKEN}).to_string();
        let file = json!({"path": AGENT_CONFIG, "content": content, "permissions": "0600"});
        config.insert("write_files".to_owned(), json!([file]));
        // Berth may be restarting, or be unreachable until a route is there: a node is worth more than one try.
        let install = format!(
            "until curl -fsSL --max-time 60 {url}/agent/install.sh -o /run/berth-agent-install.sh && sh \
             /run/berth-agent-install.sh; do sleep 10; done"
        );
        config.insert("runcmd".to_owned(), json!([["sh", "-c", install]]));
    }
    format!("#cloud-config\n{}\n", Value::Object(config))
}

/// The user data with this token, which has only letters and digits.
pub fn with_token(user_data: &str, token: &str) -> String {
    user_data.replace(TOKEN, token)
}

/// Whether nodes with these keys can be launched, whatever the URL of Berth.
///
/// # Errors
/// [`Invalid`] where their user data would be larger than EC2 takes.
pub fn check_size(ssh_authorized_keys: &[String]) -> Result<(), Invalid> {
    let bytes = cloud_config(ssh_authorized_keys, Some(&longest_url())).len();
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

/// A cluster's keys are checked when it is made, and Berth may have moved when its nodes are launched.
fn longest_url() -> PublicUrl {
    PublicUrl("u".repeat(LONGEST_URL))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> PublicUrl {
        PublicUrl::new("url", "https://berth.example.com/").unwrap()
    }

    fn parsed(config: &str) -> Value {
        let json = config.strip_prefix("#cloud-config\n").unwrap();
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_keys_stand_in_the_cloud_config_as_they_were_given() {
        let keys = ["ssh-ed25519 AAAA anna's \"key\" # : - {}".to_owned()];
        let config = parsed(&cloud_config(&keys, None));
        assert_eq!(config["ssh_authorized_keys"], json!(keys));
        assert_eq!(config["packages"][0], "docker.io");
        let without = cloud_config(&[], None);
        assert!(!without.contains("ssh") && !without.contains("agent"));
    }

    #[test]
    fn the_agent_is_fetched_from_berth_and_told_the_token_of_the_launch() {
        let kept = cloud_config(&[], Some(&url()));
        let sent = with_token(&kept, "0123abcd");
        assert!(!kept.contains("0123abcd"));
        let config = parsed(&sent);
        let file = &config["write_files"][0];
        assert_eq!(file["path"], AGENT_CONFIG);
        assert_eq!(file["permissions"], "0600");
        let content: Value = serde_json::from_str(file["content"].as_str().unwrap()).unwrap();
        assert_eq!(
            content,
            json!({"Host": "https://berth.example.com", "Token": "0123abcd"})
        );
        let command = config["runcmd"][0][2].as_str().unwrap();
        assert!(
            command.contains("https://berth.example.com/agent/install.sh"),
            "{command}"
        );
    }

    #[test]
    fn more_keys_than_ec2_takes_are_refused() {
        let key = |length| vec!["k".repeat(length)];
        let around = cloud_config(&key(0), Some(&longest_url())).len();
        assert_eq!(check_size(&key(LARGEST_BYTES - around)), Ok(()));
        let refused = check_size(&key(LARGEST_BYTES - around + 1)).unwrap_err();
        assert!(refused.reason.contains("16385 bytes"), "{refused}");
    }

    #[test]
    fn a_public_url_is_one_that_a_shell_takes_as_it_is() {
        for good in [
            "http://10.0.0.1:8080",
            "https://berth.example.com",
            "https://example.com/berth/",
            "http://[::1]:8080",
        ] {
            let url = PublicUrl::new("url", good).unwrap();
            assert_eq!(url.as_str(), good.trim_end_matches('/'));
        }
        for bad in [
            "",
            "berth.example.com",
            "ftp://berth.example.com",
            "https://",
            "http:///x",
            "https://a b",
            "https://a;reboot",
            "https://$(reboot)",
            "https://a?b",
            "https://user@a",
            &format!("https://{}", "a".repeat(LONGEST_URL)),
        ] {
            let refused = PublicUrl::new("url", bad).unwrap_err();
            assert_eq!(refused.field, "url", "{bad}");
        }
    }
}
