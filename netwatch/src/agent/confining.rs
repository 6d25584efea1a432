//! What of a host the agent needs with a configuration, so that it can give up the rest.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::config::{Config, FlowLogTarget, Place};
use crate::{
    datapath,
    identity::engine_endpoint,
    sandbox::{self, Capability, Confinement, Needs},
    serve,
};

/// Where `ip netns` keeps names: files that are opened, to ask the kernel which namespace each is.
const NAMES: &str = "/run/netns";
/// Ports below take a right of their own.
const FREE_PORTS: u16 = 1024;

/// Gives up what this configuration does not need. Before there are threads, and once.
pub fn confine(config: &Config) -> Confinement {
    sandbox::enter(&needs(config), config.sandbox)
}

fn needs(config: &Config) -> Needs {
    let sockets: Vec<&Path> = config
        .socket
        .iter()
        .map(|socket| socket.path.as_path())
        .chain(config.listen.iter().filter_map(|place| match place {
            Place::Unix(socket) => Some(socket.path.as_path()),
            Place::Address(_) | Place::Systemd => None,
        }))
        .collect();
    let mut write: Vec<PathBuf> = Vec::new();
    if let Some(pins) = &config.pins {
        // Made here, where it is not there: a rule is about what there is.
        let _ = serve::make_folder(&config.state);
        // Whoever pins will say that it is not there.
        let _ = datapath::mount_pins(pins);
        write.push(config.state.clone());
        write.extend(pins.parent().map(Path::to_owned));
    }
    let sockets = sockets.into_iter().filter_map(folder_of_socket);
    let log = match &config.flow_log {
        Some(FlowLogTarget::File(path)) => places_of_log(path),
        Some(FlowLogTarget::Stdout) | None => Vec::new(),
    };
    // What is the user's choice, and may be somebody else's.
    let chosen: Vec<PathBuf> = sockets.chain(log).collect();
    let web = web_files(config);
    let engine = engine_endpoint(config.docker_host.as_deref());
    let engine_socket = engine.strip_prefix("unix://").map(PathBuf::from);
    let foreign = chosen.iter().chain(&web).chain(&engine_socket).any(|path| is_foreign(path));
    let ports: Vec<u16> = config
        .listen
        .iter()
        .filter_map(|place| match place {
            Place::Address(address) => Some(address.port()),
            Place::Unix(_) | Place::Systemd => None,
        })
        .collect();
    write.extend(chosen);
    Needs {
        capabilities: capabilities(config, foreign, &ports),
        read: sandbox::of_every_host()
            .into_iter()
            .chain(web.iter().flat_map(|file| folders_of(file)))
            .chain([names()])
            .collect(),
        write,
        connect: engine.strip_prefix("tcp://").and_then(port_of).into_iter().collect(),
        listen: ports,
    }
}

fn capabilities(config: &Config, foreign: bool, ports: &[u16]) -> Vec<Capability> {
    let mut needed = vec![Capability::NetAdmin, Capability::Bpf, Capability::Perfmon];
    if datapath::needs_sys_admin() {
        needed.push(Capability::SysAdmin);
    }
    if datapath::needs_sys_resource() {
        needed.push(Capability::SysResource);
    }
    if ports.iter().any(|port| (1..FREE_PORTS).contains(port)) {
        needed.push(Capability::NetBindService);
    }
    let gives_away = config.socket.as_ref().is_some_and(|socket| socket.group.is_some());
    if foreign {
        needed.extend([Capability::DacOverride, Capability::Fowner]);
    }
    if foreign || gives_away {
        needed.push(Capability::Chown);
    }
    needed
}

/// Made as `ip netns` would, where it is not there yet: a rule is about what there is.
fn names() -> PathBuf {
    let _ = serve::make_folder(Path::new(NAMES));
    NAMES.into()
}

/// The folder, made where it is not there: later nobody could. Why it cannot be made tells whoever listens there.
fn folder_of_socket(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let _ = serve::make_folder(folder);
    folder.canonicalize().ok()
}

/// The folders that the log is rotated in: that of its name, and that of the file that a link leads to. Or what it is if it
/// is no file.
fn places_of_log(path: &Path) -> Vec<PathBuf> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => vec![path.to_owned()],
        _ => folders_of(path),
    }
}

/// The folder that a name is in, and that of the file that it leads to.
fn folders_of(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let target = path.canonicalize().ok();
    let of_target = target.as_deref().and_then(Path::parent).map(Path::to_owned);
    [Some(folder.unwrap_or(Path::new(".")).to_owned()), of_target].into_iter().flatten().collect()
}

/// The file of the HTTP side and what it names. Each may be replaced by another one, which is looked for where it was.
fn web_files(config: &Config) -> Vec<PathBuf> {
    config.web_config.as_deref().map(serve::files).unwrap_or_default()
}

/// Whether somebody else's rights decide about it.
fn is_foreign(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    fs::metadata(path).is_ok_and(|metadata| metadata.uid() != own)
}

fn port_of(address: &str) -> Option<u16> {
    address.trim_end_matches('/').rsplit_once(':')?.1.parse().ok()
}
