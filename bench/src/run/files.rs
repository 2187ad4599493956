//! The dashboard's files against nginx: CPU time of a request.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

use super::{Bench, copying, digits, median, row};
use crate::{
    http::{self, Connection},
    process::Process,
    report::{Bars, Chapter, Figure, Page, Scale, Target},
    rivals,
};

/// Smaller files are little but their head.
const SMALL_BYTES: usize = 1024;

/// A request that both servers answer with the same bytes.
struct Case {
    name: &'static str,
    path: String,
    bytes: usize,
    /// The client has it already.
    is_known: bool,
    most: f64,
}

/// A server under test.
struct Server<'p> {
    process: &'p Process,
    address: SocketAddr,
}

pub fn measure(bench: &Bench) -> anyhow::Result<Chapter> {
    let directory = tempfile::tempdir_in(&bench.args.setup.work)?;
    let (own, own_address) = serve(bench, directory.path())?;
    let cases = cases(&bench.args.web)?;
    let root = directory.path().join("root");
    for case in &cases {
        mirror(own_address, case, &root)?;
    }
    let (nginx, nginx_address) = rivals::file_server(directory.path(), &root, bench.cores)?;
    let servers = [
        Server {
            process: &own,
            address: own_address,
        },
        Server {
            process: &nginx,
            address: nginx_address,
        },
    ];
    let mut page = Page::default();
    page.text(
        "50 connections that are kept, each asking again as soon as it is answered, for the \
         smallest file above 1 KiB and the largest one, not compressed. nginx, with Debian's \
         `sendfile` and `tcp_nopush` and without a log, has copies of what tiny-forge answers.",
    );
    let mut bars = Bars::new("CPU time of a request for a file", "µs", Scale::Linear);
    bars.series = vec!["tiny-forge", "nginx"];
    let mut rows = vec![row(["CPU, µs", "bytes", "tiny-forge", "nginx", "ratio"])];
    // The last case is the large one: its bytes, and what nginx takes for it.
    let (mut figures, mut large) = (Vec::new(), (0, 0.0));
    for case in &cases {
        let [own, nginx] = cpu_us(bench, &servers, case)?;
        large = (case.bytes, nginx);
        bench.say(&format!(
            "files, {}: {} µs a request, nginx {} µs",
            case.name,
            digits(own),
            digits(nginx)
        ));
        let (bytes, ratio) = (case.bytes.to_string(), digits(own / nginx));
        rows.push(row([
            case.name,
            &bytes,
            &digits(own),
            &digits(nginx),
            &ratio,
        ]));
        bars.group(case.name, vec![own, nginx]);
        figures.push(Figure::with_target(
            format!("static files against nginx, CPU per request, {}", case.name),
            own / nginx,
            "×",
            Target::AtMost(case.most),
        ));
    }
    figures.push(Figure::new(
        "writing the bytes of the large one to a socket, and nothing else, against nginx",
        copying::cpu_us(bench.cores, large.0, bench.span().measured)? / large.1,
        "×",
    ));
    page.plot("files", &bars);
    page.table(&rows);
    Ok(Chapter {
        title: "Static files",
        page,
        figures,
    })
}

fn serve(bench: &Bench, directory: &Path) -> anyhow::Result<(Process, SocketAddr)> {
    let mut command = Command::new(&bench.args.binary);
    command
        .arg("serve")
        .arg("--data")
        .arg(directory.join("data"));
    command.args(["--listen", "127.0.0.1:0"]);
    command.args(["--engine", super::start::NO_ENGINE]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Process::start(&mut command, Some(bench.cores))?;
    let [address] = process.addresses(["tiny-forge listens on http://"])?;
    Ok((process, address))
}

fn cases(web: &Path) -> anyhow::Result<[Case; 3]> {
    let mut files = Vec::new();
    list(web, &mut files)?;
    files.retain(|(bytes, _)| *bytes > SMALL_BYTES);
    files.sort_unstable();
    let name = |file: &PathBuf| {
        let path = file.strip_prefix(web).ok().and_then(Path::to_str);
        path.map(|path| format!("/{path}"))
            .context("a path in UTF-8")
    };
    let (Some((small_bytes, small)), Some((large_bytes, large))) = (files.first(), files.last())
    else {
        bail!("`{}` holds no dashboard: run `make build`", web.display());
    };
    let small_path = name(small)?;
    Ok([
        Case {
            name: "small",
            path: small_path.clone(),
            bytes: *small_bytes,
            is_known: false,
            most: 0.9,
        },
        Case {
            name: "304",
            path: small_path,
            bytes: 0,
            is_known: true,
            most: 1.0,
        },
        Case {
            name: "large",
            path: name(large)?,
            bytes: *large_bytes,
            is_known: false,
            most: 1.2,
        },
    ])
}

/// With their sizes; the compressed twins are left out.
fn list(directory: &Path, files: &mut Vec<(usize, PathBuf)>) -> anyhow::Result<()> {
    let entries = fs::read_dir(directory)
        .with_context(|| format!("cannot read `{}`", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        let (path, metadata) = (entry.path(), entry.metadata()?);
        let is_twin = path.extension().is_some_and(|it| it == "br" || it == "gz");
        if metadata.is_dir() {
            list(&path, files)?;
        } else if !is_twin {
            files.push((metadata.len() as usize, path));
        }
    }
    Ok(())
}

/// Puts what tiny-forge answers where nginx finds it.
fn mirror(own: SocketAddr, case: &Case, root: &Path) -> anyhow::Result<()> {
    let answer = Connection::open(own)?.get(&case.path)?;
    if !case.is_known && answer.body.len() != case.bytes {
        bail!(
            "`{}` is not the file that was built: build both anew",
            case.path
        );
    }
    let file = root.join(case.path.trim_start_matches('/'));
    fs::create_dir_all(file.parent().unwrap_or(root))?;
    fs::write(file, answer.body)?;
    Ok(())
}

/// Of both servers, in turn.
fn cpu_us(bench: &Bench, servers: &[Server<'_>; 2], case: &Case) -> anyhow::Result<[f64; 2]> {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..bench.repetitions() {
        for (server, times) in servers.iter().zip(&mut times) {
            let (request, status) = request(server, case)?;
            let (address, process) = (server.address, server.process);
            let seen = http::closed_loop(address, &request, status, process, bench.span())?;
            times.push(seen.cpu_us(|_| true));
        }
    }
    Ok(times.map(median))
}

fn request(server: &Server<'_>, case: &Case) -> anyhow::Result<(String, u16)> {
    if !case.is_known {
        return Ok((http::get(&case.path, ""), 200));
    }
    let answer = Connection::open(server.address)?.get(&case.path)?;
    let etag = answer.header("etag").context("an ETag")?;
    let header = format!("if-none-match: {etag}\r\n");
    Ok((http::get(&case.path, &header), 304))
}
