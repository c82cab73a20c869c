//! The agent's configuration: a JSON file, environment variables and flags; a flag wins over its variable, and that over
//! the file.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use http::Uri;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{Error, files};

/// Where Docker Cloud's agent kept its configuration, key and certificates.
pub const HOME: &str = "/etc/dockercloud/agent";
/// The configuration file's name in the home folder.
pub const FILE: &str = "dockercloud-agent.conf";

/// What is configured, each of it optional. The file's keys are those of Docker Cloud's agent 1.1.0, with additions.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Settings {
    /// The server, as https://berth.example.com.
    #[arg(long, env = "BERTH_AGENT_HOST", value_name = "URL")]
    pub host: Option<String>,
    /// The token that registers this machine.
    #[arg(long, env = "BERTH_AGENT_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The node that this machine is to be, when the server has made one for it already.
    #[arg(long, env = "BERTH_AGENT_UUID")]
    #[serde(rename = "UUID")]
    pub uuid: Option<String>,
    /// The name in the certificate instead of the one that the server tells.
    #[arg(long, env = "BERTH_AGENT_CERT_COMMON_NAME", value_name = "NAME")]
    pub cert_common_name: Option<String>,
    /// Where Docker is to listen. [default: tcp://0.0.0.0:2376]
    #[arg(long, env = "BERTH_AGENT_DOCKER_HOST", value_name = "URL")]
    pub docker_host: Option<String>,
    /// Further flags for the Docker daemon.
    #[arg(long, env = "BERTH_AGENT_DOCKER_OPTS", value_name = "FLAGS")]
    pub docker_opts: Option<String>,
    /// Whether the agent sets Docker up to listen with mutual TLS. [default: true]
    #[arg(long, env = "BERTH_AGENT_CONFIGURE_DOCKER", value_name = "BOOL")]
    pub configure_docker: Option<bool>,
    /// Docker's own socket. [default: /var/run/docker.sock]
    #[arg(long, env = "BERTH_AGENT_DOCKER_SOCKET", value_name = "FILE")]
    pub docker_socket: Option<PathBuf>,
    /// Docker's configuration file. [default: /etc/docker/daemon.json]
    #[arg(long, env = "BERTH_AGENT_DAEMON_JSON", value_name = "FILE")]
    pub daemon_json: Option<PathBuf>,
    /// The command that restarts Docker. [default: systemctl restart docker, where systemd runs]
    #[arg(long, env = "BERTH_AGENT_RESTART_COMMAND", value_name = "COMMAND")]
    pub restart_command: Option<String>,
    /// The command that upgrades Docker. [default: by apt-get, dnf or yum]
    #[arg(long, env = "BERTH_AGENT_UPGRADE_COMMAND", value_name = "COMMAND")]
    pub upgrade_command: Option<String>,
    /// The instance metadata service, or "off". [default: http://169.254.169.254]
    #[arg(long, env = "BERTH_AGENT_METADATA_URL", value_name = "URL")]
    pub metadata_url: Option<String>,
    /// Certificates in PEM that are trusted for the server beside the system's.
    #[arg(long, env = "BERTH_AGENT_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// How often, in seconds, the machine's addresses are looked at. [default: 2]
    #[arg(long, env = "BERTH_AGENT_ADDRESS_SECONDS", value_name = "N")]
    pub address_seconds: Option<u64>,
    /// What is logged: error, warn, info, debug or trace. [default: info]
    #[arg(long, env = "BERTH_AGENT_LOG", value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Keys of the file that the agent does not know.
    #[arg(skip)]
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Settings {
    /// These, and where they say nothing, those of the file.
    fn or(self, file: Self) -> Self {
        macro_rules! or {
            ($($field:ident),*) => {
                Self { $($field: self.$field.or(file.$field),)* unknown: file.unknown }
            };
        }
        or!(
            host,
            token,
            uuid,
            cert_common_name,
            docker_host,
            docker_opts,
            configure_docker,
            docker_socket,
            daemon_json,
            restart_command,
            upgrade_command,
            metadata_url,
            ca_file,
            address_seconds,
            log_level
        )
    }
}

/// The server's token. It is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// The configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the configuration, the key, the certificates and the state are.
    pub home: PathBuf,
    /// The server's URL, without a slash at its end.
    pub host: String,
    /// The token.
    pub token: Token,
    /// The node that was made for this machine.
    pub uuid: Option<Uuid>,
    /// The certificate's name.
    pub cert_common_name: Option<String>,
    /// Where Docker is to listen.
    pub docker_host: String,
    /// Further flags for Docker's daemon.
    pub docker_opts: String,
    /// Whether Docker is set up.
    pub configure_docker: bool,
    /// Docker's socket.
    pub docker_socket: PathBuf,
    /// Docker's configuration file.
    pub daemon_json: PathBuf,
    /// The command that restarts Docker.
    pub restart_command: Option<String>,
    /// The command that upgrades Docker.
    pub upgrade_command: Option<String>,
    /// The instance metadata service; `None` when it is off.
    pub metadata_url: Option<String>,
    /// Trusted certificates.
    pub ca_file: Option<PathBuf>,
    /// How often addresses are looked at.
    pub address_interval: Duration,
    /// What is logged.
    pub log_level: tracing::Level,
    /// What in the file is not known, and so has no effect.
    pub unknown: Vec<String>,
}

