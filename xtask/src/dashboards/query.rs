//! A Prometheus's answers.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{list, word};

/// Points of a line.
const POINTS: f64 = 120.0;

pub(super) struct Prometheus {
    pub(super) address: SocketAddr,
    pub(super) seconds: u32,
}

/// A line of a chart, or a row of a table.
pub(super) struct Series {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) legend: String,
    /// From 0, the beginning, to 1, now.
    pub(super) points: Vec<(f64, f64)>,
}

impl Series {
    pub(super) fn last(&self) -> f64 {
        self.points.last().map_or(0.0, |(_, value)| *value)
    }
}

impl Prometheus {
    /// What a query answers, now or over the time.
    pub(super) fn ask(&self, query: &str, legend: &str, is_now: bool) -> Result<Vec<Series>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        let (long, query_text) = (f64::from(self.seconds), percent(query));
        let path = if is_now {
            format!("query?query={query_text}&time={now}")
        } else {
            let (begin, step) = (now - long, long / POINTS);
            format!("query_range?query={query_text}&start={begin}&end={now}&step={step}")
        };
        let answer = self.get(&path)?;
        ensure!(answer["status"] == "success", "{query}: {answer}");
        let one = |series: &Value| {
            let labels: BTreeMap<String, String> = series["metric"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), word(value).to_owned()))
                .collect();
            let all = list(&series["values"]).iter().chain(series.get("value"));
            let point = |point: &Value| {
                let value: f64 =
                    word(&point[1]).parse().ok().filter(|value: &f64| value.is_finite())?;
                Some((1.0 - (now - point[0].as_f64()?) / long, value))
            };
            let points = all.filter_map(point).collect();
            Series { legend: filled(legend, &labels), labels, points }
        };
        let all = list(&answer["data"]["result"]).iter().map(one);
        Ok(all.filter(|series| !series.points.is_empty()).collect())
    }

    fn get(&self, path: &str) -> Result<Value> {
        let ask = || -> Result<String> {
            let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(5))?;
            write!(stream, "GET /api/v1/{path} HTTP/1.0\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        let text = ask().with_context(|| format!("asking the Prometheus at {}", self.address))?;
        let (_, body) = text.split_once("\r\n\r\n").context("no HTTP answer")?;
        serde_json::from_str(body).context("no answer of a Prometheus")
    }
}

/// `{{label}}` is the label's value, which is empty where there is no such label.
fn filled(legend: &str, labels: &BTreeMap<String, String>) -> String {
    let mut parts = legend.split("{{");
    let begin = parts.next().unwrap_or_default().to_owned();
    let filled = parts.fold(begin, |text, part| {
        let (name, rest) = part.split_once("}}").unwrap_or((part, ""));
        text + labels.get(name).map_or("", String::as_str) + rest
    });
    filled.trim().to_owned()
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "%{byte:02X}");
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legends_have_the_labels_that_there_are() {
        let labels = BTreeMap::from([("server".to_owned(), "db".to_owned())]);
        assert_eq!(filled("{{server}} {{port}}", &labels), "db");
        assert_eq!(filled("to {{server}} by {{", &labels), "to db by");
        assert_eq!(percent("a{}"), "%61%7B%7D");
    }
}
