//! What the README must name: every setting, every route of pages, every make target that it tells to run.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sandbox::FUNCTIONS;

/// Words in the same letters that are Cognito's, or set by Lambda alone.
const NO_SETTINGS: [&str; 14] = [
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_RUNTIME_API",
    "CUSTOM_CHALLENGE",
    "DEVICE_SRP_AUTH",
    "EMAIL_OTP",
    "NEW_PASSWORD_REQUIRED",
    "NEW_STATUS",
    "PASSWORD_VERIFIER",
    "SECRET_HASH",
    "SMS_MFA",
    "SOFTWARE_TOKEN_MFA",
    "SRP_A",
];

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(tests::repository().join(path)).unwrap()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

/// The string literals in what is deployed that `wanted` takes.
fn literals(wanted: fn(&str) -> bool) -> BTreeSet<String> {
    let adapters =
        ["backend", "cognito", "corbado", "dynamodb", "outbound", "rest", "secrets", "sqlite", "sqs"];
    let crates = FUNCTIONS.into_iter().chain(adapters).chain(["lambda", "settings", "webhooks"]);
    let mut files = Vec::new();
    for name in crates {
        sources(&tests::repository().join("crates").join(name).join("src"), &mut files);
    }
    let texts: Vec<_> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let literals = texts.iter().flat_map(|text| text.split('"'));
    literals.filter(|literal| wanted(literal)).map(ToOwned::to_owned).collect()
}

#[test]
fn the_readme_names_every_setting() {
    let is_name = |text: &str| {
        text.contains('_')
            && text.starts_with(|first: char| first.is_ascii_uppercase())
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let names = literals(is_name);
    assert!(names.len() > 50, "{names:?}");
    let readme = read("README.md");
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !NO_SETTINGS.contains(&name.as_str()) && !readme.contains(*name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let stale: Vec<_> = NO_SETTINGS.iter().filter(|name| !names.contains(**name)).collect();
    assert!(stale.is_empty(), "no longer in the code: {stale:?}");
}

#[test]
fn the_readme_names_every_route() {
    let source = read("crates/auth-api/src/routes.rs");
    let routes: Vec<_> =
        source.split(".route(\"").skip(1).filter_map(|text| text.split('"').next()).collect();
    assert!(routes.len() >= 6, "{routes:?}");
    let readme = read("README.md");
    for route in routes {
        assert!(readme.contains(route), "{route}");
    }
}

#[test]
fn what_the_documents_tell_to_make_can_be_made() {
    let makefile = read("Makefile");
    let targets: BTreeSet<_> = makefile.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    let mut told = 0;
    for document in
        ["README.md", "tests/README.md", "tests/bench/README.md", "infra/README.md", "events/README.md"]
    {
        for words in
            read(document).split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("make "))
        {
            for word in words.split_whitespace().take_while(|word| !word.contains('=')) {
                assert!(targets.contains(word), "{document}: make {word}");
                told += 1;
            }
        }
    }
    assert!(told > 10, "{told}");
}
