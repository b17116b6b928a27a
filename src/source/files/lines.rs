//! A file's lines as records, read once from the front, with a running checksum of what has been read.
//!
//! A line ends with `\n` or `\r\n`; the last one needs no end, and an empty rest after the last end is no line.
//! The checksum is over the lines' contents, each followed by one `\n`: so a last line that gets its end later is
//! still the same line, and one that grows is not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use crate::reading::{Offset, RawBatch};
use crate::store::Whole;

const BUFFER: usize = 64 << 10;
const BOM: &[u8] = b"\xef\xbb\xbf";

pub struct Lines {
    reader: BufReader<File>,
    crc: crc32fast::Hasher,
    /// A longer line is cut to this, bytes.
    longest: usize,
}

impl Lines {
    /// At the first record: a CSV file's header has been read (and is in the checksum).
    pub fn open(path: &Path, has_header: bool, longest: usize) -> io::Result<Lines> {
        let mut lines = Lines { reader: after_bom(path)?, crc: crc32fast::Hasher::new(), longest };
        if has_header {
            lines.next(&mut Vec::new())?;
        }
        Ok(lines)
    }

    /// Appends the next line, without its end; `None` at the end of the file.
    pub fn next(&mut self, into: &mut Vec<u8>) -> io::Result<Option<Range<usize>>> {
        let start = into.len();
        // Two more than the longest: the line's end, of which one or two bytes are not the line's own.
        let bound = self.longest as u64 + 2;
        let count = self.reader.by_ref().take(bound).read_until(b'\n', into)?;
        if count == 0 {
            return Ok(None);
        }
        let ended = into.last() == Some(&b'\n');
        if ended || count < bound as usize {
            into.truncate(start + content(&into[start..]).len());
            self.crc.update(&into[start..]);
        } else {
            self.crc.update(&into[start..]);
            self.skip_rest()?;
        }
        self.crc.update(b"\n");
        into.truncate(into.len().min(start + self.longest));
        Ok(Some(start..into.len()))
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        let mut piece = Vec::new();
        loop {
            piece.clear();
            let count = self.reader.by_ref().take(BUFFER as u64).read_until(b'\n', &mut piece)?;
            let ended = piece.last() == Some(&b'\n');
            // Within a line that is too long anyway, a carriage return at its end counts as content.
            self.crc.update(piece.strip_suffix(b"\n").unwrap_or(&piece));
            if ended || count == 0 {
                return Ok(());
            }
        }
    }

    /// Tells one beginning of a file from another: 31 bits, so that it fits where Kafka has a leader epoch.
    pub fn mark(&self) -> i32 {
        (self.crc.clone().finalize() & 0x7fff_ffff) as i32
    }
}

fn after_bom(path: &Path) -> io::Result<BufReader<File>> {
    let mut reader = BufReader::with_capacity(BUFFER, File::open(path)?);
    if reader.fill_buf()?.starts_with(BOM) {
        reader.consume(BOM.len());
    }
    Ok(reader)
}

/// A line without its end.
fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// How many records a file holds now.
pub fn count(path: &Path, has_header: bool) -> io::Result<i64> {
    let mut reader = after_bom(path)?;
    let (mut ends, mut last) = (0, b'\n');
    loop {
        let piece = reader.fill_buf()?;
        let Some(byte) = piece.last() else { break };
        (ends, last) = (ends + piece.iter().filter(|byte| **byte == b'\n').count() as i64, *byte);
        let length = piece.len();
        reader.consume(length);
    }
    let lines = ends + i64::from(last != b'\n');
    Ok((lines - i64::from(has_header)).max(0))
}

/// What a file holds now, each line as a run reads it.
pub fn whole(path: &Path, has_header: bool, longest: usize) -> io::Result<Whole> {
    let (mut file, mut line, mut lines) = (Lines::open(path, has_header, longest)?, Vec::new(), Offset(0));
    while file.next(&mut line)?.is_some() {
        line.clear();
        lines = lines.after();
    }
    Ok(Whole { lines, mark: file.mark() })
}

