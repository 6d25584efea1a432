//! In which form a client wants the metrics.

use axum::http::{HeaderMap, header};

/// The forms that there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Prometheus's text format 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

const OPEN_METRICS: &str = "application/openmetrics-text";
const VERSION: &str = "1.0.0";
/// What stands for the text format.
const TEXT: [&str; 3] = ["text/plain", "text/*", "*/*"];

impl Form {
    /// OpenMetrics for who names it and likes nothing better, text for all others.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT);
        let lines = lines.iter().filter_map(|line| line.to_str().ok());
        let (mut open, mut text) = (0.0_f32, 0.0_f32);
        for range in lines.flat_map(|line| line.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut weight, mut version) = (1.0, VERSION);
            for (key, value) in parts.filter_map(|part| part.split_once('=')) {
                match key.trim() {
                    "q" | "Q" => weight = value.trim().parse().unwrap_or(0.0),
                    "version" => version = value.trim().trim_matches('"'),
                    _ => {}
                }
            }
            if name == OPEN_METRICS && version == VERSION {
                open = open.max(weight);
            } else if TEXT.contains(&name.as_str()) {
                text = text.max(weight);
            }
        }
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_who_asks_for_it_gets_open_metrics() {
        for (text, expected) in [
            // Prometheus 2.42, 2.5 and 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Form::OpenMetrics,
            ),
            (
                "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Form::Text,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Form::OpenMetrics,
            ),
            ("application/openmetrics-text", Form::OpenMetrics),
            ("text/plain, application/openmetrics-text;q=0.9", Form::Text),
            ("application/openmetrics-text;q=0", Form::Text),
            ("application/openmetrics-text;version=2.0.0", Form::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Form::Text),
            ("*/*", Form::Text),
            ("", Form::Text),
            (";;=,q", Form::Text),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(text))]);
            assert_eq!(Form::wanted(&headers), expected, "{text}");
        }
        assert_eq!(Form::wanted(&HeaderMap::new()), Form::Text);
    }
}
