//! The agent as a service of systemd's.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Map, Value};

use crate::{
    Error,
    command::run,
    config::{self, Settings},
    files, machine,
};

/// The unit's name.
pub const UNIT: &str = "berth-agent.service";
const FOLDER: &str = "/etc/systemd/system";
const PATIENCE: Duration = Duration::from_secs(60);

/// The unit's text.
pub fn unit(program: &Path, home: &Path) -> String {
    let mut command = format!("\"{}\" run", program.display());
    if home != Path::new(config::HOME) {
        command.push_str(&format!(" --home \"{}\"", home.display()));
    }
    format!(
        "\
[Unit]
Description=Berth's agent, which makes this machine a node
Wants=network-online.target
After=network-online.target docker.service
# It is tried for ever.
StartLimitIntervalSec=0

[Service]
ExecStart={command}
Restart=always
RestartSec=10
# A configuration that is wrong, or a token that was refused: starting it again changes nothing.
RestartPreventExitStatus=78
# An upgrade of Docker goes on when the agent is stopped.
KillMode=process
UMask=0077

[Install]
WantedBy=multi-user.target
"
    )
}

/// Writes what was given by flags into the configuration file, and installs, enables and starts the unit.
pub async fn install(home: &Path, given: &Settings) -> Result<PathBuf, Error> {
    if !machine::has_systemd() {
        return Err(Error::Missing(
            "systemd does not run this machine, so there is nothing to install the agent into: have your init system \
             run `berth-agent run` and start it again when it ends with another status than 0 and 78"
                .to_owned(),
        ));
    }
    let program = env::current_exe().map_err(Error::io("find", Path::new("berth-agent")))?;
    configure(&home.join(config::FILE), given)?;
    let path = Path::new(FOLDER).join(UNIT);
    files::write(&path, unit(&program, home).as_bytes(), files::PUBLIC)
        .map_err(Error::io("write", &path))?;
    for arguments in [
        &["daemon-reload"][..],
        &["enable", UNIT],
        &["restart", UNIT],
    ] {
        run("systemctl", arguments, PATIENCE)
            .await
            .map_err(|error| Error::Missing(error.to_string()))?;
    }
    Ok(path)
}

/// Puts what was given into the file, and keeps what else is there.
fn configure(path: &Path, given: &Settings) -> Result<(), Error> {
    let wrong = |error: serde_json::Error| {
        Error::Config(format!("{} is no JSON object: {error}", path.display()))
    };
    let Value::Object(given) = serde_json::to_value(given).map_err(wrong)? else {
        return Ok(());
    };
    let given: Map<_, _> = given
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .collect();
    if given.is_empty() {
        return Ok(());
    }
    let text = files::read(path).map_err(Error::io("read", path))?;
    let mut file: Map<String, Value> = match text {
        Some(text) => serde_json::from_str(&text).map_err(wrong)?,
        None => Map::new(),
    };
    file.extend(given);
    let text = format!("{:#}\n", Value::from(file));
    // It holds the token.
    files::write(path, text.as_bytes(), files::PRIVATE).map_err(Error::io("write", path))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn the_unit_runs_this_program_for_ever() {
        let text = unit(
            Path::new("/usr/local/bin/berth-agent"),
            Path::new(config::HOME),
        );
        for line in [
            "ExecStart=\"/usr/local/bin/berth-agent\" run",
            "Restart=always",
            "RestartPreventExitStatus=78",
            "WantedBy=multi-user.target",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in {text}");
        }
        let text = unit(Path::new("/opt/agent"), Path::new("/srv/agent"));
        assert!(
            text.contains("ExecStart=\"/opt/agent\" run --home \"/srv/agent\"\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_given_goes_into_the_file_and_the_rest_of_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent/dockercloud-agent.conf");
        let settings = Settings {
            host: Some("https://berth.example.com".to_owned()),
            token: Some("t".to_owned()),
            ..Settings::default()
        };
        configure(&path, &Settings::default()).unwrap();
        assert!(!path.exists());
        configure(&path, &settings).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let again = Settings {
            token: Some("u".to_owned()),
            ..Settings::default()
        };
        configure(&path, &again).unwrap();
        let read: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(
            read,
            serde_json::json!({"Host": "https://berth.example.com", "Token": "u"})
        );
    }
}
