//! The secret key of an installation: from the environment, from a file, or made for this machine alone.

use std::{
    convert::Infallible,
    env,
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    os::{
        fd::AsRawFd,
        unix::{fs::OpenOptionsExt, process::CommandExt},
    },
    path::Path,
    process::Command,
};

use pki::SecretKey;
use rustix::io::{FdFlags, fcntl_setfd};

use crate::{Error, cli::SecretOptions};

/// The file in which `dev` and `demo` keep theirs.
const FILE: &str = "secret.key";
const VARIABLE: &str = "BERTH_SECRET_KEY";
const VARIABLE_OF_FILE: &str = "BERTH_SECRET_KEY_FILE";
/// What every pipe takes before anybody reads (pipe(7), "Pipe capacity").
const LONGEST: usize = 4096;

/// The key that was given, if one was; an empty variable gives none.
///
/// Where it is in the environment this does not come back: the program begins anew without it there.
pub(crate) fn given(options: &SecretOptions) -> Result<Option<SecretKey>, Error> {
    let text = match env::var(VARIABLE) {
        Ok(text) if !text.trim().is_empty() => Some(text),
        Ok(_) | Err(env::VarError::NotPresent) => None,
        Err(env::VarError::NotUnicode(_)) => {
            return Err(Error::Usage(format!("{VARIABLE}: it is no text")));
        }
    };
    let file = options.secret_key_file.as_ref();
    match (text, file.filter(|file| !file.as_os_str().is_empty())) {
        (Some(_), Some(file)) => Err(Error::Usage(format!(
            "{VARIABLE} is set, and --secret-key-file {}, too: give one of them",
            file.display()
        ))),
        (Some(text), None) => {
            read(VARIABLE, &text)?;
            let Err(error) = begin_anew(&text);
            Err(Error::Io(
                format!(
                    "{VARIABLE} can't be taken out of the environment, where others may read it; put the key into a file, \
                     and give {VARIABLE_OF_FILE} instead"
                ),
                error,
            ))
        }
        (None, Some(file)) => of_file(file).map(Some),
        (None, None) => Ok(None),
    }
}

/// Begins this program anew, as the same process. A process's environment is shown in `/proc`, stands in a core dump and is
/// handed to what it starts, for as long as it runs, and nothing that it does to its variables changes that. So the key
/// goes on in a pipe, which is empty when it has been read.
fn begin_anew(key: &str) -> io::Result<Infallible> {
    if key.len() > LONGEST {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            format!("it is longer than {LONGEST} bytes"),
        ));
    }
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(key.as_bytes())?;
    drop(writer);
    // It stays open.
    fcntl_setfd(&reader, FdFlags::empty())?;
    let mut anew = Command::new(env::current_exe()?);
    let mut arguments = env::args_os();
    if let Some(name) = arguments.next() {
        anew.arg0(name);
    }
    anew.args(arguments)
        .env_remove(VARIABLE)
        .env(VARIABLE_OF_FILE, format!("/dev/fd/{}", reader.as_raw_fd()));
    Err(anew.exec())
}

/// The key of an installation that lives in this folder, made where there is none yet.
pub(crate) fn of_folder(folder: &Path) -> Result<SecretKey, Error> {
    let file = folder.join(FILE);
    let made = SecretKey::generate().map_err(|error| Error::Usage(error.to_string()))?;
    let new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file);
    match new.and_then(|mut file| file.write_all(made.to_base64().as_bytes())) {
        Ok(()) => Ok(made),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => of_file(&file),
        Err(error) => {
            let what = format!("the secret key can't be written to {}", file.display());
            Err(Error::Io(what, error))
        }
    }
}

fn of_file(file: &Path) -> Result<SecretKey, Error> {
    let name = file.display();
    let text = fs::read_to_string(file)
        .map_err(|error| Error::Io(format!("the secret key can't be read from {name}"), error))?;
    read(&name.to_string(), &text)
}

fn read(place: &str, text: &str) -> Result<SecretKey, Error> {
    SecretKey::from_base64(text).map_err(|error| Error::Usage(format!("{place}: {error}")))
}
