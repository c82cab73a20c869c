//! What is missing on this machine.

use std::fmt::Write;

use crate::{
    Error,
    api::Api,
    config::{Config, port},
    engine::Engine,
    http::Transport,
    machine,
    metadata::Metadata,
    state::StateFile,
};

/// What was found: lines for a person, and whether anything is missing.
#[derive(Debug, Default)]
pub struct Report {
    /// One line for each thing.
    pub lines: String,
    /// Whether the machine can't be a node as it is.
    pub is_incomplete: bool,
}

impl Report {
    fn good(&mut self, what: &str) {
        self.line("ok     ", what);
    }

    fn missing(&mut self, what: &str) {
        self.is_incomplete = true;
        self.line("MISSING", what);
    }

    fn line(&mut self, mark: &str, what: &str) {
        // Writing to a string does not fail.
        writeln!(self.lines, "{mark}  {what}").ok();
    }
}

/// Looks at everything that the agent needs; changes nothing.
pub async fn check<T: Transport>(
    config: &Config,
    api: &Api<T>,
    metadata: &mut Metadata,
    has_systemd: bool,
) -> Result<Report, Error> {
    let mut report = Report::default();
    match Engine::new(config.docker_socket.clone()).info().await {
        Ok(info) => report.good(&format!(
            "Docker {} with {}, {} containers run",
            info.server_version, info.driver, info.containers_running
        )),
        Err(error) => report.missing(&error.to_string()),
    }
    if !config.configure_docker {
        report.good("Docker is not set up by the agent (ConfigureDocker is false)");
    } else if has_systemd {
        report.good("systemd restarts Docker");
    } else if let Some(command) = &config.restart_command {
        report.good(&format!("Docker is restarted by `{command}`"));
    } else {
        report.missing(
            "systemd does not run this machine: set RestartCommand to the command that restarts Docker, or \
             ConfigureDocker to false",
        );
    }
    metadata.look().await;
    report.good(&metadata.instance_id().map_or_else(
        || "this is no EC2 instance, or its metadata service is off".to_owned(),
        |id| format!("this is EC2 instance {id}"),
    ));
    report.good(&format!(
        "{} cores, {} MB of memory, {} GB of disk",
        machine::cpu(),
        machine::memory_kb() / 1024,
        machine::disk_gb("/var/lib/docker".as_ref())
    ));
    let Some(node) = StateFile::open(&config.home)?.get().uuid.or(config.uuid) else {
        report.good(&format!("this machine is no node of {} yet", config.host));
        return Ok(report);
    };
    match api.node(node).await {
        Ok(form) => report.good(&format!(
            "node {node} of {} is {}; clients reach it at port {}",
            config.host,
            form.state.unwrap_or_default(),
            port(&config.docker_host).unwrap_or_default()
        )),
        Err(error) => report.missing(&format!("node {node} of {}: {error}", config.host)),
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FakeServer, Machine, web};

    async fn checked(machine: &Machine, has_systemd: bool) -> Report {
        let config = machine.config();
        let api = Api::new(web(), &config.host, config.token.clone());
        let mut metadata = Metadata::new(web(), config.metadata_url.clone());
        check(&config, &api, &mut metadata, has_systemd)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_machine_without_docker_and_systemd_is_told_both() {
        let server = FakeServer::start().await;
        let mut machine = Machine::new(&server);
        machine.settings.configure_docker = Some(true);
        let report = checked(&machine, false).await;
        assert!(report.is_incomplete);
        let missing: Vec<_> = report
            .lines
            .lines()
            .filter(|line| line.starts_with("MISSING"))
            .collect();
        let [docker, systemd] = missing.as_slice() else {
            panic!("{}", report.lines);
        };
        assert!(
            docker.contains("Install Docker") && systemd.contains("RestartCommand"),
            "{missing:?}"
        );
    }

    #[tokio::test]
    async fn a_machine_that_has_everything_is_told_so() {
        let server = FakeServer::start().await;
        let mut machine = Machine::new(&server);
        let _engine = machine.start_docker().await;
        machine.settings.configure_docker = Some(true);
        let report = checked(&machine, true).await;
        assert!(!report.is_incomplete, "{}", report.lines);
        assert!(
            report.lines.contains("Docker 26.1.5") && report.lines.contains("no node"),
            "{}",
            report.lines
        );
        machine.settings.uuid = Some(server.node.to_string());
        let report = checked(&machine, true).await;
        assert!(report.lines.contains("is Deploying"), "{}", report.lines);
    }
}
