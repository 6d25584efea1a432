//! `tls_server_config`, as rustls wants it.

use std::{fmt::Display, sync::Arc};

use tokio_rustls::rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};

use super::{
    client::{Anybody, Clients, Named},
    file::{ClientAuth, Spanned, Tls, Version},
    reading::{Problem, Reading},
};

/// Reads what the section names; `None` where it says nothing.
pub(super) fn server_config(
    section: &Spanned<Tls>,
    reading: &mut Reading,
) -> Result<Option<Arc<ServerConfig>>, Problem> {
    let Tls { cert, key, client_ca, cert_file, key_file, client_ca_file, .. } = &section.value;
    let wrong = |cause: &str| Problem::at(section, cause);
    let given = [cert, key, client_ca, cert_file, key_file, client_ca_file];
    if given.iter().all(|text| text.is_none()) && section.value.client_auth_type.is_none() {
        return Ok(None);
    }
    let certificates = pem(reading, cert_file.as_ref(), cert.as_ref())?
        .ok_or_else(|| wrong("neither cert_file nor cert is given"))?;
    let key = pem(reading, key_file.as_ref(), key.as_ref())?
        .ok_or_else(|| wrong("neither key_file nor key is given"))?;
    let provider = Arc::new(provider(&section.value)?);
    let verifier = verifier(section, reading, &provider)?;
    let versions = versions(section)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| wrong(&error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates.certificates()?, key.key()?)
        .map_err(|error| {
            wrong(&format!("{} and {} do not go together: {error}", certificates.what, key.what))
        })?;
    config.ignore_client_order = section.value.prefer_server_cipher_suites.unwrap_or(true);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

/// What is asked of clients.
pub(super) fn clients(section: &Tls) -> Clients {
    let policy = section.client_auth_type.unwrap_or_default();
    let (mandatory, verified) = match policy {
        ClientAuth::NoClientCert | ClientAuth::RequestClientCert => (false, false),
        ClientAuth::RequireAnyClientCert => (true, false),
        ClientAuth::VerifyClientCertIfGiven => (false, true),
        ClientAuth::RequireAndVerifyClientCert => (true, true),
    };
    Clients { mandatory, verified, named: section.client_allowed_sans.is_some() }
}

/// A text in PEM, and where it stood.
struct Pem {
    what: String,
    text: Vec<u8>,
}

fn pem(
    reading: &mut Reading,
    file: Option<&String>,
    text: Option<&String>,
) -> Result<Option<Pem>, Problem> {
    Ok(match (file, text) {
        (Some(file), _) => {
            let (path, text) = reading.read(file)?;
            Some(Pem { what: path.display().to_string(), text })
        }
        (None, Some(text)) => Some(Pem {
            what: "what stands in the file itself".to_owned(),
            text: text.clone().into(),
        }),
        (None, None) => None,
    })
}

impl Pem {
    fn wrong(&self, cause: impl Display) -> Problem {
        Problem::new(format!("{}: {cause}", self.what))
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Problem> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.text).collect();
        match all {
            Ok(all) if all.is_empty() => Err(self.wrong("there is no certificate in PEM in it")),
            Ok(all) => Ok(all),
            Err(error) => Err(self.wrong(format!("not a certificate in PEM: {error}"))),
        }
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, Problem> {
        PrivateKeyDer::from_pem_slice(&self.text).map_err(|error| {
            self.wrong(format!("no private key in PEM without a password: {error}"))
        })
    }
}

/// Suites and curves, all of *ring*'s unless the file names some.
fn provider(tls: &Tls) -> Result<CryptoProvider, Problem> {
    let mut provider = ring::default_provider();
    if let Some(wanted) = tls.cipher_suites.as_ref().filter(|wanted| !wanted.is_empty()) {
        let known = provider.cipher_suites.clone();
        // As in the toolkit the list is about versions up to 1.2; what 1.3 has is always there.
        provider.cipher_suites.retain(|suite| suite.tls13().is_some());
        let older: Vec<_> = known.iter().filter(|suite| suite.tls13().is_none()).collect();
        for name in wanted {
            // Go calls a suite of TLS 1.3 TLS_X, rustls TLS13_X.
            let newer = name.value.replacen("TLS_", "TLS13_", 1);
            let is_newer = known.iter().any(|suite| text(suite.suite()) == newer);
            match older.iter().find(|suite| text(suite.suite()) == name.value) {
                Some(suite) => provider.cipher_suites.push(**suite),
                None if is_newer => {}
                None => {
                    let names = older.iter().map(|suite| text(suite.suite()));
                    return Err(unknown("cipher suite", name, names));
                }
            }
        }
    }
    if let Some(wanted) = tls.curve_preferences.as_ref().filter(|wanted| !wanted.is_empty()) {
        const CURVES: [&str; 3] = ["X25519", "CurveP256", "CurveP384"];
        let groups = [ring::kx_group::X25519, ring::kx_group::SECP256R1, ring::kx_group::SECP384R1];
        provider.kx_groups.clear();
        for name in wanted {
            let at = CURVES.iter().position(|curve| *curve == name.value);
            let names = CURVES.into_iter().map(str::to_owned);
            let at = at.ok_or_else(|| unknown("curve", name, names))?;
            provider.kx_groups.push(groups[at]);
        }
    }
    Ok(provider)
}

/// The name of a suite, or whatever rustls says about it.
fn text(suite: impl std::fmt::Debug) -> String {
    format!("{suite:?}")
}

fn unknown(what: &str, name: &Spanned<String>, known: impl IntoIterator<Item = String>) -> Problem {
    let known: Vec<String> = known.into_iter().collect();
    let known = known.join(", ");
    Problem::at(name, format!("{what} {:?} is not to be had here; there are {known}", name.value))
}

/// TLS 1.0 and 1.1 are not to be had.
fn versions(section: &Spanned<Tls>) -> Result<Vec<&'static SupportedProtocolVersion>, Problem> {
    let Tls { min_version, max_version, .. } = &section.value;
    for version in [min_version, max_version].into_iter().flatten() {
        if version.value < Version::Tls12 {
            return Err(Problem::at(
                version,
                "TLS 1.0 and 1.1 are not spoken here; give TLS12 or TLS13",
            ));
        }
    }
    let least = min_version.as_ref().map_or(Version::Tls12, |version| version.value);
    let most = max_version.as_ref().map_or(Version::Tls13, |version| version.value);
    match (least, most) {
        (Version::Tls13, Version::Tls13) => Ok(vec![&TLS13]),
        (_, Version::Tls13) => Ok(vec![&TLS13, &TLS12]),
        (Version::Tls12, _) => Ok(vec![&TLS12]),
        _ => Err(Problem::at(section, "min_version is above max_version")),
    }
}

