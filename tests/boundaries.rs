//! The crates: which may use which, and what none may bring in.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// What is resolved for this machine, without asking any registry.
fn metadata() -> Metadata {
    let version = Command::new("rustc").arg("-vV").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    MetadataCommand::new()
        .manifest_path(tests::repository().join("Cargo.toml"))
        .other_options(["--offline", "--locked", "--filter-platform", host].map(str::to_owned))
        .exec()
        .unwrap()
}

fn ours(package: &Package, members: &BTreeSet<String>) -> BTreeSet<String> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Normal)
        .map(|dependency| dependency.name.clone())
        .filter(|name| members.contains(name))
        .collect()
}

/// The arrows point down only. Whoever adds one changes this table, and says why in the commit.
#[test]
fn arrows_point_down() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let members: BTreeSet<String> = packages.iter().map(|package| package.name.to_string()).collect();
    let arrows: BTreeMap<String, BTreeSet<String>> = packages
        .iter()
        .filter(|package| !["sandbox", "tests"].contains(&package.name.as_str()))
        .map(|package| (package.name.to_string(), ours(package, &members)))
        .collect();

    let action: &[&str] = &["backend", "domain", "events", "lambda", "settings"];
    let allowed: [(&str, &[&str]); 19] = [
        ("settings", &[]),
        ("domain", &[]),
        ("webhooks", &[]),
        ("outbound", &["domain", "settings"]),
        ("secrets", &["domain", "outbound", "settings"]),
        ("lambda", &["outbound", "secrets", "settings", "webhooks"]),
        ("events", &["domain"]),
        ("corbado", &["domain", "outbound", "secrets", "settings"]),
        ("cognito", &["domain", "outbound", "secrets", "settings"]),
        ("dynamodb", &["domain", "outbound", "settings"]),
        ("rest", &["domain", "outbound", "secrets", "settings", "webhooks"]),
        ("sqlite", &["domain", "settings"]),
        ("sqs", &["domain", "outbound", "settings"]),
        (
            "backend",
            &[
                "cognito", "corbado", "domain", "dynamodb", "outbound", "rest", "secrets", "settings",
                "sqlite", "sqs",
            ],
        ),
        ("auth-api", action),
        ("custom-auth", action),
        ("pre-login", action),
        ("post-login", action),
        ("post-append", &["backend", "domain", "events", "lambda", "settings", "webhooks"]),
    ];
    let allowed: BTreeMap<String, BTreeSet<String>> = allowed
        .into_iter()
        .map(|(name, uses)| (name.to_owned(), uses.iter().map(|it| (*it).to_owned()).collect()))
        .collect();
    assert_eq!(arrows, allowed);
}

/// A member without the opt-in is silently exempt from every lint.
#[test]
fn every_member_opts_in_to_the_lints() {
    for package in metadata().workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("\n[lints]\nworkspace = true\n"), "{}", package.name);
    }
}

/// Each of these costs a cold start dearly, or brings a system library along.
#[test]
fn nothing_brings_in_heavy_or_system_crates() {
    let banned = ["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls", "regex", "jsonschema"];
    let metadata = metadata();
    let resolved =
        metadata.resolve.as_ref().unwrap().nodes.iter().map(|node| metadata[&node.id].name.as_str());
    let found: Vec<_> = resolved.filter(|name| banned.contains(name)).collect();
    assert!(found.is_empty(), "{found:?}");
}

/// The domain knows no AWS, no HTTP, no JSON, no clock and no environment.
#[test]
fn the_domain_is_pure() {
    let metadata = metadata();
    let domain = metadata.packages.iter().find(|package| package.name == "domain").unwrap();
    let uses: BTreeSet<_> = domain
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Normal)
        .map(|dependency| dependency.name.as_str())
        .collect();
    assert_eq!(uses, BTreeSet::from(["base64", "hmac", "humantime", "secrecy", "sha2", "thiserror"]));
    for source in sources(&tests::repository().join("crates/domain/src")) {
        let text = std::fs::read_to_string(&source).unwrap();
        for word in ["SystemTime::now", "Instant::now", "std::env", "std::fs", "std::net"] {
            assert!(!text.contains(word), "{} uses {word}", source.display());
        }
    }
}

/// A `main` has no branch and no business word.
#[test]
fn mains_of_functions_are_alike() {
    let mut mains = BTreeSet::new();
    for name in sandbox::ACTIONS {
        let path = tests::repository().join("crates").join(name).join("src/main.rs");
        let text = std::fs::read_to_string(path).unwrap();
        mains.insert(text.replace(name, "NAME").replace(&name.replace('-', "_"), "NAME"));
    }
    assert_eq!(mains.len(), 1, "{mains:?}");
}

fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}
