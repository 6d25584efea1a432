//! A Docker engine of a test's own, with options of its own, in a network namespace of its own: its bridges and rules are
//! nobody else's.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{
    agent::{die_with_us, end_of, send},
    docker::{IMAGE, docker, use_engine},
    netns::in_new_namespace,
    shell::{attempt, program, run},
    user::NOBODY,
    wait::until,
};

/// Runs `body` beside such an engine, which is the only one that `body` knows; it is told where it listens.
pub fn with_engine(options: &'static [&'static str], body: impl FnOnce(&str) + Send + 'static) {
    with_engine_itself(options, |engine| body(&engine.host()));
}

/// The same for a `body` that does something to it.
pub fn with_engine_itself(
    options: &'static [&'static str],
    body: impl FnOnce(&mut Engine) + Send + 'static,
) {
    let folder = TempDir::new().expect("a folder");
    let image = folder.path().join("image.tar").to_string_lossy().into_owned();
    docker(&["save", "--output", &image, IMAGE]);
    in_new_namespace(move || {
        run("ip", &["link", "set", "dev", "lo", "up"]);
        let mut engine = Engine::start(folder, options);
        let host = engine.host();
        use_engine(&host);
        until("the engine answers", || attempt(CLIENT, &["-H", &host, "version"]).ok());
        docker(&["load", "--input", &image]);
        body(&mut engine);
    });
}

const CLIENT: &str = "docker";

/// Stopped when dropped.
pub struct Engine {
    daemon: Child,
    folder: TempDir,
    options: &'static [&'static str],
}

impl Engine {
    fn start(folder: TempDir, options: &'static [&'static str]) -> Self {
        let daemon = Self::spawn(&folder, options);
        Self { daemon, folder, options }
    }

    fn spawn(folder: &TempDir, options: &[&str]) -> Child {
        let file = |name: &str| folder.path().join(name);
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).expect("our folder");
        fs::write(file("daemon.json"), "{}").expect("a file");
        let log = File::create(file("log")).expect("a file");
        let mut command = Command::new(program(&["/usr/sbin/dockerd", "/usr/bin/dockerd"]));
        for (option, name) in [
            ("--data-root", "data"),
            ("--exec-root", "exec"),
            ("--pidfile", "pid"),
            ("--config-file", "daemon.json"),
        ] {
            command.arg(option).arg(file(name));
        }
        command
            .args(["-H", &format!("unix://{}", file("socket").display())])
            // Of this group are the tests' agents, which find the way to it.
            .args(["--group", &NOBODY.to_string()])
            // Works on whatever the folder is on.
            .args(["--storage-driver", "vfs"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second descriptor"))
            .stderr(log);
        die_with_us(&mut command);
        command.spawn().expect("dockerd runs")
    }

    /// Stops it, containers and all, and starts it again.
    pub fn restart(&mut self) {
        send(self.daemon.id(), libc::SIGTERM);
        end_of(&mut self.daemon);
        self.daemon = Self::spawn(&self.folder, self.options);
        let host = self.host();
        until("the engine answers", || attempt(CLIENT, &["-H", &host, "version"]).ok());
    }

    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            eprintln!("--- the engine said\n{log}---");
        }
        if matches!(self.daemon.try_wait(), Ok(None)) {
            send(self.daemon.id(), libc::SIGTERM);
            end_of(&mut self.daemon);
        }
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for point in
            points.filter(|point| std::path::Path::new(point).starts_with(self.folder.path()))
        {
            let _ = attempt("umount", &["-l", point]);
        }
    }
}
