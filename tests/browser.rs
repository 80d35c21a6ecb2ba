//! The demo application in a real browser, with Corbado's own web components: see `tests/browser/`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use tests::emulator::PASSWORD;
use tests::laptop::OfPool;

/// One at a time: browsers are heavy, and waits are meant for a machine that has the time.
static TURN: Mutex<()> = Mutex::new(());

/// A Chromium by any of its names, or the one that `CHROMIUM` names.
fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

fn run(suite: &str) {
    run_with(suite, &[]);
}

fn run_with(suite: &str, environment: &[(&str, String)]) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(chromium) = chromium() else {
        assert!(std::env::var_os("CI").is_none(), "no browser: CI must have one");
        let loud = format!(
            "\n*** NO BROWSER: the {suite} were not tried. Install chromium, or set CHROMIUM. ***\n\n"
        );
        // The macros' output is kept back when a test passes.
        std::io::stderr().write_all(loud.as_bytes()).unwrap();
        return;
    };
    let target = tests::repository().join("target");
    for needed in ["web/connect.js", "browser/node_modules/playwright-core", "browser/node_modules/axe-core"]
    {
        assert!(target.join(needed).exists(), "{needed} is missing: run the tests by `make test`");
    }
    let output = Command::new("node")
        .args(["--test", "--test-timeout=180000", "--test-reporter=spec"])
        .arg(tests::repository().join(format!("tests/browser/{suite}.test.mjs")))
        .env("BROWSER_TOOLS", target.join("browser"))
        .env("BUNDLE", target.join("web"))
        .env("CHROMIUM", chromium)
        .env("SANDBOX", tests::binaries().join("sandbox"))
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}\n{}", String::from_utf8_lossy(&output.stderr));
    let passed = shown
        .lines()
        .find_map(|line| line.trim_start_matches(|c: char| !c.is_ascii()).trim().strip_prefix("pass "));
    assert!(passed.is_some_and(|passed| passed != "0"), "nothing was tried: {shown}");
}

#[test]
fn journeys() {
    run("journeys");
}

#[test]
fn options() {
    run("options");
}

#[test]
fn pages() {
    run("pages");
}

/// The users are those of a pool on an emulator.
#[tokio::test(flavor = "multi_thread")]
async fn pool() {
    let world = OfPool::start(Some(tests::repository().join("target/web"))).await;
    let environment = [
        ("SANDBOX_URL", world.laptop.url()),
        ("USER_POOL_ID", world.pool.clone()),
        ("PASSWORD", PASSWORD.to_owned()),
    ];
    tokio::task::spawn_blocking(move || run_with("pool", &environment)).await.unwrap();
}
