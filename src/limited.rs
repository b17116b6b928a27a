//! A file as a whole, up to a limit: whatever a path turns out to be (a device, a pipe, a file of the wrong kind),
//! reading it ends, and takes no more memory than was meant.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// At most `limit` bytes; of a larger file an error that says so.
pub fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("larger than the {} that are read", size(limit))));
    }
    Ok(bytes)
}

/// The same of a file that must be UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String> {
    let text = String::from_utf8(read_bytes(path, limit)?);
    text.map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::new(ErrorKind::InvalidData, format!("not UTF-8: the byte at {at} is no part of a character"))
    })
}

fn size(bytes: u64) -> String {
    if bytes < 1 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_or_no_text_is_refused_with_a_word() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        std::fs::write(&path, vec![b'a'; 4096]).expect("write");
        assert_eq!(read_text(&path, 4096).expect("just fits").len(), 4096);
        let error = read_text(&path, 4095).expect_err("too large").to_string();
        assert_eq!(error, "larger than the 3 KiB that are read");
        std::fs::write(&path, b"na\xefve").expect("write");
        let error = read_text(&path, 4096).expect_err("no text").to_string();
        assert_eq!(error, "not UTF-8: the byte at 2 is no part of a character");
    }

    #[test]
    fn a_device_without_an_end_is_read_to_the_limit() {
        let error = read_bytes(Path::new("/dev/zero"), 1 << 20).expect_err("it has no end");
        assert_eq!(error.to_string(), "larger than the 1 MiB that are read");
    }
}
