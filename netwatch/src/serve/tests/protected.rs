//! TLS, certificates of clients, passwords, headers; and all of it changed while it runs.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, ProtocolVersion, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
        version::{TLS12, TLS13},
    },
};

use super::*;

/// A folder with an authority, a server's certificate and a client's, and a web configuration.
struct Folder {
    folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Folder {
    fn new(config: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = Self { folder: TempDir::new().unwrap(), authority };
        fs::write(folder.path("ca.pem"), folder.authority.pem()).unwrap();
        folder.issue("server", "localhost");
        folder.issue("client", "scraper.example");
        folder.write(config);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn issue(&self, file: &str, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        fs::write(self.path(&format!("{file}.pem")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    fn write(&self, config: &str) {
        fs::write(self.path("web.yml"), config).unwrap();
    }

    async fn serve(&self) -> Server {
        let metrics = answering(Ok("netwatch_x 1\n"));
        let limits = Limits { connections: 10, header_timeout: Duration::from_mins(1), ..LIMITS };
        Server::start_with("/metrics", limits, metrics, Some(&self.path("web.yml"))).await
    }

    /// A client that trusts the authority, with a certificate of its own or without.
    fn client(&self, certificate: Option<&str>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .unwrap()
            .with_root_certificates(roots);
        match certificate {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain =
                    CertificateDer::from_pem_file(self.path(&format!("{name}.pem"))).unwrap();
                let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
        }
    }
}

impl Server {
    async fn secure(&self, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, self.connect().await).await
    }

    /// The answer over TLS; empty if the server wants no such client, which a client learns when it reads.
    async fn ask_securely(&self, config: ClientConfig, headers: &str) -> String {
        match self.secure(config).await {
            Ok(stream) => ask(stream, headers).await,
            Err(_) => String::new(),
        }
    }

    fn answered(&self, code: u16) -> u64 {
        self.counts.requests().find(|(known, _)| *known == code).unwrap().1
    }
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, headers: &str) -> String {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    let mut answer = Vec::new();
    let talk = async {
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_end(&mut answer).await
    };
    let _ = timeout(Duration::from_secs(5), talk).await.expect("an end");
    String::from_utf8(answer).unwrap()
}

const SERVER: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

fn with_client(policy: &str) -> String {
    format!("{SERVER}  client_ca_file: ca.pem\n  client_auth_type: {policy}\n")
}

#[tokio::test]
async fn tls_is_spoken_and_plain_http_is_told_so() {
    let folder = Folder::new(SERVER);
    let server = folder.serve().await;
    let stream = server.secure(folder.client(None)).await.unwrap();
    assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert!(ask(stream, "").await.ends_with("netwatch_x 1\n"));
    let plain = server.ask("GET", "/metrics").await;
    assert!(plain.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{plain}");
    let (_, body) = plain.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "netwatch speaks TLS here: ask with https://\n");
    assert!(super::super::is_locked(400, body));
    assert_eq!(server.counts.handshakes_failed(), 1);
}

#[tokio::test]
async fn versions_and_suites_are_kept_to() {
    let only = "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]\n  curve_preferences: [CurveP384]\n";
    let folder = Folder::new(&format!("{SERVER}{only}"));
    let server = folder.serve().await;
    let stream = server.secure(folder.client(None)).await.unwrap();
    let (_, session) = stream.get_ref();
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    let suite = session.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(format!("{suite:?}"), "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256");
    let group = session.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(format!("{group:?}"), "secp384r1");
    folder.write(&format!("{SERVER}  min_version: TLS13\n"));
    let stream = server.secure(folder.client(None)).await.unwrap();
    assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[tokio::test]
async fn clients_show_what_is_asked_for() {
    let folder = Folder::new(SERVER);
    let stranger = Folder::new(SERVER);
    for (policy, nobody, ours, theirs) in [
        ("RequireAndVerifyClientCert", false, true, false),
        ("VerifyClientCertIfGiven", true, true, false),
        ("RequireAnyClientCert", false, true, true),
        ("RequestClientCert", true, true, true),
        (
            "RequireAndVerifyClientCert\n  client_allowed_sans: [other, scraper.example]",
            false,
            true,
            false,
        ),
        ("RequireAndVerifyClientCert\n  client_allowed_sans: [other]", false, false, false),
    ] {
        folder.write(&with_client(policy));
        let server = folder.serve().await;
        // Who shows a certificate of another authority, and trusts ours.
        for name in ["client.pem", "client.key"] {
            fs::copy(stranger.path(name), folder.path(&format!("their-{name}"))).unwrap();
        }
        for (client, expected) in
            [(None, nobody), (Some("client"), ours), (Some("their-client"), theirs)]
        {
            let answer = server.ask_securely(folder.client(client), "").await;
            assert_eq!(
                answer.ends_with("netwatch_x 1\n"),
                expected,
                "{policy} {client:?}: {answer}"
            );
        }
    }
}

#[tokio::test]
async fn a_certificate_is_replaced_and_a_broken_one_is_not_taken() {
    let folder = Folder::new(SERVER);
    let server = folder.serve().await;
    let shown = async || {
        let stream = server.secure(folder.client(None)).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let first = shown().await;
    assert_eq!(shown().await, first);
    folder.issue("server", "localhost");
    let second = shown().await;
    assert_ne!(second, first);
    let (config, key) =
        (fs::read(folder.path("web.yml")).unwrap(), fs::read(folder.path("server.key")).unwrap());
    // Each of them leaves what was in force, and is counted once however often it is read.
    let broken: [(&str, &[u8]); 5] = [
        ("server.key", b"nonsense"),
        ("server.key", &fs::read(folder.path("client.key")).unwrap()),
        ("web.yml", b""),
        ("web.yml", b"tls_server_config: {}\n"),
        ("web.yml", b"nonsense: 1\n"),
    ];
    for (number, (name, content)) in broken.into_iter().enumerate() {
        fs::write(folder.path(name), content).unwrap();
        for _ in 0..3 {
            assert_eq!(shown().await, second, "{name} {number}");
        }
        let failed = u64::try_from(number).unwrap() + 1;
        assert_eq!(
            (server.counts.settings_failed(), server.counts.settings_are_good()),
            (failed, Some(false))
        );
        fs::write(folder.path("web.yml"), &config).unwrap();
        fs::write(folder.path("server.key"), &key).unwrap();
        assert_eq!(shown().await, second);
        assert_eq!(server.counts.settings_are_good(), Some(true));
    }
}

#[tokio::test]
async fn a_connection_from_before_a_change_ends_with_its_next_answer() {
    let folder = Folder::new(SERVER);
    let server = folder.serve().await;
    // Now, because an idle connection does not wait for it.
    let changed = format!("{SERVER}{}", users("right"));
    let mut stream = server.secure(folder.client(None)).await.unwrap();
    let request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"netwatch is healthy\n") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "it stays open");
    }
    folder.write(&changed);
    stream.write_all(request).await.unwrap();
    answer.clear();
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.expect("an end");
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 401")
            && answer.to_ascii_lowercase().contains("connection: close"),
        "{answer}"
    );
}

fn users(password: &str) -> String {
    format!("basic_auth_users:\n  me: {}\n", bcrypt::hash(password, 4).unwrap())
}

const ME_RIGHT: &str = "Authorization: Basic bWU6cmlnaHQ=\r\n";
const ME_WRONG: &str = "Authorization: Basic bWU6d3Jvbmc=\r\n";

#[tokio::test]
async fn who_has_no_password_gets_nothing() {
    let folder = Folder::new(&users("right"));
    let server = folder.serve().await;
    let plain = async |headers: &str| ask(server.connect().await, headers).await;
    let refused = plain("").await;
    check(&refused, "401", TEXT, "netwatch wants a user and a password\n");
    assert!(
        refused.to_ascii_lowercase().contains("www-authenticate: basic realm=\"netwatch\""),
        "{refused}"
    );
    assert!(plain(ME_RIGHT).await.ends_with("netwatch_x 1\n"));
    assert!(plain(ME_WRONG).await.starts_with("HTTP/1.1 401"));
    let pages = ["/", "/-/ready", "/-/healthy", "/nothing"];
    for path in pages {
        assert!(server.ask("GET", path).await.starts_with("HTTP/1.1 401"), "{path}");
    }
    // The last of those that are free.
    assert!(plain(ME_WRONG).await.starts_with("HTTP/1.1 401"));
    assert!(plain(ME_WRONG).await.starts_with("HTTP/1.1 401"));
    let slowed = plain(ME_WRONG).await;
    check(&slowed, "429", TEXT, "too many wrong passwords; come again later\n");
    assert!(slowed.to_ascii_lowercase().contains("retry-after: "), "{slowed}");
    assert!(plain(ME_RIGHT).await.ends_with("netwatch_x 1\n"), "who is known need not wait");
    assert_eq!([200, 401, 429].map(|code| server.answered(code)), [2, 8, 1]);
    folder.write(&users("other"));
    assert!(!plain(ME_RIGHT).await.contains("netwatch_x"), "the password has changed");
    folder.write("");
    assert!(
        plain("").await.starts_with("HTTP/1.1 401"),
        "a file that is empty for a moment opens no door"
    );
}

#[tokio::test]
async fn headers_and_a_rate_are_those_of_the_file() {
    let folder = Folder::new(
        "http_server_config:\n  headers:\n    Strict-Transport-Security: max-age=1\n    X-Frame-Options: deny\n    \
         Content-Security-Policy: default-src 'self'\nrate_limit: {interval: 1h, burst: 2}\n",
    );
    let server = folder.serve().await;
    for _ in 0..2 {
        let answer = server.ask("GET", "/metrics").await.to_ascii_lowercase();
        for header in [
            "strict-transport-security: max-age=1",
            "x-frame-options: deny",
            "content-security-policy: default-src 'self'",
        ] {
            assert_eq!(
                answer.matches(&format!("\r\n{header}\r\n")).count(),
                1,
                "{header}: {answer}"
            );
        }
        assert_eq!(answer.matches("content-security-policy").count(), 1);
    }
    assert!(server.ask("GET", "/metrics").await.starts_with("HTTP/1.1 429"));
}
