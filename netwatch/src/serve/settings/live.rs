//! The settings in force: looked after at each connection and request.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::task::spawn_blocking;

use super::{Settings, SettingsError, load, reading::Reading};
use crate::serve::Counts;

/// The settings of a file as it is now, or those of no file.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    path: Option<PathBuf>,
    counts: Arc<Counts>,
    state: Mutex<State>,
}

struct State {
    settings: Arc<Settings>,
    /// The last reading, good or bad.
    reading: Option<Reading>,
    wrong: Option<SettingsError>,
}

impl Live {
    /// Reads the file. What is wrong with it at the start keeps the agent from starting.
    pub fn open(path: Option<&Path>, counts: Arc<Counts>) -> Result<Self, SettingsError> {
        let (settings, reading) = match path {
            Some(path) => {
                let (settings, reading) = load(path);
                counts.settings_in_force(true);
                (settings?, Some(reading))
            }
            None => (Settings::default(), None),
        };
        let state = Mutex::new(State { settings: Arc::new(settings), reading, wrong: None });
        Ok(Self(Arc::new(Inner { path: path.map(Path::to_owned), counts, state })))
    }

    /// What a connection or request that begins now has to keep to.
    pub(in crate::serve) async fn current(&self) -> Arc<Settings> {
        let inner = Arc::clone(&self.0);
        if inner.path.is_none() {
            return inner.settings();
        }
        match spawn_blocking(move || inner.look()).await {
            Ok(settings) => settings,
            // The runtime is stopping.
            Err(_) => self.0.settings(),
        }
    }
}

impl Inner {
    fn settings(&self) -> Arc<Settings> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&state.settings)
    }

    /// Reads again what has changed.
    fn look(&self) -> Arc<Settings> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.path
            && !state.reading.as_ref().is_some_and(Reading::is_current)
        {
            let (settings, reading) = load(path);
            let same = state.reading.as_ref().is_some_and(|last| last.found_the_same(&reading));
            state.reading = Some(reading);
            // What may not have settled is read again, and connections go on.
            if same {
                return Arc::clone(&state.settings);
            }
            match settings.and_then(|settings| keeps(&state.settings, settings, path)) {
                Ok(settings) => self.put(&mut state, settings),
                Err(error) => self.refuse(&mut state, error),
            }
        }
        Arc::clone(&state.settings)
    }

    fn put(&self, state: &mut State, settings: Settings) {
        state.settings = Arc::new(settings);
        if state.wrong.take().is_some() {
            tracing::info!("the web configuration is valid again and in force");
        }
        self.counts.settings_in_force(true);
    }

    fn refuse(&self, state: &mut State, error: SettingsError) {
        // A file that is read again because it may not have settled is wrong in the same way.
        if state.wrong.as_ref() == Some(&error) {
            return;
        }
        tracing::error!("{error}; what was in force stays so");
        state.wrong = Some(error);
        self.counts.settings_in_force(false);
    }
}

/// A file that is just being written may be empty for a moment: nothing that protects is ever lost by a change.
fn keeps(old: &Settings, new: Settings, path: &Path) -> Result<Settings, SettingsError> {
    let cause = if old.tls.is_some() && new.tls.is_none() {
        "it no longer asks for TLS; start netwatch again if that is meant"
    } else if !new.clients.keeps(old.clients) {
        "it asks for less of clients' certificates (client_auth_type, client_allowed_sans); start netwatch again if that is meant"
    } else if !old.users.is_empty() && new.users.is_empty() {
        "it no longer has users; start netwatch again if that is meant"
    } else {
        return Ok(new);
    };
    Err(SettingsError {
        path: path.to_owned(),
        line: None,
        cause: cause.to_owned(),
        unreadable: false,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::serve::settings::tests::{TLS, folder};

    #[test]
    fn nothing_that_protects_is_lost_by_a_change() {
        let users = "basic_auth_users:\n  me: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG\n";
        let with =
            |policy: &str| format!("{TLS}  client_ca_file: c.pem\n  client_auth_type: {policy}\n");
        let verified = with("RequireAndVerifyClientCert");
        let (named, renamed) = (
            format!("{verified}  client_allowed_sans: [a]\n"),
            format!("{verified}  client_allowed_sans: [b]\n"),
        );
        let (any, given) = (with("RequireAnyClientCert"), with("VerifyClientCertIfGiven"));
        let folder = folder();
        let path = folder.path().join("web.yml");
        let settings = |text: &str| {
            fs::write(&path, text).unwrap();
            load(&path).0.unwrap()
        };
        for (old, new, refused) in [
            (TLS, "", Some("TLS")),
            (users, "", Some("users")),
            ("", TLS, None),
            (TLS, &verified, None),
            (&verified, TLS, Some("client_auth_type")),
            (&verified, &any, Some("client_auth_type")),
            (&verified, &given, Some("client_auth_type")),
            (&any, &given, Some("client_auth_type")),
            (&given, &any, Some("client_auth_type")),
            (&any, &verified, None),
            (&given, &verified, None),
            (&named, &verified, Some("client_allowed_sans")),
            (&verified, &named, None),
            (&named, &renamed, None),
        ] {
            let kept = keeps(&settings(old), settings(new), &path).map(|_| ());
            let said = kept.err().map(|error| error.to_string());
            match refused {
                Some(why) => assert!(
                    said.as_ref().is_some_and(|said| said.contains(why)),
                    "{old}\n{new}\n{said:?}"
                ),
                None => assert_eq!(said, None, "{old}\n{new}"),
            }
        }
    }
}
