//! Running other programs.

use std::{fmt, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

/// Why a command did not do it.
#[derive(Debug, thiserror::Error)]
#[error("`{command}` {reason}")]
pub struct CommandError {
    command: String,
    reason: String,
}

/// Runs a program to its end and returns what it printed; after `patience` it is killed.
pub async fn run(
    program: &str,
    arguments: &[&str],
    patience: Duration,
) -> Result<String, CommandError> {
    let failed = |reason: &dyn fmt::Display| CommandError {
        command: [&[program], arguments].concat().join(" "),
        reason: reason.to_string(),
    };
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(patience, output)
        .await
        .map_err(|_| failed(&format!("has not ended within {} s", patience.as_secs())))?
        .map_err(|error| failed(&format!("can't be run: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(&format!(
            "ends with {}: {}",
            output.status,
            said.trim()
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn what_a_command_prints_is_returned() {
        assert_eq!(run("echo", &["a", "b"], LONG).await.unwrap(), "a b\n");
    }

    #[tokio::test]
    async fn a_failure_tells_the_command_and_what_it_said() {
        let error = run("sh", &["-c", "echo no >&2; exit 3"], LONG)
            .await
            .unwrap_err();
        let words = error.to_string();
        assert!(words.contains("exit 3") && words.ends_with("no"), "{words}");
        let error = run("/no/such/program", &[], LONG).await.unwrap_err();
        assert!(error.to_string().contains("can't be run"), "{error}");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_given_up() {
        let error = run("sleep", &["600"], Duration::from_millis(50))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("has not ended"), "{error}");
    }
}
