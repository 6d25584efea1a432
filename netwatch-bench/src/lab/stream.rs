//! One TCP stream from one namespace to the other, by iperf3.

use std::{process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, bail};

use super::network::{Network, TO};

const SERVER_STARTS: Duration = Duration::from_millis(300);

/// Bits per second that arrive.
pub fn stream(network: &Network, seconds: u64) -> Result<f64> {
    let server = network.to.start(|| iperf3(&["--server", "--one-off"]))?;
    thread::sleep(SERVER_STARTS);
    let client = network.from.run(move || {
        let (to, seconds) = (TO.to_string(), seconds.to_string());
        // Both end by themselves: a server whose client fails gives up.
        iperf3(&["--client", &to, "--time", &seconds, "--connect-timeout", "3000", "--json"])
    })??;
    server.recv().context("waiting for iperf3's server")??;
    let report: serde_json::Value =
        serde_json::from_str(&client).context("reading iperf3's report")?;
    let rate = report.pointer("/end/sum_received/bits_per_second");
    rate.and_then(serde_json::Value::as_f64).context("iperf3's report has no rate")
}

fn iperf3(args: &[&str]) -> Result<String> {
    let output = Command::new("iperf3")
        .args(args)
        .args(["--port", "5201"])
        .output()
        .context("starting iperf3 (`cargo xtask setup` installs it)")?;
    if !output.status.success() {
        let (out, err) = (&output.stdout, &output.stderr);
        bail!("iperf3: {}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
