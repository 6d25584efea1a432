//! An event of the engine, whichever engine it is, in our words.
//!
//! Podman's compatible API lets its own words through, according to its version: `died` for `die`, `remove` for
//! `destroy`, `containerExitCode` for `exitCode`; and an event of a network has the container as its actor there, and the
//! network's name among the attributes.

use std::collections::HashMap;

use bollard::models::{EventMessage, EventMessageTypeEnum};

use crate::model::{Container, WallTime};

/// What happened to a container, when, and what is known of it at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// When, by the engine's clock; `None`: it did not say.
    pub at: Option<WallTime>,
    /// When something had happened to it before; `None`: that is not known.
    pub before: Option<WallTime>,
    /// The container.
    pub container: Container,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Its process runs.
    Started,
    /// Its process has ended, with this code.
    Died(Option<i64>),
    /// It has another name.
    Renamed,
    /// It came into a network, known by identifier or name.
    Connected(String),
    /// It left one.
    Disconnected(String),
    /// Its processes are halted.
    Paused,
    /// They go on.
    Unpaused,
    /// It does not exist any more.
    Removed,
}

/// What an event is about.
pub(super) enum Subject<'a> {
    Container {
        id: &'a str,
        action: &'a str,
        attributes: &'a HashMap<String, String>,
    },
    /// A container in a network.
    Place {
        network: &'a str,
        container: &'a str,
        action: &'a str,
    },
    /// A network as such.
    Network,
}

/// Takes an event apart; `None` for what is of no interest or makes no sense.
pub(super) fn subject<'a>(
    event: &'a EventMessage,
    nothing: &'a HashMap<String, String>,
) -> Option<Subject<'a>> {
    let actor = event.actor.as_ref()?;
    let action = event.action.as_deref()?;
    let id = actor.id.as_deref().unwrap_or_default();
    let attributes = actor.attributes.as_ref().unwrap_or(nothing);
    match (event.typ?, action) {
        (EventMessageTypeEnum::CONTAINER, _) if !id.is_empty() => {
            Some(Subject::Container { id, action, attributes })
        }
        (EventMessageTypeEnum::NETWORK, "connect" | "disconnect") => {
            let (network, container) =
                match (attributes.get("container"), attributes.get("network")) {
                    (Some(container), _) => (id, container.as_str()),
                    (None, Some(network)) => (network.as_str(), id),
                    (None, None) => return None,
                };
            let is_whole = !network.is_empty() && !container.is_empty();
            is_whole.then_some(Subject::Place { network, container, action })
        }
        (EventMessageTypeEnum::NETWORK, "create" | "destroy" | "remove") => Some(Subject::Network),
        _ => None,
    }
}

/// What a container's event means for its life.
pub(super) fn what(action: &str, attributes: &HashMap<String, String>) -> Option<What> {
    match action {
        "start" => Some(What::Started),
        "die" | "died" => {
            let code = attributes.get("exitCode").or_else(|| attributes.get("containerExitCode"));
            Some(What::Died(code.and_then(|code| code.parse().ok())))
        }
        "rename" => Some(What::Renamed),
        "pause" => Some(What::Paused),
        "unpause" => Some(What::Unpaused),
        "destroy" | "remove" => Some(What::Removed),
        _ => None,
    }
}