/// Who may connect.
fn verifier(
    section: &Spanned<Tls>,
    reading: &mut Reading,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Problem> {
    let tls = &section.value;
    let wrong = |cause: &str| Problem::at(section, cause);
    let policy = tls.client_auth_type.unwrap_or_default();
    let authority = pem(reading, tls.client_ca_file.as_ref(), tls.client_ca.as_ref())?;
    if policy == ClientAuth::NoClientCert && authority.is_some() {
        return Err(wrong(
            "client_ca_file needs a client_auth_type; give RequireAndVerifyClientCert",
        ));
    }
    let anybody = |mandatory| -> Arc<dyn ClientCertVerifier> {
        let algorithms = provider.signature_verification_algorithms;
        Arc::new(Anybody { mandatory, algorithms })
    };
    let allowed = tls.client_allowed_sans.clone();
    if allowed.is_some() && policy != ClientAuth::RequireAndVerifyClientCert {
        return Err(wrong(
            "client_allowed_sans needs client_auth_type RequireAndVerifyClientCert: without it a client that shows no \
             certificate, or one that nobody has signed, gets in",
        ));
    }
    Ok(match policy {
        ClientAuth::NoClientCert => Arc::new(NoClientAuth),
        ClientAuth::RequestClientCert => anybody(false),
        ClientAuth::RequireAnyClientCert => anybody(true),
        ClientAuth::VerifyClientCertIfGiven | ClientAuth::RequireAndVerifyClientCert => {
            let authority = authority.ok_or_else(|| {
                wrong("client certificates cannot be verified without client_ca_file or client_ca")
            })?;
            let is_optional = policy == ClientAuth::VerifyClientCertIfGiven;
            let verifier = verified(&authority, is_optional, provider)?;
            match allowed {
                Some(allowed) => Arc::new(Named { verifier, allowed }),
                None => verifier,
            }
        }
    })
}

/// Certificates that an authority has signed.
fn verified(
    authority: &Pem,
    is_optional: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Problem> {
    let mut roots = RootCertStore::empty();
    for certificate in authority.certificates()? {
        roots.add(certificate).map_err(|error| authority.wrong(error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
    let builder = if is_optional { builder.allow_unauthenticated() } else { builder };
    let verifier: Arc<dyn ClientCertVerifier> =
        builder.build().map_err(|error| authority.wrong(error))?;
    Ok(verifier)
}
