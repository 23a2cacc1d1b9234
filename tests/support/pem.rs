//! Certificates and keys for tests, made by openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A certificate's file and its key's.
#[derive(Clone)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Runs openssl in `dir`.
pub fn openssl(dir: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).current_dir(dir).output();
    let output = output.unwrap_or_else(|error| panic!("openssl: {error} (tests/install brings it)"));
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

// === impl Pair ===

impl Pair {
    /// A self-signed certificate `NAME.pem` for a name or an address, with its
    /// key `NAME.key`, in `dir`.
    pub fn new(dir: &Path, name: &str, subject: &str, key: &[&str]) -> Pair {
        let kind = if subject.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
        let (certificate, key_name) = (format!("{name}.pem"), format!("{name}.key"));
        let subject = [format!("/CN={name}"), format!("subjectAltName={kind}:{subject}")];
        let mut arguments = vec!["req", "-x509", "-nodes", "-days", "90", "-subj", &subject[0]];
        // rustls takes end certificates only: openssl would mark it as an issuer's.
        arguments.extend(["-addext", &subject[1], "-addext", "basicConstraints=critical,CA:FALSE"]);
        arguments.extend(["-keyout", &key_name, "-out", &certificate]);
        arguments.extend_from_slice(key);
        openssl(dir, &arguments);
        Pair { certificate: dir.join(certificate), key: dir.join(key_name) }
    }

    /// With a key on P-256, as certificate authorities give them today.
    pub fn elliptic(dir: &Path, name: &str, subject: &str) -> Pair {
        Pair::new(dir, name, subject, &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
    }

    /// The certificate in DER.
    pub fn der(&self) -> Vec<u8> {
        let file = self.certificate.display().to_string();
        openssl(Path::new("."), &["x509", "-in", &file, "-outform", "DER"])
    }
}
