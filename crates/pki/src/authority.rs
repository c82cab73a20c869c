//! Certificate authorities: one for each namespace. Who has a certificate of it is let in by the engines of its nodes: the
//! namespace's users, and Berth itself.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

use crate::{SecretError, SecretKey};

/// The clocks of hosts may be behind.
const EARLIER: Duration = Duration::hours(1);
/// How long an authority lasts: as long as the certificates that the original agent makes.
const LIFE: Duration = Duration::days(3650);

/// An authority and its key.
#[derive(Debug)]
pub struct Authority {
    /// The namespace's id: the authority's name is made of it.
    namespace: String,
    key: KeyPair,
}

/// An authority as it is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The certificate in PEM.
    pub certificate: String,
    /// The key, sealed.
    pub sealed_key: Vec<u8>,
}

/// A certificate of a client and its key.
pub struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

/// What can go wrong with an authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Its key can't be sealed or opened.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A certificate can't be made.
    #[error("a certificate can't be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// No certificate can have such a time.
    #[error("a certificate can't be made: the time is out of range")]
    Time,
}

impl Authority {
    /// Makes the authority of a namespace, at this time in seconds since 1970.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn make(namespace: &str, now: i64, secret: &SecretKey) -> Result<Kept, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = params_of(namespace);
        params.not_before = time(now)? - EARLIER;
        params.not_after = time(now)? + LIFE;
        Ok(Kept {
            certificate: params.self_signed(&key)?.pem(),
            sealed_key: secret.seal(&place(namespace), key.serialized_der())?,
        })
    }

    /// The authority of a namespace, as it was kept.
    ///
    /// # Errors
    /// [`AuthorityError`], where it was sealed under another key.
    pub fn open(
        namespace: &str,
        sealed_key: &[u8],
        secret: &SecretKey,
    ) -> Result<Self, AuthorityError> {
        let der = secret.open(&place(namespace), sealed_key)?;
        Ok(Self {
            namespace: namespace.to_owned(),
            key: KeyPair::try_from(der)?,
        })
    }

    /// A kept key sealed under the key that seals; none where it is already.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn reseal(
        namespace: &str,
        sealed_key: &[u8],
        secret: &SecretKey,
    ) -> Result<Option<Vec<u8>>, SecretError> {
        secret.reseal(&place(namespace), sealed_key)
    }

    /// Issues a certificate for a client of this name, from this time in seconds since 1970 on and for so many days.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn issue(&self, client: &str, now: i64, days: u32) -> Result<Identity, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(client);
        params.not_before = time(now)? - EARLIER;
        params.not_after = time(now)? + Duration::days(days.into());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let issuer = params_of(&self.namespace);
        let certificate = params.signed_by(&key, &Issuer::from_params(&issuer, &self.key))?;
        Ok(Identity { certificate, key })
    }
}

impl Identity {
    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// The key in PEM (PKCS #8).
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The certificate's bytes.
    pub fn certificate_der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    /// The key's bytes.
    pub fn key_der(&self) -> PrivatePkcs8KeyDer<'static> {
        self.key.serialize_der().into()
    }
}

/// What issuer and certificate have in common; it follows from the namespace, so that only the key need be kept.
fn params_of(namespace: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&format!("Berth {namespace}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// What is sealed for one namespace does not open for another.
fn place(namespace: &str) -> String {
    format!("authority of {namespace}")
}

fn time(seconds: i64) -> Result<OffsetDateTime, AuthorityError> {
    // Ten years later is still a time.
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .filter(|time| time.checked_add(LIFE).is_some() && time.checked_sub(EARLIER).is_some())
        .ok_or(AuthorityError::Time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Certificate;

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn an_authority_that_was_kept_issues_certificates() {
        let secret = SecretKey::generate().unwrap();
        let kept = Authority::make("dev", NOW, &secret).unwrap();
        Certificate::from_pem(&kept.certificate).unwrap();
        let authority = Authority::open("dev", &kept.sealed_key, &secret).unwrap();
        let identity = authority.issue("anna", NOW, 90).unwrap();
        Certificate::from_pem(&identity.certificate_pem()).unwrap();
        assert!(identity.key_pem().contains("PRIVATE KEY"));
        let again = authority.issue("anna", NOW, 90).unwrap();
        assert_ne!(identity.key_pem(), again.key_pem());
    }

    #[test]
    fn an_authority_opens_under_its_own_key_and_for_its_own_namespace_alone() {
        let secret = SecretKey::generate().unwrap();
        let kept = Authority::make("dev", NOW, &secret).unwrap();
        let other = SecretKey::generate().unwrap();
        assert!(Authority::open("dev", &kept.sealed_key, &other).is_err());
        assert!(Authority::open("eve", &kept.sealed_key, &secret).is_err());
    }

    #[test]
    fn a_time_that_no_certificate_can_have_is_refused() {
        let secret = SecretKey::generate().unwrap();
        for now in [i64::MIN, i64::MAX] {
            let refused = Authority::make("dev", now, &secret);
            assert!(matches!(refused, Err(AuthorityError::Time)));
        }
    }
}
