//! Raw values, good and bad.

use super::*;

fn with(key: Key, texts: &[&str]) -> Result<Checked, Failure> {
    let mut raw = Raw::default();
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    raw.set(key, texts, Origin::Flag(key.name()));
    check(&raw.over(Raw::defaults()))
}

#[test]
fn defaults_are_valid() {
    let Checked { config, log } = check(&Raw::defaults()).expect("defaults");
    assert_eq!((config.sample_rate, config.max_flows, config.max_series), (1000, 65536, 10_000));
    assert_eq!(config.linger, std::time::Duration::from_mins(15));
    assert!(config.labels.is_none());
    assert_eq!(log, LogOptions::default());
    assert!(!config.kernel_messages);
    assert_eq!(config.telemetry_path, "/metrics");
    let is_loopback =
        |place: &Place| matches!(place, Place::Address(address) if address.ip().is_loopback());
    assert!(config.listen.iter().all(is_loopback));
}

#[test]
fn flows_are_rounded_up() {
    for (text, expected) in
        [("1024", 1024), ("1025", 2048), ("50000", 65536), ("4194304", 4_194_304)]
    {
        assert_eq!(with(Key::MaxFlows, &[text]).expect("valid").config.max_flows, expected);
    }
    assert!(with(Key::MaxFlows, &["1023"]).is_err());
    assert!(with(Key::MaxFlows, &["4194305"]).is_err());
}

#[test]
fn all_flow_log_files_have_room_for_two() {
    let message =
        |text| with(Key::FlowLogMaxTotal, &[text]).map(|_| ()).map_err(|f| f.message().to_owned());
    for text in ["200MB", "201MB", "none"] {
        assert_eq!(message(text), Ok(()));
    }
    assert_eq!(
        message("199MB"),
        Err("--flow-log-max-total: 199MB is less than twice the 100MB that one file may have"
            .to_owned())
    );
    // With none of a size there has to be none of the total, unless nothing is rotated.
    let unsized_with = |age: &str, total: &str| {
        let mut raw = Raw::default();
        for (key, text) in [
            (Key::FlowLogMaxSize, "none"),
            (Key::FlowLogMaxAge, age),
            (Key::FlowLogMaxTotal, total),
        ] {
            raw.set(key, vec![text.to_owned()], Origin::Flag(key.name()));
        }
        check(&raw.over(Raw::defaults())).map(|_| ()).map_err(|f| f.message().to_owned())
    };
    assert_eq!(unsized_with("none", "1GB"), Ok(()));
    assert_eq!(unsized_with("24h", "none"), Ok(()));
    assert_eq!(
        unsized_with("24h", "1GB"),
        Err("--flow-log-max-size: none lets one file be larger than the 1GB of \
             --flow-log-max-total"
            .to_owned())
    );
    let rotation = check(&Raw::defaults()).expect("defaults").config.rotation;
    let (one, all) = (Some(100_000_000), Some(1_000_000_000));
    assert_eq!(rotation, Rotation { max_size: one, max_age: None, max_total: all });
}

#[test]
fn debug_turns_on_kernel_messages() {
    assert!(with(Key::LogLevel, &["debug"]).expect("valid").config.kernel_messages);
    assert!(!with(Key::LogLevel, &["warn"]).expect("valid").config.kernel_messages);
}

#[test]
fn listening_twice_or_nowhere() {
    let message = |texts: &[&str]| {
        with(Key::ListenAddress, texts).map(|_| ()).map_err(|f| f.message().to_owned())
    };
    assert_eq!(message(&["localhost:1", "127.0.0.1:2"]), Ok(()));
    assert_eq!(message(&["localhost:0", "127.0.0.1:0"]), Ok(()));
    assert_eq!(
        message(&["localhost:1", "127.0.0.1:1"]),
        Err("--web.listen-address: 127.0.0.1:1 is given twice".to_owned())
    );
    assert_eq!(message(&[]), Err("--web.listen-address: the list is empty".to_owned()));
}

#[test]
fn labels_of_all_words_or_none() {
    let labels = |texts: &[&str]| {
        let checked = with(Key::Labels, texts).map_err(|failure| failure.message().to_owned());
        checked.map(|checked| value::show_labels(&checked.config.labels).join(","))
    };
    assert_eq!(labels(&[]), Ok("none".to_owned()));
    assert_eq!(labels(&["none"]), Ok("none".to_owned()));
    assert_eq!(labels(&["service,no-network", "id"]), Ok("id,service,no-network".to_owned()));
    assert_eq!(labels(&["id", "none"]), Err("--metrics.labels: none and others".to_owned()));
}

#[test]
fn a_flow_log_without_its_directory_fails() {
    let failure = with(Key::FlowLog, &["/nonexistent/a/flows"]).unwrap_err();
    assert_eq!(failure.code(), Exit::Failed);
    assert!(failure.message().contains("cannot use the directory /nonexistent/a"), "{failure:?}");
    assert!(with(Key::FlowLog, &["/tmp"]).is_err());
    assert!(with(Key::FlowLog, &["-"]).is_ok());
    assert!(with(Key::FlowLog, &["flows.log"]).is_ok());
}
