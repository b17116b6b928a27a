//! What `store.tls` means to OpenSSL. The driver verifies every node's certificate against the authority and
//! against the address that it connects to.

use std::io::Read;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod};
use scylla::client::session::OpenSsl010Config;

use crate::config::TlsConfig;
use crate::limited;
use crate::store::StoreError;

/// The connections' settings, or which of them is wrong.
pub fn context(tls: &TlsConfig) -> Result<OpenSsl010Config, StoreError> {
    Ok(OpenSsl010Config::new(connector(tls)?))
}

fn connector(tls: &TlsConfig) -> Result<SslConnectorBuilder, StoreError> {
    let refused = |error| StoreError::Refused(format!("store.tls: OpenSSL cannot be set up: {error}"));
    let mut connector = SslConnector::builder(SslMethod::tls()).map_err(refused)?;
    if let Some(ca) = &tls.ca {
        connector
            .set_ca_file(ca)
            .map_err(|error| wrong("ca", ca, &error, "a PEM file with the authority's certificate"))?;
    }
    if let Some(certificate) = &tls.certificate {
        let expected = "a PEM file with this client's certificate, and those between it and the authority's";
        let set = connector.set_certificate_chain_file(certificate);
        set.map_err(|error| wrong("certificate", certificate, &error, expected))?;
    }
    if let Some(path) = &tls.key {
        let expected = "a PEM file with the certificate's private key; where that is encrypted, key_password opens it";
        let set = key(path, tls.key_password.as_deref()).and_then(|key| with_key(&mut connector, &key));
        set.map_err(|error| wrong("key", path, &error, expected))?;
    }
    Ok(connector)
}

/// How long a node may take to let us in, and then to say something.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a node objects to, in OpenSSL's words. With TLS 1.3 a client's certificate is refused after the handshake, and
/// of such a connection the driver often knows only that it broke: who has sent something meanwhile finds it reset, and
/// the objection lost. So this sends nothing. Blocks.
pub fn objection(tls: &TlsConfig, node: &str) -> Option<String> {
    let address = node.to_socket_addrs().ok()?.next()?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let connector = connector(tls).ok()?.build();
    match connector.connect(&address.ip().to_string(), stream) {
        Err(error) => Some(error.to_string()),
        Ok(mut stream) => stream.read_exact(&mut [0]).err().map(|error| error.to_string()),
    }
}

/// No key is as long, bytes.
const MAX_KEY: u64 = 1 << 20;

/// A key under a passphrase that is not given is an error, not a question on the terminal.
fn key(path: &Path, password: Option<&str>) -> Result<PKey<Private>, Trouble> {
    let pem = limited::read_bytes(path, MAX_KEY)?;
    Ok(PKey::private_key_from_pem_passphrase(&pem, password.unwrap_or_default().as_bytes())?)
}

fn with_key(connector: &mut SslConnectorBuilder, key: &PKey<Private>) -> Result<(), Trouble> {
    connector.set_private_key(key)?;
    Ok(connector.check_private_key()?)
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Unreadable(#[from] std::io::Error),
    #[error(transparent)]
    Refused(#[from] ErrorStack),
}

fn wrong(key: &str, path: &Path, error: &dyn std::fmt::Display, expected: &str) -> StoreError {
    StoreError::Refused(format!("store.tls.{key} {path:?} cannot be used ({error}): set it to {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made once with `openssl genpkey -algorithm ed25519`, one of them under the passphrase "sesame".
    const PLAIN: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJo2pGqEyCkyuTp0aOD/Vy3Xw8cm3EDTzOSpsI2GrPct
-----END PRIVATE KEY-----
";
    const LOCKED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAijdpfYEJlEAwICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEMNKVNsgmYiw2R2R+t5ANXMEQEHS
xMLg+79YWEn+LpXiF5WB9YQ52Vq2KgfAZ+dlQZgzuOhoV9UwlwzDxhs2HcH2DtWg
j292ICsk7n86YowHHug=
-----END ENCRYPTED PRIVATE KEY-----
";

    fn refusal(tls: &TlsConfig) -> String {
        match context(tls) {
            Err(StoreError::Refused(text)) => text,
            Err(other) => panic!("not a refusal: {other}"),
            Ok(_) => panic!("not refused"),
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let (nonsense, absent) = (file("nonsense", "no PEM"), Some(dir.path().join("absent")));
        for path in [&nonsense, &absent] {
            let ca = refusal(&TlsConfig { ca: path.clone(), ..TlsConfig::default() });
            assert!(ca.starts_with("store.tls.ca ") && ca.contains("authority"), "{ca}");
            let certificate = refusal(&TlsConfig { certificate: path.clone(), ..TlsConfig::default() });
            assert!(certificate.starts_with("store.tls.certificate "), "{certificate}");
            let key = refusal(&TlsConfig { key: path.clone(), ..TlsConfig::default() });
            assert!(key.starts_with("store.tls.key ") && key.contains("key_password"), "{key}");
        }
    }

    #[test]
    fn a_locked_key_needs_its_password_and_never_asks_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let [plain, locked] = [("plain", PLAIN), ("locked", LOCKED)].map(|(name, text)| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        });
        assert!(key(&plain, None).is_ok() && key(&locked, Some("sesame")).is_ok());
        for password in [None, Some("simsim")] {
            let tls = TlsConfig {
                key: Some(locked.clone()),
                key_password: password.map(str::to_owned),
                ..TlsConfig::default()
            };
            let text = refusal(&tls);
            assert!(text.contains("key_password") && !text.contains("simsim"), "{text}");
            assert!(!format!("{tls:?}").contains("simsim"));
        }
    }
}
