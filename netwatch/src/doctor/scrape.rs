//! The metrics of a running agent, as far as they are asked about.

use crate::metrics::catalogue::Metric;

/// The text of /metrics.
#[derive(Clone, Debug, Default)]
pub(super) struct Scrape(String);

impl Scrape {
    /// `None` for a text that is not of netwatch.
    pub(super) fn of(text: String) -> Option<Self> {
        let scrape = Self(text);
        scrape.series(Metric::BuildInfo).next()?;
        Some(scrape)
    }

    /// Labels and value of each series of a metric.
    fn series(&self, metric: Metric) -> impl Iterator<Item = (&str, f64)> {
        let name = metric.entry().name;
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            // A value holds no blank; labels may.
            let (labels, value) = rest.rsplit_once(' ')?;
            let whole = labels.is_empty() || labels.starts_with('{');
            Some((labels, value.parse().ok()?)).filter(|_| whole)
        })
    }

    /// The sum over all series with this label; over all, if there is none.
    pub(super) fn sum(&self, metric: Metric, label: Option<(&str, &str)>) -> u64 {
        let wanted = label.map(|(name, value)| format!("{name}=\"{value}\""));
        let with = self.series(metric).filter(|(labels, _)| {
            wanted.as_ref().is_none_or(|wanted| labels.contains(wanted.as_str()))
        });
        // Counts of packets and lines: whole numbers, far below 2^53.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let sum = with.map(|(_, value)| value).sum::<f64>() as u64;
        sum
    }

    /// The values of a label. Names of interfaces and versions have nothing that would be escaped.
    pub(super) fn labels(&self, metric: Metric, name: &str) -> Vec<&str> {
        let begin = format!("{name}=\"");
        self.series(metric)
            .filter_map(|(labels, _)| {
                let (before, rest) = labels.split_once(&begin)?;
                let value = rest.split_once('"')?.0;
                before.ends_with(['{', ',']).then_some(value)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# TYPE netwatch_build_info gauge
netwatch_build_info{version=\"0.1.0\",revision=\"x y\",abi=\"7\"} 1
netwatch_samples_total 12
netwatch_samples_lost_total 3
netwatch_packet_outcomes_total{outcome=\"arp\"} 5
netwatch_packet_outcomes_total{outcome=\"flow-limit\"} 1e3
";

    #[test]
    fn series_are_found_by_name_and_label() {
        let scrape = Scrape::of(TEXT.into()).expect("netwatch's");
        assert_eq!(scrape.sum(Metric::Samples, None), 12);
        assert_eq!(scrape.sum(Metric::SamplesLost, None), 3);
        assert_eq!(scrape.sum(Metric::PacketOutcomes, None), 1005);
        assert_eq!(scrape.sum(Metric::PacketOutcomes, Some(("outcome", "flow-limit"))), 1000);
        assert_eq!(scrape.sum(Metric::PacketOutcomes, Some(("outcome", "flow"))), 0);
        assert_eq!(scrape.labels(Metric::BuildInfo, "version"), ["0.1.0"]);
        assert_eq!(scrape.labels(Metric::BuildInfo, "revision"), ["x y"]);
        assert!(scrape.labels(Metric::BuildInfo, "bi").is_empty());
    }

    #[test]
    fn the_page_of_somebody_else_is_not_ours() {
        for text in ["", "<html>netwatch_build_info</html>", "netwatch_build_information 1\n"] {
            assert!(Scrape::of(text.into()).is_none(), "{text:?}");
        }
    }
}
