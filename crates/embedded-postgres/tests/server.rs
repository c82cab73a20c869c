//! A real server, started, stopped, killed and restarted. Run by root, these tests also cover the change of user.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use embedded_postgres::{EmbeddedPostgres, Error, Options};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

const HELPER_DIR: &str = "EMBEDDED_POSTGRES_TEST_DIR";

async fn start(data_dir: impl AsRef<Path>) -> Result<EmbeddedPostgres, Error> {
    let data_dir = data_dir.as_ref().to_owned();
    let durable = false;
    EmbeddedPostgres::start(Options { data_dir, durable }).await
}

async fn query(postgres: &EmbeddedPostgres, sql: &'static str) -> Vec<i32> {
    let mut connection = PgConnection::connect(&postgres.url("berth")).await.unwrap();
    let rows = sqlx::query_scalar(sql)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    rows
}

/// The server's process, from the file that it keeps.
fn server_pid(data_dir: &Path) -> Option<Pid> {
    let content = fs::read_to_string(data_dir.join("pgdata/postmaster.pid")).ok()?;
    Pid::from_raw(content.lines().next()?.parse().ok()?)
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Runs this test program again as a process that starts a server and then waits to be killed.
fn helper(data_dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_process", "--nocapture"])
        .env(HELPER_DIR, data_dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn helper_process() {
    let Some(data_dir) = std::env::var_os(HELPER_DIR) else {
        return;
    };
    let data_dir = Path::new(&data_dir);
    let postgres = EmbeddedPostgres::start(Options {
        data_dir: data_dir.to_owned(),
        durable: true,
    })
    .await
    .unwrap();
    postgres.create_database("berth").await.unwrap();
    let mut connection = PgConnection::connect(&postgres.url("berth")).await.unwrap();
    sqlx::raw_sql("create table t (n int); insert into t values (7)")
        .execute(&mut connection)
        .await
        .unwrap();
    fs::write(data_dir.join("ready"), "").unwrap();
    sleep(Duration::from_secs(60)).await;
}

#[tokio::test]
async fn data_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = start(folder.path()).await.unwrap();
    postgres.create_database("berth").await.unwrap();
    postgres.create_database("berth").await.unwrap();
    postgres
        .create_database(r#"odd "name" ?&/ü"#)
        .await
        .unwrap();
    PgConnection::connect(&postgres.url(r#"odd "name" ?&/ü"#))
        .await
        .unwrap();
    let mut connection = PgConnection::connect(&postgres.url("berth")).await.unwrap();
    sqlx::raw_sql("create table t (n int); insert into t values (1), (2)")
        .execute(&mut connection)
        .await
        .unwrap();
    // An open connection does not hold the end up.
    postgres.stop().await.unwrap();
    assert_eq!(server_pid(folder.path()), None);

    let postgres = start(folder.path()).await.unwrap();
    assert_eq!(query(&postgres, "select n from t order by n").await, [1, 2]);
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn settings_are_those_that_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = start(folder.path()).await.unwrap();
    let mut connection = PgConnection::connect(&postgres.url("postgres"))
        .await
        .unwrap();
    for (name, value) in [
        ("listen_addresses", ""),
        ("max_connections", "200"),
        ("server_encoding", "UTF8"),
        ("TimeZone", "UTC"),
        ("fsync", "off"),
    ] {
        let actual: String = sqlx::query_scalar("select current_setting($1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(actual, value, "{name}");
    }
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn two_servers_run_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = tokio::join!(
        start(folder.path().join("one")),
        start(folder.path().join("two"))
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    one.create_database("berth").await.unwrap();
    assert!(PgConnection::connect(&two.url("berth")).await.is_err());
    one.stop().await.unwrap();
    two.stop().await.unwrap();
}

#[tokio::test]
async fn a_path_that_is_too_long_for_a_socket_works() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder
        .path()
        .join("a folder with spaces, and a long name")
        .join("x".repeat(100));
    let postgres = start(&data_dir).await.unwrap();
    postgres.create_database("berth").await.unwrap();
    assert_eq!(query(&postgres, "select 1").await, [1]);
    postgres.stop().await.unwrap();
}

/// Root's home and root's temporary folders are closed to the user that the server runs as.
#[tokio::test]
async fn a_private_parent_folder_works() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let postgres = start(folder.path().join("a/b")).await.unwrap();
    postgres.create_database("berth").await.unwrap();
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_owner_leaves_no_server_and_loses_no_data() {
    let folder = tempfile::tempdir().unwrap();
    let mut owner = helper(folder.path());
    until("the helper is ready", || {
        folder.path().join("ready").exists()
    })
    .await;
    let server = server_pid(folder.path()).unwrap();
    test_kill_process(server).unwrap();

    owner.kill().unwrap();
    owner.wait().unwrap();
    // At once: this start has to wait for the end of the old server.
    let postgres = start(folder.path()).await.unwrap();
    assert!(test_kill_process(server).is_err(), "{server:?} still runs");
    assert_eq!(query(&postgres, "select n from t").await, [7]);
    postgres.stop().await.unwrap();
}

/// The moment at which the server does not listen to signals yet.
#[tokio::test]
async fn an_owner_killed_during_the_start_leaves_no_server() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path()).await.unwrap().stop().await.unwrap();
    for delay_ms in [0, 5, 10, 20, 40] {
        let mut owner = helper(folder.path());
        until("the supervisor starts", || {
            fs::read_to_string(folder.path().join("owner.pid"))
                .is_ok_and(|pid| pid.trim() == owner.id().to_string())
        })
        .await;
        sleep(Duration::from_millis(delay_ms)).await;
        owner.kill().unwrap();
        owner.wait().unwrap();
        // The lock is free only when no process of the old server is left.
        start(folder.path()).await.unwrap().stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_dropped_server_ends() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = start(folder.path()).await.unwrap();
    let server = server_pid(folder.path()).unwrap();
    drop(postgres);
    until("the server is gone", || test_kill_process(server).is_err()).await;
}

#[tokio::test]
async fn the_pid_file_of_a_hard_kill_does_not_hinder() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = start(folder.path()).await.unwrap();
    postgres.create_database("berth").await.unwrap();
    let pid_file = folder.path().join("pgdata/postmaster.pid");
    let server = server_pid(folder.path()).unwrap();
    kill_process(server, Signal::KILL).unwrap();
    let error = postgres.stop().await.unwrap_err().to_string();
    assert!(error.contains("ended with an error"), "{error}");

    // Its number now belongs to a process that has nothing to do with it, as in a restarted container.
    let content = fs::read_to_string(&pid_file).unwrap();
    let stranger = content.replacen(
        &server.as_raw_nonzero().to_string(),
        &std::process::id().to_string(),
        1,
    );
    fs::write(&pid_file, stranger).unwrap();
    let postgres = start(folder.path()).await.unwrap();
    assert_eq!(query(&postgres, "select 1").await, [1]);
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = start(folder.path()).await.unwrap();
    let error = start(folder.path()).await.unwrap_err().to_string();
    let expected = format!("already used by process {}", std::process::id());
    assert!(error.contains(&expected), "{error}");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn folders_that_are_no_database_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(start(&file).await, Err(Error::Io { .. })));

    let other = folder.path().join("other");
    fs::create_dir_all(other.join("pgdata")).unwrap();
    let result = start(&other).await;
    assert!(matches!(result, Err(Error::NotADatabase(_))), "{result:?}");

    fs::write(other.join("pgdata/PG_VERSION"), "9.6\n").unwrap();
    let result = start(&other).await;
    assert!(
        matches!(result, Err(Error::VersionMismatch { data: 9, .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_start_shows_its_log() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path()).await.unwrap().stop().await.unwrap();
    fs::write(
        folder.path().join("pgdata/postgresql.conf"),
        "no_such_setting = 1\n",
    )
    .unwrap();
    let error = start(folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("no_such_setting"), "{error}");
    assert!(error.contains("postgres.log"), "{error}");
}
