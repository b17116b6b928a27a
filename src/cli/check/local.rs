//! What this machine alone can tell: files, directories, the port.

use std::net::TcpListener;
use std::path::Path;

use etiage::config::{Config, InputFile};

use super::Report;

pub fn reads_files(config: &Config) -> bool {
    config.streams.values().any(|stream| !stream.files.is_empty())
}

pub fn look(config: &Config, report: &mut Report) {
    port(&config.serve.listen, report);
    for (name, stream) in &config.streams {
        for InputFile { path: file, .. } in &stream.history {
            let what = format!("history {}", file.display());
            match bytes_of(file) {
                Ok(bytes) => report.well(what, format!("{bytes} bytes")),
                Err(error) => report.about(what, |about| {
                    about.warn(format!("{error}: whoever runs does not read it, `etiage replay` from here could not"));
                }),
            }
        }
        for InputFile { path: file, .. } in &stream.files {
            match bytes_of(file) {
                Ok(bytes) => report.well(format!("file {}", file.display()), format!("{bytes} bytes")),
                Err(error) => report.wrong(
                    format!("file {}", file.display()),
                    format!("{error}: correct streams.{name}.files, or let this user read it"),
                ),
            }
        }
    }
    if reads_files(config) {
        directory(&config.rejects.dir, report);
    }
}

/// Of a file that this user may read.
fn bytes_of(file: &Path) -> std::io::Result<u64> {
    Ok(std::fs::File::open(file)?.metadata()?.len())
}

fn port(address: &str, report: &mut Report) {
    if address.is_empty() {
        return;
    }
    let what = format!("serve.listen {address}");
    match TcpListener::bind(address) {
        Ok(_) => report.well(what, "free for metrics and health"),
        Err(error) => report.about(what, |about| {
            about.warn(format!(
                "{error}: an instance here would run without metrics and health; give another address, or an empty text for \
                 none"
            ));
        }),
    }
}

/// Where rejected and late readings go: it is made with the first of them.
fn directory(dir: &Path, report: &mut Report) {
    let what = format!("rejects.dir {}", dir.display());
    let there = dir.ancestors().find(|above| above.exists() || above.as_os_str().is_empty());
    match there.map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above }) {
        Some(above) if !above.is_dir() => {
            report.wrong(what, format!("{} is no directory: set rejects.dir to one that can be made", above.display()));
        }
        Some(above) if is_read_only(above) => report.wrong(
            what,
            format!("{} cannot be written: let this user write there, or set rejects.dir to another", above.display()),
        ),
        _ => report.well(what, "rejected and late readings go there"),
    }
}

pub fn is_read_only(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| about.permissions().readonly())
}
