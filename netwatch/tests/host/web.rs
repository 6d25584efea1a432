//! The HTTP side of the real agent: TLS and a password for a real Prometheus, a crowd that says nothing, Unix sockets,
//! and sockets from systemd.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Stdio,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    prometheus::Prometheus,
    support::{
        agent::{Agent, end_of, netwatch, program, send},
        http,
        serial::host,
        shell::program as find,
        user,
        wait::until,
    },
};

/// Who signs certificates.
type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Puts a new certificate for loopback, and its key, where the agent reads them.
fn issue(authority: &Authority, folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}

/// A web configuration with TLS, and a user "me".
fn protected(authority: &Authority, password: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    issue(authority, folder.path());
    fs::write(folder.path().join("authority.pem"), authority.pem()).unwrap();
    let path = folder.path().join("web.yml");
    let hash = bcrypt::hash(password, 5).unwrap();
    let text = format!(
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\nbasic_auth_users:\n  me: {hash}\n"
    );
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// What a Prometheus has to be told to ask there.
fn how(folder: &Path, password: &str) -> String {
    format!(
        "  scheme: https\n  tls_config: {{ca_file: {}}}\n  basic_auth: {{username: me, password: {password}}}\n",
        folder.join("authority.pem").display()
    )
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_real_prometheus_asks_over_tls_with_a_password() {
    let _host = host();
    let authority = authority();
    let (folder, config) = protected(&authority, "right");
    let agent = Agent::start_protected(&["--web.config.file", &config.to_string_lossy()]);
    let target = agent.address.to_string();

    let ours = TempDir::new().unwrap();
    let prometheus = Prometheus::start_with(ours.path(), &target, &how(folder.path(), "right"));
    prometheus.until_target("up", "");
    prometheus.until_value("netwatch_web_config_up > 0");
    let value = prometheus.until_value("netwatch_web_requests_total{code=\"200\"}");
    assert!(value >= 0.0);

    let theirs = TempDir::new().unwrap();
    let stranger = Prometheus::start_with(theirs.path(), &target, &how(folder.path(), "wrong"));
    stranger.until_target("down", "401");
    drop(stranger);

    let plain = agent.get("/metrics");
    assert_eq!(plain.status, 400);
    assert_eq!(plain.body, "netwatch speaks TLS here: ask with https://\n");

    // Who has no password can still tell that it is an agent.
    let output = netwatch()
        .args(["doctor", "-o", "json", "--web.listen-address", &target])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["check"] == "http").unwrap();
    assert_eq!(check["verdict"], "ok", "{check}");

    // A certificate that this Prometheus does not trust shows that the new one is in use, without a restart.
    issue(&self::authority(), folder.path());
    prometheus.until_target("down", "certificate");
    issue(&authority, folder.path());
    prometheus.until_target("up", "");
    // A broken one changes nothing.
    fs::write(folder.path().join("server.pem"), "nonsense").unwrap();
    until("the broken file is noticed", || {
        (prometheus.value("netwatch_web_config_up")? == 0.0).then_some(())
    });
    prometheus.until_target("up", "");
    assert!(agent.stderr().contains("what was in force stays so"), "{}", agent.stderr());
    for trouble in ["web_config_failures", "web_tls_handshakes_failed"] {
        prometheus.until_value(&format!("netwatch_{trouble}_total > 0"));
    }
}

/// Connections that the crowd has.
const CROWD: usize = 1_000;

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_crowd_that_says_nothing_keeps_nobody_out() {
    let _host = host();
    // The crowd is ours: it needs descriptors.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let agent = Agent::start(&[]);
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        let mut stream = TcpStream::connect(agent.address).unwrap();
        if number % 2 == 0 {
            // The beginning of a request that never ends.
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ").unwrap();
        }
        crowd.push(stream);
    }
    let metrics = agent.metrics();
    let displaced = metrics.count("netwatch_web_connections_displaced_total", &[]);
    let expected = u64::try_from(CROWD - 64).unwrap();
    assert!(displaced >= expected, "{displaced} of {CROWD} had to go");
    // In the order in which they came: the first has gone, the last has not.
    let mut nothing = Vec::new();
    let _ = crowd[1].read_to_end(&mut nothing);
    assert!(nothing.is_empty());
    let last = crowd.last_mut().unwrap();
    last.write_all(b"GET /-/healthy HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    last.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("netwatch is healthy\n"), "{answer}");
}

/// A page through a Unix socket.
fn ask(path: &Path) -> Option<String> {
    let mut stream = UnixStream::connect(path).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn metrics_are_served_at_several_places() {
    let _host = host();
    let folder = user::folder();
    let socket = folder.path().join("web.sock");
    let (six, unix) = (free_v6(), format!("unix:{}", socket.display()));
    let arguments = ["--web.listen-address", &six.to_string(), "--web.listen-address", &unix];
    let agent = Agent::start(&arguments);
    assert!(agent.get("/metrics").body.contains("netwatch_build_info"));
    assert!(http::get(six, "/metrics").unwrap().body.contains("netwatch_build_info"));
    assert!(ask(&socket).unwrap().contains("netwatch_build_info"));
    agent.stop(libc::SIGTERM);
    assert!(!socket.exists(), "its file is gone with it");
}

fn free_v6() -> SocketAddr {
    std::net::TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap()
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn sockets_come_from_systemd() {
    let _host = host();
    let folder = user::folder();
    // It starts a program by its path, which may lead through somebody's home.
    let copy = folder.path().join("netwatch");
    fs::copy(env!("CARGO_BIN_EXE_netwatch"), &copy).unwrap();
    let (address, socket) = (http::free_address(), folder.path().join("web.sock"));
    let stderr = folder.path().join("stderr");
    let activate = find(&["/usr/bin/systemd-socket-activate", "/bin/systemd-socket-activate"]);
    let mut child = program(activate)
        .args(["-l", &address.to_string(), "-l", &socket.to_string_lossy()])
        .arg(copy)
        // Of our variables it hands on none.
        .args(["run", "--web.systemd-socket", "--socket", "none", "--ephemeral"])
        .args(["--sandbox", "strict"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&stderr).unwrap())
        .spawn()
        .unwrap();
    // The first question has it started, and is answered when it is there.
    let scrape = until("an answer", || http::get(address, "/metrics").ok());
    assert!(scrape.body.contains("netwatch_build_info"), "{}", scrape.body);
    assert!(until("an answer", || ask(&socket)).contains("netwatch_build_info"));
    send(child.id(), libc::SIGTERM);
    let status = end_of(&mut child);
    assert!(status.success(), "{status} {}", fs::read_to_string(stderr).unwrap_or_default());
}