impl Config {
    /// Reads the file of this folder and puts the flags over it.
    pub fn load(home: &Path, flags: Settings) -> Result<Self, Error> {
        let path = home.join(FILE);
        let text = files::read(&path).map_err(Error::io("read", &path))?;
        let file = text.map_or(Ok(Settings::default()), |text| {
            serde_json::from_str(&text).map_err(|error| {
                Error::Config(format!(
                    "{} is no valid configuration: {error}",
                    path.display()
                ))
            })
        })?;
        Self::check(home, flags.or(file))
    }

    /// The file that the configuration is read from.
    pub fn file(&self) -> PathBuf {
        self.home.join(FILE)
    }

    fn check(home: &Path, settings: Settings) -> Result<Self, Error> {
        let file = home.join(FILE);
        let missing = |key: &str, flag: &str, what: &str| {
            Error::Config(format!(
                "there is no {key}: put \"{key}\": \"{what}\" into {}, or give --{flag}",
                file.display()
            ))
        };
        let wrong = |key: &str, value: &str, must: &str| {
            Err(Error::Config(format!("{key} {value:?} must be {must}")))
        };
        // The original writes "" for what is not set.
        let text = |it: Option<String>| it.filter(|it| !it.is_empty());

        let host =
            text(settings.host).ok_or_else(|| missing("Host", "host", "https://the-server"))?;
        if !is_http_url(&host) {
            return wrong("Host", &host, "a URL with http or https and a host");
        }
        let token = text(settings.token)
            .ok_or_else(|| missing("Token", "token", "the token of `docker-cloud node byo`"))?;
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Config(
                "Token has a character that no token has (a space or a line's end?)".to_owned(),
            ));
        }
        let uuid = match text(settings.uuid) {
            None => None,
            Some(it) => match Uuid::try_parse(&it) {
                Ok(uuid) => Some(uuid),
                Err(_) => return wrong("UUID", &it, "the id of a node"),
            },
        };
        let docker_host =
            text(settings.docker_host).unwrap_or_else(|| "tcp://0.0.0.0:2376".to_owned());
        if !docker_host.starts_with("tcp://") || port(&docker_host).is_none() {
            return wrong("DockerHost", &docker_host, "as tcp://0.0.0.0:2376");
        }
        let metadata_url =
            text(settings.metadata_url).unwrap_or_else(|| "http://169.254.169.254".to_owned());
        if metadata_url != "off" && !is_http_url(&metadata_url) {
            return wrong("MetadataUrl", &metadata_url, "a URL with http, or \"off\"");
        }
        let address_seconds = settings.address_seconds.unwrap_or(2);
        if !(1..=3600).contains(&address_seconds) {
            let value = address_seconds.to_string();
            return wrong("AddressSeconds", &value, "from 1 to 3600");
        }
        let log_level = text(settings.log_level).unwrap_or_else(|| "info".to_owned());
        let Ok(log_level) = log_level.parse() else {
            return wrong(
                "LogLevel",
                &log_level,
                "one of error, warn, info, debug, trace",
            );
        };
        let path = |it: Option<PathBuf>, default: &str| it.unwrap_or_else(|| default.into());
        Ok(Self {
            home: home.to_owned(),
            host: host.trim_end_matches('/').to_owned(),
            token: Token(token),
            uuid,
            cert_common_name: text(settings.cert_common_name),
            docker_host,
            docker_opts: settings.docker_opts.unwrap_or_default(),
            configure_docker: settings.configure_docker.unwrap_or(true),
            docker_socket: path(settings.docker_socket, "/var/run/docker.sock"),
            daemon_json: path(settings.daemon_json, "/etc/docker/daemon.json"),
            restart_command: text(settings.restart_command),
            upgrade_command: text(settings.upgrade_command),
            metadata_url: Some(metadata_url.trim_end_matches('/').to_owned())
                .filter(|it| it != "off"),
            ca_file: settings.ca_file,
            address_interval: Duration::from_secs(address_seconds),
            log_level,
            unknown: settings.unknown.into_iter().map(|(key, _)| key).collect(),
        })
    }

    /// Whether the token would cross a network in the clear.
    pub fn is_in_the_clear(&self) -> bool {
        let Ok(uri) = self.host.parse::<Uri>() else {
            return false;
        };
        let host = uri.host().unwrap_or_default();
        uri.scheme_str() == Some("http") && !matches!(host, "localhost" | "127.0.0.1" | "[::1]")
    }
}

