//! `GET /agent/berth-agent-linux-<architecture>`: the agent's program.

use std::{
    collections::HashMap,
    env::consts::ARCH,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use aws_lc_rs::digest::{Context, SHA256};
use axum::{
    body::Body,
    extract::{Path as Segment, State},
    http::header::{CONTENT_LENGTH, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use tokio_util::io::ReaderStream;

use crate::{
    App,
    error::{ApiError, ErrorBody},
};

/// An architecture, as Debian and Docker call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Architecture {
    /// `x86_64`
    Amd64,
    /// `aarch64`
    Arm64,
}

impl Architecture {
    pub(super) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Whether it is the one of this machine.
    fn is_own(self) -> bool {
        match self {
            Self::Amd64 => ARCH == "x86_64",
            Self::Arm64 => ARCH == "aarch64",
        }
    }

    /// The name under which its program is served, and looked for.
    fn program(self) -> String {
        format!("berth-agent-linux-{}", self.as_str())
    }

    /// Its program: the file of that name, or what `cargo build` has left for this machine's own architecture.
    fn find(self, folder: &Path) -> Option<PathBuf> {
        let built = self.is_own().then(|| folder.join("berth-agent"));
        [Some(folder.join(self.program())), built]
            .into_iter()
            .flatten()
            .find(|file| file.is_file())
    }
}

/// The SHA-256 of the programs, in hexadecimal, as long as their files stay as they are.
#[derive(Debug, Default)]
pub(crate) struct Checksums(Mutex<HashMap<PathBuf, (u64, SystemTime, String)>>);

impl Checksums {
    /// The program's SHA-256; none where there is no such program.
    pub(super) fn of(
        &self,
        folder: Option<&Path>,
        architecture: Architecture,
    ) -> io::Result<Option<String>> {
        let Some(file) = folder.and_then(|folder| architecture.find(folder)) else {
            return Ok(None);
        };
        let about = file.metadata()?;
        let (length, changed) = (about.len(), about.modified()?);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, sum)) = known
            .get(&file)
            .filter(|(l, c, _)| (*l, *c) == (length, changed))
        {
            return Ok(Some(sum.clone()));
        }
        let sum = sha256(&file)?;
        known.insert(file, (length, changed, sum.clone()));
        Ok(Some(sum))
    }
}

fn sha256(file: &Path) -> io::Result<String> {
    let mut context = Context::new(&SHA256);
    let mut file = File::open(file)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => context.update(&buffer[..read]),
        }
    }
    let digest = context.finish();
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    Ok(digits.collect())
}

/// Download the agent's program
///
/// `berth-agent-linux-amd64` or `berth-agent-linux-arm64`; `install.sh` knows its SHA-256. Needs no credentials.
#[utoipa::path(
    get,
    path = "/agent/{program}",
    operation_id = "download_agent",
    tag = "Agents",
    params(("program" = String, Path, description = "Its name.", example = "berth-agent-linux-amd64")),
    responses(
        (status = 200, description = "The program.", body = String, content_type = "application/octet-stream"),
        (status = 404, description = "This replica has no such program.", body = ErrorBody),
    )
)]
pub(crate) async fn program(
    State(app): State<App>,
    Segment(name): Segment<String>,
) -> Result<Response, ApiError> {
    let folder = app.agents.folder.as_deref();
    let asked = Architecture::ALL
        .into_iter()
        .find(|architecture| architecture.program() == name);
    let file = asked.and_then(|architecture| architecture.find(folder?));
    let opened = match &file {
        Some(file) => tokio::fs::File::open(file).await.ok(),
        None => None,
    };
    let Some(opened) = opened else {
        return Err(missing(&name, folder));
    };
    let length = opened.metadata().await.map(|about| about.len());
    let body = Body::from_stream(ReaderStream::new(opened));
    let mut answer = ([(CONTENT_TYPE, "application/octet-stream")], body).into_response();
    if let Ok(length) = length {
        answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    Ok(answer)
}

fn missing(name: &str, folder: Option<&Path>) -> ApiError {
    let names: Vec<_> = Architecture::ALL
        .iter()
        .map(|architecture| architecture.program())
        .collect();
    if !names.iter().any(|known| known == name) {
        return ApiError::NotFound(format!(
            "there is no program {name}; there are {}",
            names.join(" and ")
        ));
    }
    let place = folder.map_or("the folder of BERTH_AGENT_DIR".into(), |folder| {
        folder.display().to_string()
    });
    ApiError::NotFound(format!(
        "this replica has no {name}; its operator builds it as docs/AGENT.md says, and puts it into {place}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_replaced_has_another_checksum() {
        let folder = tempfile::tempdir().unwrap();
        let sums = Checksums::default();
        let of = |architecture| sums.of(Some(folder.path()), architecture).unwrap();
        assert_eq!(of(Architecture::Arm64), None);
        assert_eq!(sums.of(None, Architecture::Arm64).unwrap(), None);
        let file = folder.path().join("berth-agent-linux-arm64");
        std::fs::write(&file, "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of(Architecture::Arm64).as_deref(), Some(abc));
        assert_eq!(of(Architecture::Arm64).as_deref(), Some(abc));
        std::fs::write(&file, "abcd").unwrap();
        assert_ne!(of(Architecture::Arm64).as_deref(), Some(abc));
    }

    #[test]
    fn what_cargo_has_built_serves_this_machines_own_architecture() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("berth-agent"), "abc").unwrap();
        let found =
            Architecture::ALL.map(|architecture| architecture.find(folder.path()).is_some());
        assert_eq!(found, Architecture::ALL.map(Architecture::is_own));
    }
}
