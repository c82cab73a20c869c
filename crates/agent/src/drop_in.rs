//! The systemd drop-in for `docker.service`.
//!
//! Every packaging of Docker starts the daemon with `-H fd://`, and the daemon refuses to start when its hosts are both
//! on the command line and in `daemon.json`. So the drop-in takes the command line as it is and leaves the hosts out.

/// The drop-in's file name: it is left out when the command line is read back.
pub const NAME: &str = "berth-agent.conf";

/// Flags that `daemon.json` says now, with whether a value may follow as the next word.
const MOVED: [(&str, bool); 7] = [
    ("-H", true),
    ("--host", true),
    ("--tls", false),
    ("--tlsverify", false),
    ("--tlscacert", true),
    ("--tlscert", true),
    ("--tlskey", true),
];

/// A command line of the daemon's without its hosts and TLS flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// What is left of it.
    rest: Vec<String>,
    /// The hosts that it had.
    pub hosts: Vec<String>,
}

impl CommandLine {
    /// The daemon's, from what `systemctl cat docker.service` prints; `None` where no command is in it.
    pub fn read(unit: &str) -> Option<Self> {
        let mut command = None;
        let mut is_own = false;
        for line in unit.replace("\\\n", " ").lines() {
            let line = line.trim();
            if let Some(path) = line.strip_prefix("# /") {
                is_own = path.ends_with(&format!("/{NAME}"));
            } else if let Some(value) = line.strip_prefix("ExecStart=")
                && !is_own
            {
                // An empty one takes the earlier ones back.
                command = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
            }
        }
        Some(Self::split(&command?))
    }

    fn split(command: &str) -> Self {
        let mut line = Self {
            rest: Vec::new(),
            hosts: Vec::new(),
        };
        let mut words = command.split_whitespace();
        while let Some(word) = words.next() {
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                // As in -Hfd://
                None => match word.strip_prefix("-H").filter(|value| !value.is_empty()) {
                    Some(value) => ("-H", Some(value)),
                    None => (word, None),
                },
            };
            let Some((_, takes_value)) = MOVED.iter().find(|(moved, _)| *moved == flag) else {
                line.rest.push(word.to_owned());
                continue;
            };
            let value = value.or_else(|| takes_value.then(|| words.next()).flatten());
            if matches!(flag, "-H" | "--host") {
                line.hosts.extend(value.map(str::to_owned));
            }
        }
        line
    }

    /// The drop-in, with these flags beside.
    pub fn drop_in(&self, further: &str) -> String {
        let mut command = self.rest.join(" ");
        if !further.trim().is_empty() {
            command.push(' ');
            command.push_str(further.trim());
        }
        format!(
            "# Written by berth-agent. Where Docker listens, and with which certificates, is in daemon.json.\n\
             [Service]\nExecStart=\nExecStart={command}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DOCKER_CE: &str = "\
# /usr/lib/systemd/system/docker.service
[Unit]
Description=Docker Application Container Engine

[Service]
Type=notify
# the default is not to use systemd for cgroups
ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock
ExecReload=/bin/kill -s HUP $MAINPID
";
    const AMAZON_LINUX: &str = "\
# /usr/lib/systemd/system/docker.service
[Service]
ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock \\
    $OPTIONS $DOCKER_STORAGE_OPTIONS \\
    $DOCKER_ADD_RUNTIMES
";

    #[test]
    fn the_command_of_each_packaging_is_found() {
        let line = CommandLine::read(DOCKER_CE).unwrap();
        assert_eq!(line.hosts, ["fd://"]);
        assert!(line.drop_in("").ends_with(
            "[Service]\nExecStart=\n\
             ExecStart=/usr/bin/dockerd --containerd=/run/containerd/containerd.sock\n"
        ));
        let line = CommandLine::read(AMAZON_LINUX).unwrap();
        assert!(line.drop_in("--debug").ends_with(
            "ExecStart=/usr/bin/dockerd --containerd=/run/containerd/containerd.sock $OPTIONS \
             $DOCKER_STORAGE_OPTIONS $DOCKER_ADD_RUNTIMES --debug\n"
        ));
    }

    #[test]
    fn the_owners_drop_in_counts_and_the_agents_own_does_not() {
        let owner = "# /etc/systemd/system/docker.service.d/10-own.conf\n[Service]\nExecStart=\n\
                     ExecStart=/opt/dockerd --host=unix:///run/own.sock -H=tcp://127.0.0.1:2375\n";
        let line = CommandLine::read(&format!("{DOCKER_CE}\n{owner}")).unwrap();
        assert_eq!(line.hosts, ["unix:///run/own.sock", "tcp://127.0.0.1:2375"]);
        let own = format!(
            "# /etc/systemd/system/docker.service.d/{NAME}\n{}",
            line.drop_in("--debug")
        );
        let again = CommandLine::read(&format!("{DOCKER_CE}\n{owner}\n{own}")).unwrap();
        assert_eq!(again, line);
    }

    #[test]
    fn hosts_and_tls_flags_are_taken_out_in_every_form() {
        let line = CommandLine::split(
            "dockerd -Hfd:// --tlsverify --tlscacert=/a --tlscert /b --tlskey /c --tls=true --bridge none --tlsx",
        );
        assert_eq!(line.hosts, ["fd://"]);
        assert_eq!(line.rest, ["dockerd", "--bridge", "none", "--tlsx"]);
    }

    #[test]
    fn a_unit_without_a_command_is_none() {
        assert_eq!(CommandLine::read(""), None);
        assert_eq!(
            CommandLine::read("[Service]\nExecStart=/a\nExecStart=\n"),
            None
        );
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back_without_hosts(
            words in proptest::collection::vec("-H|--host=a|-Hb|--tlsverify|--tlskey|[!-~]{1,8}", 1..8)
        ) {
            let command = words.join(" ");
            let line = CommandLine::split(&command);
            let again = CommandLine::split(&line.rest.join(" "));
            prop_assert!(again.hosts.is_empty(), "{:?}", again);
            prop_assert_eq!(&again.rest, &line.rest);
        }

        #[test]
        fn any_text_is_a_unit_or_none(text in "(ExecStart=|# /|[ -~\\n\\\\]){0,80}") {
            CommandLine::read(&text);
        }
    }
}
