//! The node's key and certificate, and the authority whose clients its engine lets in.

use std::path::{Path, PathBuf};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};

use crate::{
    Error,
    files::{self, Disk},
};

/// The files, named as the original agent named them.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The private key; it never leaves the machine.
    pub key: PathBuf,
    /// The certificate, signed with that key.
    pub cert: PathBuf,
    /// The server's authority for clients.
    pub ca: PathBuf,
    disk: Disk,
}

impl Keys {
    /// Those of this folder.
    pub fn of(home: &Path) -> Self {
        Self::on(Disk::Real, home)
    }

    /// The same on another disk.
    pub fn on(disk: Disk, home: &Path) -> Self {
        Self {
            disk,
            key: home.join("key.pem"),
            cert: home.join("cert.pem"),
            ca: home.join("ca.pem"),
        }
    }

    /// The certificate, in PEM, if it is there with its key.
    pub fn certificate(&self) -> Result<Option<String>, Error> {
        let read = |path| self.disk.read(path).map_err(Error::io("read", path));
        let key = read(&self.key)?;
        Ok(read(&self.cert)?.filter(|_| key.is_some()))
    }

    /// A new key and a certificate for this name instead of what is there.
    ///
    /// A node has one certificate for its whole life, whatever its name becomes: the server trusts this very one.
    pub fn renew(&self, name: &str) -> Result<String, Error> {
        let (key, cert) = make(name)?;
        let write = |path, text: &str, mode| {
            let written = self.disk.write(path, text, mode);
            written.map_err(Error::io("write", path))
        };
        write(&self.key, &key, files::PRIVATE)?;
        write(&self.cert, &cert, files::PUBLIC)?;
        Ok(cert)
    }

    /// Keeps the authority, which the server may have changed.
    pub fn keep_authority(&self, pem: &str) -> Result<(), Error> {
        let path = &self.ca;
        let kept = self.disk.read(path).map_err(Error::io("read", path))?;
        if kept.as_deref() == Some(pem) {
            return Ok(());
        }
        let written = self.disk.write(path, pem, files::PUBLIC);
        written.map_err(Error::io("write", path))
    }

    /// Whether there is all that mutual TLS needs.
    pub fn are_whole(&self) -> bool {
        [&self.key, &self.cert, &self.ca]
            .into_iter()
            .all(|path| self.disk.has(path))
    }

    /// Removes them: the node that they were for is no more.
    pub fn forget(&self) -> Result<(), Error> {
        for path in [&self.key, &self.cert, &self.ca] {
            let removed = self.disk.remove(path);
            removed.map_err(Error::io("remove", path))?;
        }
        Ok(())
    }
}

/// A key and a certificate for this name, both in PEM.
///
/// It signs nothing but itself and is no authority, so that clients which refuse an authority as a server's certificate
/// take it. It is valid for the life of any machine: whoever trusts it trusts this very certificate, so that an end
/// would only be an outage; and a fixed beginning does not mind a machine whose clock is wrong.
fn make(name: &str) -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::new([name.to_owned()])?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "Berth Self-Signed Host");
    // X.520 allows 64 characters; the name that clients check is the alternative one.
    subject.push(
        DnType::CommonName,
        name.chars().take(64).collect::<String>(),
    );
    params.distinguished_name = subject;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?;
    Ok((key.serialize_pem(), certificate.pem()))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

    use rcgen::{BasicConstraints, IsCa};
    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    };

    use super::*;

    /// An authority's certificate.
    pub(crate) fn authority() -> String {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    fn verify(pem: &str, name: &str) -> Result<(), rustls::Error> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier
            .unwrap()
            .verify_server_cert(&certificate, &[], &name, &[], UnixTime::now())
            .map(|_| ())
    }

    #[test]
    fn the_key_is_private_and_the_certificate_is_not() {
        let home = tempfile::tempdir().unwrap();
        let keys = Keys::of(home.path());
        keys.renew("a.node.example.com").unwrap();
        keys.keep_authority(&authority()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            [&keys.key, &keys.cert, &keys.ca].map(|path| mode(path)),
            [0o600, 0o644, 0o644]
        );
        assert!(keys.are_whole());
    }

    #[test]
    fn the_certificate_is_good_for_its_name_and_no_other() {
        let (key, cert) = make("a.node.example.com").unwrap();
        assert_eq!(verify(&cert, "a.node.example.com"), Ok(()));
        assert!(verify(&cert, "b.node.example.com").is_err());
        assert!(PrivateKeyDer::from_pem_slice(key.as_bytes()).is_ok());
    }

    #[test]
    fn an_address_and_a_very_long_name_can_be_certified() {
        let (_, cert) = make("203.0.113.25").unwrap();
        assert_eq!(verify(&cert, "203.0.113.25"), Ok(()));
        let long = format!("{}.node.example.com", "a".repeat(60));
        assert_eq!(verify(&make(&long).unwrap().1, &long), Ok(()));
    }

    #[test]
    fn a_certificate_without_its_key_is_none() {
        let home = tempfile::tempdir().unwrap();
        let keys = Keys::of(home.path());
        assert_eq!(keys.certificate().unwrap(), None);
        let first = keys.renew("a").unwrap();
        assert_eq!(keys.certificate().unwrap().as_ref(), Some(&first));
        assert_ne!(keys.renew("a").unwrap(), first);
        fs::remove_file(&keys.key).unwrap();
        assert_eq!(keys.certificate().unwrap(), None);
    }

    #[test]
    fn nothing_is_left_of_a_node_that_is_no_more() {
        let home = tempfile::tempdir().unwrap();
        let keys = Keys::of(home.path());
        keys.renew("a").unwrap();
        keys.keep_authority(&authority()).unwrap();
        keys.forget().unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
