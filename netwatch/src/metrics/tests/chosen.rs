//! Labels that are added or left out: whatever is chosen, every figure is there once.

use super::*;
use crate::metrics::ContainerLabel;

pub(super) fn everything() -> LabelChoice {
    LabelChoice { more: ContainerLabel::ALL.into(), no_network: true }
}

fn more(labels: &[ContainerLabel]) -> LabelChoice {
    LabelChoice { more: labels.iter().copied().collect(), no_network: false }
}

fn chosen(snapshot: &Snapshot, choice: &LabelChoice) -> BTreeMap<String, f64> {
    series(&super::super::render(snapshot, Form::Text, choice).unwrap())
}

/// The labels of `web`, as they stand behind its name.
const WEB: &str = ",id=\"web-id\",image=\"nginx:1.27\",project=\"shop\",service=\"web\"";

#[test]
fn labels_are_those_of_the_info() {
    let info = Metric::ContainerInfo.entry();
    for label in ContainerLabel::ALL {
        assert!(info.labels.contains(&label.name()), "{label:?}");
    }
}

#[test]
fn what_counts_something_of_a_container_has_them_behind_its_name() {
    let full = fixture::full();
    let all = chosen(&full, &more(&ContainerLabel::ALL));
    for (name, value) in scrape(&full) {
        let family = name.split('{').next().unwrap();
        let has_choice = name.contains("{container=\"web\"")
            && !family.contains("_info")
            && !family.contains("_out_of_sight");
        let name = if has_choice {
            name.replace("{container=\"web\"", &format!("{{container=\"web\"{WEB}"))
        } else {
            name
        };
        assert_eq!(all.get(&name), Some(&value), "{name} in {all:#?}");
    }
    let with: HashSet<_> = all
        .keys()
        .filter(|name| name.contains("image=") && !name.contains("_info{"))
        .map(|name| name.split('{').next().unwrap().trim_end_matches("_bucket"))
        .map(|name| name.trim_end_matches("_sum").trim_end_matches("_count"))
        .collect();
    let expected: HashSet<_> = [
        "netwatch_container_receive_packets_total",
        "netwatch_container_receive_bytes_total",
        "netwatch_container_transmit_packets_total",
        "netwatch_container_transmit_bytes_total",
        "netwatch_container_packet_size_bytes",
        "netwatch_dns_queries_total",
        "netwatch_dns_responses_total",
        "netwatch_dns_lookup_seconds",
        "netwatch_dropped_packets_total",
        "netwatch_undelivered_packets_total",
    ]
    .into();
    assert_eq!(with, expected);
}

#[test]
fn who_is_no_container_has_empty_ones() {
    let mut full = fixture::full();
    full.sizes.push(fixture::sizes("other"));
    full.containers.push(fixture::traffic("gone and forgotten"));
    let all = chosen(&full, &more(&[ContainerLabel::Service]));
    let network = "network=\"shop_default\"";
    let sizes = format!("container=\"other\",service=\"\",{network},direction=\"receive\"");
    let traffic = format!("container=\"gone and forgotten\",service=\"\",{network}");
    for name in [
        format!("netwatch_container_packet_size_bytes_count{{{sizes}}}"),
        format!("netwatch_container_transmit_bytes_total{{{traffic}}}"),
    ] {
        assert!(all[&name] > 0.0, "{name}");
    }
}

/// The one who had the name before is known no more: his figures go on as those of the next.
#[test]
fn a_name_is_labelled_once() {
    let mut full = fixture::full();
    let mut next = fixture::container("web");
    next.image = "nginx:2".to_owned();
    full.containers.push(fixture::traffic("web"));
    Arc::make_mut(&mut full.labelled).insert("web".into(), next.into());
    let all = chosen(&full, &more(&[ContainerLabel::Image]));
    let name = "netwatch_container_transmit_bytes_total{container=\"web\",";
    let found: Vec<_> = all.iter().filter(|(series, _)| series.starts_with(name)).collect();
    let series = format!("{name}image=\"nginx:2\",network=\"shop_default\"}}");
    assert_eq!(found, [(&series, &1_200.0)]);
}

#[test]
fn what_is_left_out_is_added_up() {
    let mut full = fixture::full();
    let mut elsewhere = fixture::traffic("web");
    elsewhere.network = "elsewhere".into();
    full.containers.push(elsewhere);
    let mut elsewhere = fixture::sizes("web");
    elsewhere.network = "elsewhere".into();
    full.sizes.push(elsewhere);
    let all = chosen(&full, &LabelChoice { no_network: true, ..LabelChoice::default() });
    let sizes = "netwatch_container_packet_size_bytes";
    let labels = "{container=\"web\",direction=\"receive\"";
    for (name, value) in [
        ("netwatch_container_transmit_bytes_total{container=\"web\"}", 1_200.0),
        (&format!("{sizes}_bucket{labels},le=\"1024\"}}"), 60.0),
        (&format!("{sizes}_sum{labels}}}"), 60_840.0),
    ] {
        assert_eq!(all.get(name), Some(&value), "{name} in {all:#?}");
    }
    // Where it is what the metric is about, it stays.
    let about = ["netwatch_container_info{", "netwatch_interface_info{", "netwatch_container_out"];
    for name in about {
        let found = all.keys().find(|series| series.starts_with(name)).unwrap();
        assert!(found.contains("network=\""), "{found}");
    }
}
