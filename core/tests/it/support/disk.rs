use std::{fs, io::Write, path::PathBuf, process::Command};

/// A small disk, mounted; like the engine of other tests it needs root.
pub struct SmallDisk(pub PathBuf);

impl SmallDisk {
    pub fn mount(at: PathBuf) -> Self {
        fs::create_dir_all(&at).expect("a directory");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(&at);
        assert!(mount.status().expect("mount").success());
        Self(at)
    }

    pub fn fill(&self) {
        let mut filler = fs::File::create(self.0.join("filler")).expect("a file");
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    pub fn free(&self) {
        fs::remove_file(self.0.join("filler")).expect("the filler");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
