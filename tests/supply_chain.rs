//! What comes in with the functions as they are deployed: how many crates, and what their build scripts may do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::process::Command;

use cargo_metadata::{MetadataCommand, TargetKind};

/// How many crates each function may have, ours and itself included. Whoever raises one says why in the commit.
const BUDGET: [(&str, usize); 5] =
    [("pre-login", 170), ("post-login", 170), ("post-append", 170), ("auth-api", 174), ("custom-auth", 170)];

/// The crates of a function as it is deployed: name and version. `edges` says which, in the words of `cargo tree`.
fn crates(function: &str, edges: &str) -> BTreeSet<String> {
    let output = Command::new("cargo")
        .current_dir(tests::repository())
        .args([
            "tree",
            "--offline",
            "--locked",
            "--no-default-features",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .args(["--target", "x86_64-unknown-linux-musl", "-e", edges, "-p", function])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let name_and_version = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    lines.lines().filter(|line| !line.is_empty()).map(name_and_version).collect()
}

#[test]
fn functions_stay_within_their_budget_of_crates() {
    for (function, budget) in BUDGET {
        let count = crates(function, "normal").len();
        println!("{function}: {count} of {budget} crates");
        assert!(count <= budget, "{function} has {count} crates, and may have {budget}");
        // A budget that is far too large is none.
        assert!(count + 10 >= budget, "{function} has {count} crates: lower its budget of {budget}");
    }
}

/// No build script that runs for a function speaks to the network.
#[test]
fn build_scripts_stay_on_this_machine() {
    let used: BTreeSet<_> =
        BUDGET.iter().flat_map(|(function, _)| crates(function, "normal,build")).collect();
    let version = Command::new("rustc").arg("-vV").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let metadata = MetadataCommand::new()
        .manifest_path(tests::repository().join("Cargo.toml"))
        .other_options(["--offline", "--locked", "--filter-platform", host].map(str::to_owned))
        .exec()
        .unwrap();
    let mut scripts = 0;
    for package in &metadata.packages {
        let name = format!("{} v{}", package.name, package.version);
        let script = package.targets.iter().find(|target| target.kind.contains(&TargetKind::CustomBuild));
        let Some(script) = script.filter(|_| used.contains(&name)) else { continue };
        scripts += 1;
        let text = std::fs::read_to_string(&script.src_path).unwrap();
        let words =
            ["TcpStream", "UdpSocket", "std::net", "ureq", "reqwest", "hyper", "curl", "wget", "git clone"];
        for word in words {
            assert!(!text.contains(word), "{name}: its build script has {word}");
        }
    }
    assert!(scripts > 5, "{scripts}");
}
