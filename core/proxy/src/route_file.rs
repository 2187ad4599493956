//! The routes on disk: what is held again after a crash or a reboot.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::route::{BadRoute, Route};

/// Of the file's format.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Contents {
    version: u32,
    routes: Vec<Route>,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "route file {} cannot be used: {cause}; mend it, or move it away to begin without routes \
     (it is left as it is)",
    path.display()
)]
pub struct BadRouteFile {
    pub path: PathBuf,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("it has version {0} and this program knows version {VERSION}")]
    Version(u32),
    #[error(transparent)]
    Route(#[from] BadRoute),
    #[error("{0} is in it twice")]
    Twice(std::net::SocketAddr),
}

#[derive(Debug, Clone)]
pub struct RouteFile {
    path: PathBuf,
}

impl RouteFile {
    pub fn in_folder(dir: &Path) -> Self {
        Self {
            path: dir.join("routes.json"),
        }
    }

    /// No file is no routes. One that cannot be understood is an error: to
    /// begin without routes would take every port away.
    pub fn read(&self) -> Result<Vec<Route>, BadRouteFile> {
        self.try_read().map_err(|cause| BadRouteFile {
            path: self.path.clone(),
            cause,
        })
    }

    fn try_read(&self) -> Result<Vec<Route>, Cause> {
        let text = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read?,
        };
        let contents: Contents = serde_json::from_slice(&text)?;
        if contents.version != VERSION {
            return Err(Cause::Version(contents.version));
        }
        for (at, route) in contents.routes.iter().enumerate() {
            route.check()?;
            let listen = route.listen;
            if contents.routes[..at].iter().any(|it| it.listen == listen) {
                return Err(Cause::Twice(listen));
            }
        }
        Ok(contents.routes)
    }

    /// Returns once the routes would survive a power cut.
    pub async fn write(&self, routes: Vec<Route>) -> io::Result<()> {
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || replace(&path, routes));
        written.await.map_err(io::Error::other)?
    }
}

fn replace(path: &Path, routes: Vec<Route>) -> io::Result<()> {
    let version = VERSION;
    let mut text = serde_json::to_vec_pretty(&Contents { version, routes })?;
    text.push(b'\n');
    let temporary = path.with_extension("json.new");
    let mut file = File::create(&temporary)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
