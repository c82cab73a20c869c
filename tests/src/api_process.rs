//! An API replica as a process of its own.

use crate::{Client, Process, World, free_port};

/// A running replica. It is killed when it is dropped, with whatever it is answering.
pub struct ApiProcess {
    process: Process,
    /// `http://127.0.0.1:…`
    pub base: String,
}

impl ApiProcess {
    /// Starts `program`, which is the `berth` command, as an API of the world's database.
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn start(program: &str, world: &World) -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let arguments = ["--log-format", "json", "serve", "--role", "api", "--listen"];
        let arguments = [&arguments[..], &[listen.as_str()]].concat();
        let environment = [
            ("DATABASE_URL", world.database_url.as_str()),
            ("BERTH_READINESS", "instance"),
            ("BERTH_AMBIENT_NAMESPACES", "*"),
            // Tests ask more than users do.
            ("BERTH_REQUESTS_PER_SECOND", "0"),
            ("BERTH_CONNECTIONS_PER_ADDRESS", "0"),
        ];
        let mut process = Process::start(program, &arguments, &environment);
        process.address().await;
        Self {
            process,
            base: format!("http://{listen}"),
        }
    }

    /// The world's user as a client of this replica.
    pub fn client(&self, world: &World) -> Client {
        world.client.at(self.base.clone())
    }

    /// SIGTERM, and waits until it has ended.
    ///
    /// # Panics
    /// Where it ended badly.
    pub async fn stop(self) {
        self.process.sigterm();
        let ended = self.process.ended().await;
        assert_eq!(ended.code, Some(0), "the API ended badly: {}", ended.stderr);
    }
}
