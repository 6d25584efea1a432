//! Pictures of the dashboards, for docs/dashboards.md: what each query of them answers at a real Prometheus, drawn as Grafana
//! would draw it, but simpler. One SVG for each file of dashboards/.

mod chart;
mod query;
mod unit;

use std::{fs, net::SocketAddr, path::PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{report::say, workspace::root};
use chart::{Panel, board};
use query::Prometheus;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The Prometheus that has scraped netwatch
    #[arg(long, default_value = "127.0.0.1:9090")]
    prometheus: SocketAddr,
    /// The container of the dashboard about one
    #[arg(long)]
    container: String,
    /// So many seconds up to now
    #[arg(long, default_value_t = 600)]
    seconds: u32,
    /// Where the pictures go
    #[arg(long, default_value = "docs/dashboards")]
    folder: PathBuf,
}

/// Asks and draws.
pub(crate) fn dashboards(args: &Args) -> Result<()> {
    let folder = root().join(&args.folder);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let prometheus = Prometheus { address: args.prometheus, seconds: args.seconds };
    let files = root().join("dashboards");
    for file in fs::read_dir(&files).with_context(|| format!("reading {}", files.display()))? {
        let path = file?.path();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let dashboard: Value =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        let panels: Result<Vec<_>> =
            list(&dashboard["panels"]).iter().map(|one| panel(one, &prometheus, args)).collect();
        let picture = board(word(&dashboard["title"]), &panels?);
        let name = path.file_stem().unwrap_or_default();
        let out = folder.join(name).with_extension("svg");
        fs::write(&out, picture).with_context(|| format!("writing {}", out.display()))?;
        say(format_args!("drew {}", out.display()));
    }
    Ok(())
}

fn panel(panel: &Value, prometheus: &Prometheus, args: &Args) -> Result<Panel> {
    let is_now = panel["type"] != "timeseries";
    let mut series = Vec::new();
    for target in list(&panel["targets"]) {
        // What Grafana takes at least: four times the interval of scrapes, and some.
        let query = word(&target["expr"])
            .replace("$instance", ".*")
            .replace("$container", &args.container)
            .replace("$__rate_interval", "30s");
        series.extend(prometheus.ask(&query, word(&target["legendFormat"]), is_now)?);
    }
    let [x, y, width, height] = ["x", "y", "w", "h"].map(|side| {
        let number = panel["gridPos"][side].as_u64().and_then(|number| u32::try_from(number).ok());
        f64::from(number.unwrap_or_default())
    });
    let defaults = &panel["fieldConfig"]["defaults"];
    let words = list(&defaults["mappings"]).iter().filter_map(|one| one["options"].as_object());
    let words = words.flatten().map(|(value, how)| (value.clone(), word(&how["text"]).to_owned()));
    Ok(Panel {
        kind: word(&panel["type"]).to_owned(),
        title: word(&panel["title"]).to_owned(),
        unit: word(&defaults["unit"]).to_owned(),
        words: words.collect(),
        is_log: defaults["custom"]["scaleDistribution"]["type"] == "log",
        place: [x, y, width, height],
        series,
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
