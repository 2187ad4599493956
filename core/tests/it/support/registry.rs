use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{engine::Engine, image};

/// Debian's docker-registry on a free loopback port.
pub struct Registry {
    port: u16,
    process: Child,
    _dir: TempDir,
}

impl Registry {
    pub fn start() -> Self {
        Self::asking("")
    }

    /// That wants to know who asks: `auth`, as its configuration has it.
    pub fn asking(auth: &str) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let port = free_port();
        let config = dir.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{ level: info }}\nstorage: {{ filesystem: {{ rootdirectory: {} }}, delete: {{ enabled: true }} }}\nhttp: {{ addr: 127.0.0.1:{port} }}\n{auth}\n",
            dir.path().join("images").display()
        );
        std::fs::write(&config, text).expect("written");
        // It ends when our end of its input closes, also when we are killed.
        let hold = "docker-registry serve \"$0\" <&- & cat; kill $!";
        let mut process = Command::new("bash")
            .args(["-c", hold])
            .arg(&config)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bash");
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        let listening = lines.find(|line| {
            line.as_ref()
                .is_ok_and(|line| line.contains("listening on"))
        });
        assert!(
            listening.is_some(),
            "docker-registry is installed and starts"
        );
        // Read on, so that the registry never blocks on a full pipe.
        std::thread::spawn(move || lines.count());
        Self {
            port,
            process,
            _dir: dir,
        }
    }

    /// `127.0.0.1:<port>/<name>`
    pub fn reference(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{name}", self.port)
    }

    /// `127.0.0.1:<port>`
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Makes an image and pushes it; gone from the engine afterwards, so that
    /// a deploy has to pull it.
    pub fn push_busybox(&self, engine: &Engine, name: &str, script: &str) -> String {
        let reference = self.reference(name);
        image::busybox(engine, &reference, script);
        engine.docker(&["push", &reference]);
        engine.docker(&["rmi", &reference]);
        reference
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}
