//! How large a function is to deploy.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// What a zip adds to each file: two headers, and its name twice.
const HEADERS: u64 = 30 + 46;

/// The files as they are, in bytes.
pub(crate) fn plain(files: &[PathBuf]) -> u64 {
    sum(files, &|path| std::fs::metadata(path).map_or(0, |it| it.len()))
}

/// The files in a zip at the highest compression, in bytes.
pub(crate) fn zipped(files: &[PathBuf]) -> u64 {
    sum(files, &|path| {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&std::fs::read(path).unwrap_or_default()).unwrap();
        let name = 2 * path.as_os_str().len() as u64;
        encoder.finish().unwrap().len() as u64 + HEADERS + name
    })
}

fn sum(paths: &[PathBuf], of: &dyn Fn(&Path) -> u64) -> u64 {
    paths
        .iter()
        .map(|path| match std::fs::read_dir(path) {
            Ok(folder) => sum(&folder.flatten().map(|entry| entry.path()).collect::<Vec<_>>(), of),
            Err(_) => of(path),
        })
        .sum()
}