/// The first records of a file.
pub fn first_records(path: &Path, has_header: bool, longest: usize, count: usize) -> io::Result<RawBatch> {
    let mut lines = Lines::open(path, has_header, longest)?;
    let (mut batch, mut line) = (RawBatch { leader_epoch: -1, ..RawBatch::default() }, Vec::new());
    for offset in 0..count as i64 {
        line.clear();
        if lines.next(&mut line)?.is_none() {
            break;
        }
        batch.push(Offset(offset), None, None, Some(&line));
    }
    Ok(batch)
}

/// The first line of a CSV file, without its end.
pub fn csv_header(path: &Path) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    Lines::open(path, false, 1 << 20)?.next(&mut header)?;
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    fn read(text: &[u8], has_header: bool, longest: usize) -> (Vec<String>, Vec<i32>) {
        let file = file(text);
        let mut lines = Lines::open(file.path(), has_header, longest).expect("opened");
        let (mut all, mut marks, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(range) = lines.next(&mut bytes).expect("read") {
            all.push(String::from_utf8_lossy(&bytes[range]).into_owned());
            marks.push(lines.mark());
        }
        assert_eq!(count(file.path(), has_header).expect("counted"), all.len() as i64);
        let Whole { lines, mark } = whole(file.path(), has_header, longest).expect("measured");
        assert_eq!(lines, Offset(all.len() as i64));
        assert!(marks.last().is_none_or(|last| *last == mark));
        (all, marks)
    }

    #[test]
    fn lines_are_the_same_with_either_end() {
        for text in ["a\n\nbc\n", "a\r\n\r\nbc\r\n", "a\n\nbc", "\u{feff}a\n\nbc\n"] {
            assert_eq!(read(text.as_bytes(), false, 100).0, ["a", "", "bc"], "{text:?}");
        }
        for empty in ["", "\u{feff}"] {
            assert_eq!(read(empty.as_bytes(), false, 100).0, Vec::<String>::new());
        }
        assert_eq!(read(b"\n", false, 100).0, [""]);
    }

    #[test]
    fn a_header_is_no_record() {
        assert_eq!(read(b"id;t\n1;2\n3;4", true, 100).0, ["1;2", "3;4"]);
        assert_eq!(read(b"id;t\n", true, 100).0, Vec::<String>::new());
        assert_eq!(read(b"", true, 100).0, Vec::<String>::new());
        assert_eq!(csv_header(file(b"id;t\r\n1;2\n").path()).expect("read"), b"id;t");
    }

    #[test]
    fn the_first_records_are_those_of_a_run() {
        let file = file(b"id;t\n1;2\n3;4\n5;6\n");
        let batch = first_records(file.path(), true, 100, 2).expect("read");
        let texts: Vec<_> = batch.records.iter().map(|record| (record.offset.0, batch.payload(record))).collect();
        assert_eq!(texts, [(0, Some(&b"1;2"[..])), (1, Some(&b"3;4"[..]))]);
        assert_eq!(first_records(file.path(), true, 100, 9).expect("read").records.len(), 3);
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_is_whole() {
        let text = format!("{}\nshort\n{}", "x".repeat(200_000), "y".repeat(11));
        let (lines, _) = read(text.as_bytes(), false, 10);
        assert_eq!(lines, ["x".repeat(10), "short".into(), "y".repeat(10)]);
        assert_eq!(read(b"0123456789\n0123456789\r\n0123456789", false, 10).0, ["0123456789"; 3]);
    }

    #[test]
    fn the_mark_depends_on_every_byte_before_it_and_on_none_after() {
        let marks = |text: &[u8]| read(text, false, 4).1;
        let whole = marks(b"one\ntwo\nthree is long\nfour");
        assert_eq!(marks(b"one\ntwo\n")[..], whole[..2]);
        assert_eq!(marks(b"one\ntwo")[1], whole[1], "the end of the last line may come later");
        assert_ne!(marks(b"one\ntwofold\n")[1], whole[1], "a line that has grown is another");
        assert_ne!(marks(b"onet\nwo\n")[1], whole[1]);
        assert_ne!(marks(b"one\ntwo\nthree is lung\nfour")[2], whole[2], "beyond the cut too");
        assert_ne!(read(b"h\n1\n", true, 4).1[0], read(b"g\n1\n", true, 4).1[0], "the header too");
        assert!(whole.iter().all(|mark| *mark >= 0));
    }
}
