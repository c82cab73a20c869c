//! Third-party clients, which live in a virtual environment that the test command makes.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

/// The folder of this crate.
fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder with the programs of the virtual environment.
///
/// # Panics
/// Where this one is missing.
pub fn venv(needed: &str) -> PathBuf {
    let program = program(needed);
    program.parent().expect("it is in a folder").to_owned()
}

/// A program of the virtual environment.
fn program(name: &str) -> PathBuf {
    let program = folder().join(".venv/bin").join(name);
    assert!(
        program.exists(),
        "{} is missing: run ./test once, which makes the environment",
        program.display()
    );
    program
}

/// Runs the real schemathesis to its end, with the configuration in `folder`, on the specification that is served at
/// `base`.
pub async fn schemathesis(folder: &Path, base: &str) -> Output {
    tokio::process::Command::new(program("schemathesis"))
        .arg("run")
        .arg(format!("{base}/openapi.json"))
        .current_dir(folder)
        .output()
        .await
        .expect("schemathesis runs")
}

/// Runs a Python script of `tests/clients` to its end.
pub async fn python(script: &str, arguments: &[&str]) -> Output {
    tokio::process::Command::new(program("python"))
        .arg(folder().join("clients").join(script))
        .args(arguments)
        .output()
        .await
        .expect("Python runs")
}
