//! Small programs in the tools' Python: for libraries that are there with the emulators.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Runs a script: JSON in, JSON out.
pub fn run(script: &str, wanted: &Value) -> Value {
    let mut process = Command::new(crate::tool("python"))
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(wanted.to_string().as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}
