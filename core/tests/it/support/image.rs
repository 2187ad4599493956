use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use super::engine::Engine;

/// Makes a local image out of a program of this machine and the libraries it needs.
pub fn program(engine: &Engine, tag: &str, program: &Path) {
    let mut archive = tar::Builder::new(Vec::new());
    // The engine knows no holes.
    archive.sparse(false);
    let needed = Command::new("ldd").arg(program).output().expect("ldd");
    let needed = String::from_utf8(needed.stdout).expect("text");
    let libraries = needed
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for library in libraries {
        let name = library.trim_start_matches('/');
        // What a link of this name leads to.
        let file = fs::canonicalize(library).expect("a library");
        archive
            .append_path_with_name(file, name)
            .expect("it can be read");
    }
    archive
        .append_path_with_name(program, "app")
        .expect("the program is built");
    let archive = archive.into_inner().expect("in memory");
    import(engine, tag, "[\"/app\"]", &archive);
}

/// Makes a local image out of Debian's static busybox and a start script.
pub fn busybox(engine: &Engine, tag: &str, script: &str) {
    let mut archive = tar::Builder::new(Vec::new());
    archive
        .append_path_with_name("/bin/busybox", "bin/busybox")
        .expect("busybox-static is installed");
    let mut add = |name: &str, content: &[u8], mode: u32| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_cksum();
        archive
            .append_data(&mut header, name, content)
            .expect("in memory");
    };
    add(
        "start.sh",
        format!("#!/bin/busybox sh\n{script}\n").as_bytes(),
        0o755,
    );
    add("etc/passwd", b"root:x:0:0::/:/bin/sh\n", 0o644);
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    for name in [
        "sh", "cat", "nc", "httpd", "sleep", "wget", "true", "false", "test",
    ] {
        let mut link = link.clone();
        archive
            .append_link(&mut link, format!("bin/{name}"), "/bin/busybox")
            .expect("in memory");
    }
    let archive = archive.into_inner().expect("in memory");
    import(
        engine,
        tag,
        "[\"/bin/busybox\", \"sh\", \"/start.sh\"]",
        &archive,
    );
}

fn import(engine: &Engine, tag: &str, command: &str, archive: &[u8]) {
    let mut docker = Command::new("docker")
        .args(["--host", &engine.address(), "import"])
        .args(["--change", &format!("CMD {command}")])
        .args(["-", tag])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the docker command");
    docker
        .stdin
        .take()
        .expect("a pipe")
        .write_all(archive)
        .expect("docker reads it all");
    assert!(
        docker.wait().expect("docker ends").success(),
        "docker import of {tag}"
    );
}
