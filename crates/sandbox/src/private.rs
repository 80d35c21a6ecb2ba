//! Files that only the user can read, in folders that only the user can enter.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use sqlite::store::private_directory;

use crate::function::random_name;

/// Writes a file that is not there yet: one that another program has made meanwhile stays as it is.
pub(crate) fn create(path: &Path, contents: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        private_directory(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(contents)
}

/// Writes a file anew, and then puts it into its place: nobody sees half of one, and a crash leaves the one before.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let draft = path.with_extension(format!("{}.draft", random_name()?));
    let replaced = create(&draft, contents).and_then(|()| std::fs::rename(&draft, path));
    replaced.inspect_err(|_| {
        // There may be none.
        let _ = std::fs::remove_file(&draft);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_for_the_user_alone_and_leaves_nothing_else() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("below/secret.json");
        create(&path, b"first").unwrap();
        assert_eq!(create(&path, b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        replace(&path, b"third").unwrap();
        replace(&state.path().join("below/new.json"), b"").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"third");
        // A folder cannot be replaced by a file.
        std::fs::create_dir_all(state.path().join("below/folder/inner")).unwrap();
        assert!(replace(&state.path().join("below/folder"), b"").is_err());
        let mut names: Vec<_> = std::fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["folder", "new.json", "secret.json"]);
        #[cfg(unix)]
        for (path, expected) in [(path.as_path(), 0o600), (path.parent().unwrap(), 0o700)] {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, expected);
        }
    }
}
