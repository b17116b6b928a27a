//! Metadata of a committed position, and an instance's heartbeat, which stands in the same place of the store: refused,
//! or read, and then what is written of it is read back as the same.
#![no_main]

use etiage::commit::{Commit, Metadata};
use etiage::heartbeat::Heartbeat;

fn read(bytes: &[u8]) {
    match Commit::decode(bytes) {
        Ok(Metadata::Whole(commit)) => {
            assert_eq!(Commit::decode(&commit.encode()), Ok(Metadata::Whole(commit.clone())));
            let _ = (commit.reach(), commit.view("v", 1));
        }
        Ok(Metadata::Spilled(commit)) => {
            assert_eq!(Commit::decode(&commit.encode_spilled()), Ok(Metadata::Spilled(commit)));
        }
        Err(_) => {}
    }
    if let Ok(heartbeat) = Heartbeat::decode(bytes) {
        assert_eq!(Heartbeat::decode(&heartbeat.encode()), Ok(heartbeat));
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    read(&[bytes, &crc32fast::hash(bytes).to_le_bytes()].concat());
});
