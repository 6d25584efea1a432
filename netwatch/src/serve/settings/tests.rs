//! What may stand in the file, and what is said about anything else.

use std::fs;

use tempfile::TempDir;

use super::check;

/// A certificate and its key, for `cert_file` and `key_file`.
pub(super) fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    fs::write(folder.path().join("c.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(folder.path().join("k.pem"), key.serialize_pem()).unwrap();
    folder
}

/// What is said about a file, without its path.
fn said(text: &str) -> Result<(), String> {
    let folder = folder();
    let path = folder.path().join("web.yml");
    fs::write(&path, text).unwrap();
    let short = |text: String| {
        let text = text.replace(&format!("{}/", folder.path().display()), "");
        text.strip_prefix("web.yml:").unwrap_or(&text).trim_start().to_owned()
    };
    check(&path).map_err(|error| short(error.to_string()))
}

pub(super) const TLS: &str = "tls_server_config:\n  cert_file: c.pem\n  key_file: k.pem\n";

#[test]
fn all_that_the_toolkit_knows_is_taken() {
    let hash = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";
    for text in [
        String::new(),
        "# nothing\n".to_owned(),
        "---\n".to_owned(),
        TLS.to_owned(),
        "tls_server_config:\n".to_owned(),
        "tls_server_config: {}\nbasic_auth_users: {}\n".to_owned(),
        format!(
            "{TLS}  client_ca_file: c.pem\n  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [a]\n  \
             min_version: TLS12\n  max_version: TLS13\n  prefer_server_cipher_suites: false\n  cipher_suites:\n  - \
             TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n  - TLS_AES_128_GCM_SHA256\n  curve_preferences: [X25519, CurveP256, \
             CurveP384]\nhttp_server_config:\n  http2: true\n  headers:\n    X-XSS-Protection: \"1\"\n    X-Frame-Options: \
             sameorigin\n    X-Content-Type-Options: nosniff\nbasic_auth_users:\n  me: {hash}\n  \"you\": \
             '{hash}'\nrate_limit:\n  interval: 1s\n  burst: 20\n"
        ),
    ] {
        assert_eq!(said(&text), Ok(()), "{text}");
    }
}

#[test]
fn certificates_may_stand_in_the_file() {
    let folder = folder();
    let read = |name| {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        text.lines().fold(String::new(), |all, line| all + "    " + line + "\n")
    };
    let text =
        format!("tls_server_config:\n  cert: |\n{}  key: |\n{}", read("c.pem"), read("k.pem"));
    assert_eq!(said(&text), Ok(()));
}

#[test]
fn whatever_is_wrong_has_its_line() {
    for (text, message) in [
        ("tls_server_confg: {}\n", "1: unknown field"),
        ("\nbasic_auth_users:\n  me: x\n", "3: the password of \"me\" is no bcrypt hash"),
        (
            "basic_auth_users:\n  me: $2y$31$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG\n",
            "2: the password of \"me\" has a cost of 31",
        ),
        (
            "basic_auth_users:\n  me: $2y$03$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG\n",
            "2: the password of \"me\" has a cost of 3, not one from 4 to 15",
        ),
        ("basic_auth_users: [me]\n", "1: "),
        ("\na: b: c\n", "2: "),
        ("http_server_config:\n  headers:\n    X-Other: a\n", "3: unknown field"),
        ("http_server_config:\n  headers:\n    X-Frame-Options: allow\n", "3: "),
        (
            "http_server_config:\n  headers:\n    X-XSS-Protection: \"a\\u0001\"\n",
            "3: x-xss-protection: ",
        ),
        ("http_server_config:\n  http2: maybe\n", "2: "),
        ("rate_limit:\n  interval: soon\n", "2: "),
        ("rate_limit:\n  interval: 25h\n", "the interval of rate_limit is more than 24h"),
        (
            "tls_server_config:\n  client_auth_type: NoClientCert\n",
            "2: neither cert_file nor cert is given",
        ),
        ("tls_server_config:\n  cert_file: c.pem\n", "2: neither key_file nor key is given"),
        (
            "tls_server_config:\n  cert_file: no.pem\n  key_file: k.pem\n",
            "cannot read no.pem: No such file",
        ),
        (
            "tls_server_config:\n  cert_file: k.pem\n  key_file: k.pem\n",
            "k.pem: there is no certificate in PEM in it",
        ),
        (
            "tls_server_config:\n  cert_file: c.pem\n  key_file: c.pem\n",
            "c.pem: no private key in PEM without a password",
        ),
        (&format!("{TLS}  min_version: TLS11\n"), "4: TLS 1.0 and 1.1 are not spoken here"),
        (&format!("{TLS}  min_version: TLS14\n"), "4: "),
        (
            &format!("{TLS}  min_version: TLS13\n  max_version: TLS12\n"),
            "2: min_version is above max_version",
        ),
        (
            &format!("{TLS}  cipher_suites:\n  - TLS_RSA_WITH_RC4_128_SHA\n"),
            "5: cipher suite \"TLS_RSA_WITH_RC4_128_SHA\" is not to be had here; there are TLS_ECDHE",
        ),
        (
            &format!("{TLS}  curve_preferences: [CurveP521]\n"),
            "4: curve \"CurveP521\" is not to be had here; there are X25519, CurveP256, CurveP384",
        ),
        (&format!("{TLS}  client_auth_type: Sometimes\n"), "4: "),
        (
            &format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n"),
            "2: client certificates cannot be verified without client_ca_file",
        ),
        (&format!("{TLS}  client_ca_file: c.pem\n"), "2: client_ca_file needs a client_auth_type"),
        (
            &format!("{TLS}  client_allowed_sans: [a]\n"),
            "2: client_allowed_sans needs client_auth_type",
        ),
        (
            &format!(
                "{TLS}  client_ca_file: c.pem\n  client_auth_type: VerifyClientCertIfGiven\n  client_allowed_sans: [a]\n"
            ),
            "2: client_allowed_sans needs client_auth_type RequireAndVerifyClientCert",
        ),
        (&format!("{TLS}{TLS}"), "4: "),
    ] {
        let found = said(text).expect_err(text);
        assert!(
            found.starts_with(message) && !found.contains('\n'),
            "{text}\n{found}\nnot {message}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_said() {
    let error = check("/nonexistent/web.yml".as_ref()).unwrap_err().to_string();
    assert!(
        error.starts_with("/nonexistent/web.yml: cannot read /nonexistent/web.yml: No such file"),
        "{error}"
    );
}
