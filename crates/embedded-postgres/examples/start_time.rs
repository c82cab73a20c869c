//! How long the embedded Postgres takes: the first start (with `initdb`), the end, a second start.
//!
//! `cargo run --release -p embedded-postgres --example start_time`

use std::io::{self, Write};
use std::time::Instant;

use embedded_postgres::{EmbeddedPostgres, Options};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    for durable in [false, true] {
        let options = Options {
            data_dir: folder.path().join(durable.to_string()),
            durable,
        };
        let mut times_ms = Vec::new();
        for _ in 0..2 {
            let begin = Instant::now();
            let postgres = EmbeddedPostgres::start(options.clone()).await?;
            times_ms.push(begin.elapsed().as_millis());
            let begin = Instant::now();
            postgres.create_database("berth").await?;
            times_ms.push(begin.elapsed().as_millis());
            let begin = Instant::now();
            postgres.stop().await?;
            times_ms.push(begin.elapsed().as_millis());
        }
        writeln!(
            io::stdout(),
            "durable {durable}: ms of start, create, stop, start, create, stop: {times_ms:?}"
        )?;
    }
    Ok(())
}
