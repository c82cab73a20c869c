//! The certificate that a node's engine shows, as its agent announces it.

use rustls_pki_types::{CertificateDer, pem::PemObject};

/// Larger than any certificate of one host.
const LARGEST_PEM_BYTES: usize = 16 * 1024;
/// DER's tag of a SEQUENCE.
const SEQUENCE: u8 = 0x30;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate(CertificateDer<'static>);

/// Why a text is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotACertificate {
    /// It is too long to be one.
    #[error("is longer than {LARGEST_PEM_BYTES} bytes; it must be one certificate in PEM")]
    TooLong,
    /// There is no readable block `CERTIFICATE` in it.
    #[error(
        "is no certificate in PEM; it must begin with -----BEGIN CERTIFICATE----- and hold one"
    )]
    Unreadable,
    /// There is more than one.
    #[error("holds more than one certificate; it must hold the one that the engine shows")]
    Several,
}

impl Certificate {
    /// Reads a text that holds one certificate in PEM.
    ///
    /// # Errors
    /// [`NotACertificate`], in words for whoever sent it.
    pub fn from_pem(text: &str) -> Result<Self, NotACertificate> {
        if text.len() > LARGEST_PEM_BYTES {
            return Err(NotACertificate::TooLong);
        }
        let mut blocks = CertificateDer::pem_slice_iter(text.as_bytes());
        let first = blocks
            .next()
            .and_then(Result::ok)
            .ok_or(NotACertificate::Unreadable)?;
        if blocks.next().is_some() {
            return Err(NotACertificate::Several);
        }
        if !is_whole(&first) {
            return Err(NotACertificate::Unreadable);
        }
        Ok(Self(first))
    }

    /// Its bytes, by which it is compared with what an engine shows.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.0
    }
}

/// Whether it is one whole SEQUENCE and nothing behind it (RFC 5280, 4.1). What is in it only the handshake needs.
fn is_whole(der: &[u8]) -> bool {
    match der {
        // The length in one byte more, or in two: none is shorter, and longer ones are not read.
        [SEQUENCE, 0x81, length, rest @ ..] => rest.len() == usize::from(*length),
        [SEQUENCE, 0x82, high, low, rest @ ..] => {
            rest.len() == usize::from(u16::from_be_bytes([*high, *low]))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0x30 0x82 0x01 0x00 and 256 bytes.
    fn pem() -> String {
        let body = format!("MIIB{}=", "A".repeat(343));
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn one_certificate_is_read_whatever_stands_around_it() {
        let one = Certificate::from_pem(&pem()).unwrap();
        assert_eq!(one.der().len(), 260);
        let other = Certificate::from_pem(&format!("of host a\n\n{}\n", pem())).unwrap();
        assert_eq!(one, other);
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let cut = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n";
        let key = pem().replace("CERTIFICATE", "PRIVATE KEY");
        for text in ["", "certificate", cut, &key, &pem()[..100]] {
            let refused = Certificate::from_pem(text);
            assert_eq!(refused, Err(NotACertificate::Unreadable), "{text}");
        }
        let two = format!("{0}{0}", pem());
        assert_eq!(Certificate::from_pem(&two), Err(NotACertificate::Several));
        let long = "x".repeat(LARGEST_PEM_BYTES + 1);
        assert_eq!(Certificate::from_pem(&long), Err(NotACertificate::TooLong));
    }
}