fn is_http_url(text: &str) -> bool {
    text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
    })
}

/// The port of an address like tcp://0.0.0.0:2376.
pub fn port(docker_host: &str) -> Option<u16> {
    docker_host.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn load(file: &str, flags: Settings) -> Result<Config, String> {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(FILE), file).unwrap();
        Config::load(home.path(), flags).map_err(|error| error.to_string())
    }

    const ORIGINAL: &str = r#"{
        "CertCommonName": "", "DockerHost": "tcp://0.0.0.0:2375", "Host": "https://cloud.example.com/",
        "Token": "d5b1a7", "UUID": "9f5e0f21-7c3b-4b4b-8d5b-0b8f1f3c6b1a", "DockerOpts": "--debug"
    }"#;

    #[test]
    fn the_file_of_the_original_agent_is_understood() {
        let config = load(ORIGINAL, Settings::default()).unwrap();
        assert_eq!(config.host, "https://cloud.example.com");
        assert_eq!(config.token, Token("d5b1a7".to_owned()));
        assert_eq!(
            config.uuid.unwrap().to_string(),
            "9f5e0f21-7c3b-4b4b-8d5b-0b8f1f3c6b1a"
        );
        assert_eq!(config.cert_common_name, None);
        assert_eq!(port(&config.docker_host), Some(2375));
        assert_eq!(config.docker_opts, "--debug");
        assert!(config.configure_docker && config.unknown.is_empty());
        assert_eq!(
            config.metadata_url.as_deref(),
            Some("http://169.254.169.254")
        );
    }

    #[test]
    fn flags_win_over_the_file() {
        let flags = Settings {
            host: Some("http://127.0.0.1:8080".to_owned()),
            configure_docker: Some(false),
            metadata_url: Some("off".to_owned()),
            ..Settings::default()
        };
        let config = load(ORIGINAL, flags).unwrap();
        assert_eq!(config.host, "http://127.0.0.1:8080");
        assert_eq!(config.token, Token("d5b1a7".to_owned()));
        assert!(!config.configure_docker);
        assert_eq!(config.metadata_url, None);
    }

    #[test]
    fn without_a_file_the_flags_are_enough() {
        let home = tempfile::tempdir().unwrap();
        let flags = Settings {
            host: Some("https://berth.example.com".to_owned()),
            token: Some("t".to_owned()),
            ..Settings::default()
        };
        assert!(Config::load(home.path(), flags).is_ok());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_value_and_the_way_out() {
        let none = Settings::default;
        for (file, words) in [
            (
                "{",
                vec!["dockercloud-agent.conf", "no valid configuration"],
            ),
            ("{}", vec!["no Host", "dockercloud-agent.conf", "--host"]),
            (r#"{"Host": "https://a"}"#, vec!["no Token", "node byo"]),
            (
                r#"{"Host": "cloud", "Token": "t"}"#,
                vec!["Host \"cloud\"", "http"],
            ),
            (
                r#"{"Host": "https://a", "Token": "t\n"}"#,
                vec!["Token", "line's end"],
            ),
            (
                r#"{"Host": "https://a", "Token": "t", "UUID": "7"}"#,
                vec!["UUID \"7\""],
            ),
            (
                r#"{"Host": "https://a", "Token": "t", "DockerHost": "unix:///x"}"#,
                vec!["DockerHost", "tcp://"],
            ),
            (
                r#"{"Host": "https://a", "Token": "t", "AddressSeconds": 0}"#,
                vec!["AddressSeconds", "1 to 3600"],
            ),
            (
                r#"{"Host": "https://a", "Token": "t", "LogLevel": "loud"}"#,
                vec!["LogLevel \"loud\"", "debug"],
            ),
        ] {
            let error = load(file, none()).unwrap_err();
            for word in words {
                assert!(error.contains(word), "{word:?} is not in {error:?}");
            }
        }
    }

    #[test]
    fn a_key_with_a_typo_is_noticed() {
        let file = r#"{"Host": "https://a", "Token": "t", "ConfigureTheDocker": false}"#;
        assert_eq!(
            load(file, Settings::default()).unwrap().unknown,
            ["ConfigureTheDocker"]
        );
    }

    #[test]
    fn the_token_is_not_printed() {
        let config = load(ORIGINAL, Settings::default()).unwrap();
        assert!(!format!("{config:?}").contains("d5b1a7"));
    }

    #[test]
    fn a_server_without_tls_is_in_the_clear_unless_it_is_on_this_machine() {
        let with = |host: &str| {
            load(
                &format!(r#"{{"Host": "{host}", "Token": "t"}}"#),
                Settings::default(),
            )
        };
        assert!(with("http://berth.example.com").unwrap().is_in_the_clear());
        assert!(!with("https://berth.example.com").unwrap().is_in_the_clear());
        assert!(!with("http://127.0.0.1:1").unwrap().is_in_the_clear());
    }
}