/// When it happened.
pub(super) fn time(event: &EventMessage) -> Option<WallTime> {
    let nanos = event.time_nano.filter(|nanos| *nanos > 0).map(i128::from);
    let seconds =
        || event.time.filter(|seconds| *seconds > 0).map(|s| i128::from(s) * 1_000_000_000);
    nanos.or_else(seconds).map(WallTime)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{EngineEvent, known::Known},
        *,
    };

    fn tell(known: &mut Known, event: &str) -> Vec<(String, What)> {
        known.event(&serde_json::from_str(event).unwrap());
        let happened = known.out.drain(..).filter_map(|event| match event {
            EngineEvent::Happened(happening) => {
                assert_eq!(happening.at, Some(WallTime(1_772_388_245_000_000_001)));
                Some((happening.container.name, happening.what))
            }
            _ => None,
        });
        happened.collect()
    }

    fn docker(kind: &str, action: &str, actor: &str) -> String {
        format!(
            r#"{{"Type":"{kind}","Action":"{action}","Actor":{actor},"scope":"local",
                "time":1772388245,"timeNano":1772388245000000001}}"#
        )
    }

    /// With what Podman says twice, and fields that Docker has not.
    fn podman(kind: &str, status: &str, actor: &str) -> String {
        format!(
            r#"{{"status":"{status}","id":"c1","from":"docker.io/library/nginx:latest",
                "Type":"{kind}","Action":"{status}","Actor":{actor},"scope":"local",
                "time":1772388245,"timeNano":1772388245000000001,"HealthStatus":""}}"#
        )
    }

    #[test]
    fn dockers_words_are_understood() {
        let mut known = Known::new();
        let web = r#"{"ID":"c1","Attributes":{"image":"nginx","name":"web"}}"#;
        let told =
            |known: &mut Known, action, actor| tell(known, &docker("container", action, actor));
        assert_eq!(told(&mut known, "create", web), []);
        assert_eq!(told(&mut known, "start", web), [("web".to_owned(), What::Started)]);
        assert_eq!(told(&mut known, "pause", web), [("web".to_owned(), What::Paused)]);
        assert_eq!(told(&mut known, "unpause", web), [("web".to_owned(), What::Unpaused)]);
        let shop = r#"{"ID":"c1","Attributes":{"image":"nginx","name":"shop","oldName":"/web"}}"#;
        assert_eq!(told(&mut known, "rename", shop), [("shop".to_owned(), What::Renamed)]);
        let place =
            r#"{"ID":"f00d","Attributes":{"container":"c1","name":"front","type":"bridge"}}"#;
        for (action, what) in [
            ("connect", What::Connected("f00d".to_owned())),
            ("disconnect", What::Disconnected("f00d".to_owned())),
        ] {
            let told = tell(&mut known, &docker("network", action, place));
            assert_eq!(told, [("shop".to_owned(), what)]);
        }
        let died = r#"{"ID":"c1","Attributes":{"exitCode":"137","image":"nginx","name":"shop"}}"#;
        assert_eq!(told(&mut known, "die", died), [("shop".to_owned(), What::Died(Some(137)))]);
        assert_eq!(told(&mut known, "destroy", died), [("shop".to_owned(), What::Removed)]);
    }

    #[test]
    fn podmans_words_are_understood() {
        let mut known = Known::new();
        let web = r#"{"ID":"c1","Attributes":{"image":"nginx","name":"web","podId":""}}"#;
        assert_eq!(tell(&mut known, &podman("container", "create", web)), []);
        let told = tell(&mut known, &podman("container", "start", web));
        assert_eq!(told, [("web".to_owned(), What::Started)]);
        let place = r#"{"ID":"c1","Attributes":{"image":"nginx","name":"web","network":"front"}}"#;
        let told = tell(&mut known, &podman("network", "connect", place));
        assert_eq!(told, [("web".to_owned(), What::Connected("front".to_owned()))]);
        let died = r#"{"ID":"c1","Attributes":{"containerExitCode":"3","image":"nginx","name":"web","podId":""}}"#;
        let told = tell(&mut known, &podman("container", "died", died));
        assert_eq!(told, [("web".to_owned(), What::Died(Some(3)))]);
        let told = tell(&mut known, &podman("container", "remove", web));
        assert_eq!(told, [("web".to_owned(), What::Removed)]);
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let mut known = Known::new();
        for (kind, action, actor) in [
            ("container", "start", "{}"),
            ("container", "die", r#"{"ID":""}"#),
            ("network", "connect", r#"{"ID":"f00d"}"#),
            ("network", "connect", r#"{"ID":"f00d","Attributes":{"container":""}}"#),
            ("network", "disconnect", r#"{"Attributes":{"container":"c9"}}"#),
            ("volume", "mount", r#"{"ID":"v1"}"#),
        ] {
            assert_eq!(
                tell(&mut known, &docker(kind, action, actor)),
                [],
                "{kind} {action} {actor}"
            );
        }
        assert!(known.questions.is_empty());
        let garbled = r#"{"ID":"c1","Attributes":{"exitCode":"many"}}"#;
        let told = tell(&mut known, &docker("container", "die", garbled));
        assert_eq!(told, [(String::new(), What::Died(None))]);
        assert_eq!(
            time(&EventMessage { time: Some(2), ..EventMessage::default() }),
            Some(WallTime(2_000_000_000))
        );
        assert_eq!(time(&EventMessage::default()), None);
    }
}
