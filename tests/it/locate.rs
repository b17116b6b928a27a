//! `etiage locate --csv` against GEOS: anywhere, close to borders and on their corners.

use std::fs::File;
use std::process::Command;

use crate::support::{python, scratch, succeed};

#[test]
fn located_points_are_where_geos_says() {
    let directory = scratch("locate");
    let (asked, answered) = (directory.join("points.csv"), directory.join("answers.csv"));
    std::fs::write(&asked, succeed(&mut python("locate.py", &["points", "30000", "1"])))
        .expect("points can be written");

    let output = Command::new(env!("CARGO_BIN_EXE_etiage"))
        .args(["locate", "--csv"])
        .stdin(File::open(&asked).expect("points were written"))
        .stdout(File::create(&answered).expect("answers can be written"))
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "etiage locate failed: {}", String::from_utf8_lossy(&output.stderr));

    let paths = [&asked, &answered].map(|path| path.to_str().expect("a path of ours is UTF-8"));
    succeed(&mut python("locate.py", &["check", paths[0], paths[1]]));
}
