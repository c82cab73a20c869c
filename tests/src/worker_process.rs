//! A worker as a process of its own.

use std::process::Stdio;

use domain::user_data::PublicUrl;
use engine::Way;
use tokio::process::{Child, Command};

use crate::World;

/// A running worker. It is killed when it is dropped.
pub struct WorkerProcess {
    child: Child,
}

impl WorkerProcess {
    /// Starts the program `worker-under-test`, whose path cargo gives to tests, in a world that has no worker.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(program: &str, world: &World) -> Self {
        let zone = world.zone.as_ref();
        let zone = zone.map_or(("", ""), |zone| (&zone.hosted_zone_id, &zone.domain));
        let public_url = world.public_url.as_ref().map(PublicUrl::as_str);
        let proxy = match world.way_to_engines() {
            Way::Through(proxy) => proxy.to_string(),
            Way::Straight => String::new(),
        };
        let child = Command::new(program)
            .env("BERTH_HOSTED_ZONE_ID", zone.0)
            .env("BERTH_NODE_DOMAIN", zone.1)
            .env("BERTH_PUBLIC_URL", public_url.unwrap_or_default())
            .env("BERTH_ENGINE_PROXY", proxy)
            .env("DATABASE_URL", &world.database_url)
            .env("AWS_ENDPOINT_URL", &world.endpoint.url)
            .env("AWS_ACCESS_KEY_ID", &world.endpoint.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &world.endpoint.secret_access_key)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the worker starts");
        Self { child }
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Panics
    /// Where it can't be killed.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("a child can be killed");
    }

    /// SIGTERM, and waits until it has given its sites back and ended.
    ///
    /// # Panics
    /// Where it ended badly.
    pub async fn stop(mut self) {
        self.signal("TERM").await;
        let status = self.child.wait().await.expect("a child can be waited for");
        assert!(status.success(), "the worker ended badly: {status}");
    }

    /// SIGSTOP: it sleeps, and does not know it.
    pub async fn freeze(&self) {
        self.signal("STOP").await;
    }

    /// SIGCONT: it goes on where it was.
    pub async fn thaw(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        // The shell's own `kill`: there is always one.
        let kill = Command::new("/bin/sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &pid])
            .status()
            .await;
        assert!(
            kill.expect("a shell").success(),
            "the worker is gone already"
        );
    }
}
