//! One Postgres for all tests of a process, one database for each test; or one of a test's own, which it can restart.

use std::path::{Path, PathBuf};
use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
    mpsc,
};

use embedded_postgres::{EmbeddedPostgres, Options};
use tokio::sync::OnceCell;

static SERVER: OnceLock<&'static EmbeddedPostgres> = OnceLock::new();
static TEMPLATE: OnceCell<()> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Starts the server on a thread of its own: it outlives the runtime of the test that happens to come first.
fn server() -> &'static EmbeddedPostgres {
    SERVER.get_or_init(|| {
        let (started, server) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime for Postgres");
            runtime.block_on(async {
                let options = Options {
                    data_dir: folder(),
                    durable: false,
                };
                let server = EmbeddedPostgres::start(options).await.expect("a Postgres");
                started
                    .send(&*Box::leak(Box::new(server)))
                    .expect("somebody waits for Postgres");
                std::future::pending::<()>().await;
            });
        });
        server.recv().expect("Postgres has started")
    })
}

/// A folder of this process, which ends without a last word: the folders of processes that are gone go first.
fn folder() -> PathBuf {
    let all = std::env::temp_dir().join("berth-tests");
    std::fs::create_dir_all(&all).expect("a folder for Postgres");
    for other in std::fs::read_dir(&all)
        .expect("the folder's entries")
        .flatten()
    {
        let is_gone = Path::new("/proc/self").exists()
            && !Path::new("/proc").join(other.file_name()).exists();
        if is_gone {
            // Another process may be clearing up at the same moment.
            let _ = std::fs::remove_dir_all(other.path());
        }
    }
    all.join(std::process::id().to_string())
}

/// A Postgres that only one test uses.
pub struct OwnPostgres {
    /// None only while it restarts.
    server: Option<EmbeddedPostgres>,
    folder: tempfile::TempDir,
}

impl OwnPostgres {
    /// Starts it in a folder that goes with it.
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Some(Self::serve(&folder).await);
        Self { server, folder }
    }

    async fn serve(folder: &tempfile::TempDir) -> EmbeddedPostgres {
        let options = Options {
            data_dir: folder.path().join("postgres"),
            durable: false,
        };
        EmbeddedPostgres::start(options).await.expect("a Postgres")
    }

    /// The URL of its database, migrated.
    ///
    /// # Panics
    /// Where it can't be made.
    pub async fn fresh_database(&self) -> String {
        let server = self.server.as_ref().expect("it runs");
        server.create_database("berth").await.expect("a database");
        let url = server.url("berth");
        let pool = store::connect(&url, 1).expect("a pool");
        store::migrate(&pool).await.expect("migrations");
        pool.close().await;
        url
    }

    /// The URL of one of its databases.
    ///
    /// # Panics
    /// Never, but while it restarts.
    pub fn url(&self, database: &str) -> String {
        self.server.as_ref().expect("it runs").url(database)
    }

    /// Ends it with everything that is under way in it, and starts it again.
    ///
    /// # Panics
    /// Where it does not end or start.
    pub async fn restart(&mut self) {
        let server = self.server.take().expect("it runs");
        server.stop().await.expect("it ends");
        self.server = Some(Self::serve(&self.folder).await);
    }

    /// Ends it.
    ///
    /// # Panics
    /// Where it does not end.
    pub async fn stop(mut self) {
        let server = self.server.take().expect("it runs");
        server.stop().await.expect("it ends");
    }
}

/// The URL of a new database, migrated.
pub async fn fresh_database() -> String {
    let server = tokio::task::spawn_blocking(server)
        .await
        .expect("Postgres has started");
    TEMPLATE
        .get_or_init(|| async {
            server
                .create_database("template")
                .await
                .expect("a database");
            let pool = store::connect(&server.url("template"), 1).expect("a pool");
            store::migrate(&pool).await.expect("migrations");
            pool.close().await;
        })
        .await;
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let pool = store::connect(&server.url("postgres"), 1).expect("a pool");
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "CREATE DATABASE {name} TEMPLATE template"
    )))
    .execute(&pool)
    .await
    .expect("a database like the template");
    // Each installation has an id of its own, also where two of them share an AWS account.
    let url = server.url(&name);
    let fresh = store::connect(&url, 1).expect("a pool");
    sqlx::query("UPDATE installation SET id = gen_random_uuid()")
        .execute(&fresh)
        .await
        .expect("an id of its own");
    fresh.close().await;
    pool.close().await;
    url
}
