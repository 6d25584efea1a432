//! A real engine for tests: with its own folders, socket and bridge.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

/// Stopped and removed, containers and all, when it is dropped.
pub(super) struct Engine {
    /// Its default bridge.
    pub(super) bridge: &'static str,
    folder: TempDir,
    process: Option<Child>,
}

impl Engine {
    pub(super) fn new(bridge: &'static str, subnet: &str) -> Self {
        let _ = Command::new("ip").args(["link", "add", bridge, "type", "bridge"]).output();
        let _ = Command::new("ip").args(["address", "add", subnet, "dev", bridge]).output();
        let mut engine = Self { bridge, folder: tempfile::tempdir().unwrap(), process: None };
        engine.start();
        engine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn host(&self) -> String {
        format!("unix://{}", self.path("docker.sock").display())
    }

    pub(super) fn start(&mut self) {
        let _ = fs::remove_file(self.path("docker.pid"));
        let log = fs::File::create(self.path("log")).unwrap();
        let flag = |name: &str, file: &str| format!("--{name}={}", self.path(file).display());
        let process = Command::new("dockerd")
            .args([
                flag("data-root", "data"),
                flag("exec-root", "exec"),
                flag("pidfile", "docker.pid"),
            ])
            .args([
                "--host",
                &self.host(),
                "--bridge",
                self.bridge,
                "--iptables=false",
                "--ip-masq=false",
            ])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        for _ in 0..150 {
            if self.try_docker("version").is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("dockerd does not start: {}", fs::read_to_string(self.path("log")).unwrap());
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = Command::new("kill").arg(process.id().to_string()).status();
            let _ = process.wait();
        }
    }

    fn try_docker(&self, command: &str) -> Option<String> {
        let output = Command::new("docker")
            .args(["--host", &self.host()])
            .args(command.split(' '))
            .output()
            .unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    pub(super) fn docker(&self, command: &str) -> String {
        self.try_docker(command).unwrap_or_else(|| panic!("docker {command}"))
    }

    /// An image that is a busybox and nothing else.
    pub(super) fn import(&self) {
        let root = self.path("root");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        let mut tar = Command::new("tar")
            .arg("-C")
            .arg(&root)
            .args(["-c", "."])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let import = Command::new("docker")
            .args(["--host", &self.host(), "import", "-", "nw-test:1"])
            .stdin(tar.stdout.take().unwrap())
            .output()
            .unwrap();
        assert!(tar.wait().unwrap().success() && import.status.success());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let all = self.try_docker("ps -aq").unwrap_or_default();
        if !all.is_empty() {
            let _ = self.try_docker(&format!("rm -f {}", all.replace('\n', " ")));
        }
        let _ = self.try_docker("network prune --force");
        self.stop();
        let _ = Command::new("ip").args(["link", "del", self.bridge]).output();
    }
}
