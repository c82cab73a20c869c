//! The secret key of an installation: from the environment, from a file, or made for this machine alone.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use pki::SecretKey;

use crate::{Error, cli::SecretOptions};

/// The file in which `dev` and `demo` keep theirs.
const FILE: &str = "secret.key";

/// The key that was given, if one was; an empty variable gives none.
pub(crate) fn given(options: &SecretOptions) -> Result<Option<SecretKey>, Error> {
    match (&options.secret_key, &options.secret_key_file) {
        (Some(text), _) if !text.trim().is_empty() => read("BERTH_SECRET_KEY", text).map(Some),
        (_, Some(file)) => of_file(file).map(Some),
        _ => Ok(None),
    }
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
