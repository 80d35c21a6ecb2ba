//! What is measured.

use std::io;
use std::path::{Path, PathBuf};

use crate::events::{Action, Event, ORIGIN, PROJECT, SIGNING_SECRET};
use crate::stand_in::StandIn;

/// The setting that replaces the roots to trust.
pub(crate) const ROOTS: &str = "TLS_ROOTS_FILE";

/// A program that is a function, and what it is asked.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) event: Event,
    /// What is zipped to deploy it.
    pub(crate) files: Vec<PathBuf>,
}

/// Where the programs are.
#[derive(Clone)]
pub(crate) struct Places {
    /// The functions of the product, as they are deployed: `<name>/bootstrap`.
    pub(crate) functions: PathBuf,
    /// `hello` and `default-features`.
    pub(crate) foreign: PathBuf,
    /// The handlers in JavaScript, their packages, and below `bundled` the bundles.
    pub(crate) node: PathBuf,
}

/// The roots that the product embeds.
const AMAZON: &str = include_str!("../../../../crates/outbound/roots/amazon.pem");
const PUBLIC: &str = include_str!("../../../../crates/outbound/roots/public.pem");

/// One row of ours: the name of the row, the binary, the event.
pub(crate) const OURS: [(&str, &str, Event); 6] = [
    ("post-append", "post-append", Event::Direct(Action::PostAppend)),
    ("post-append, signed", "post-append", Event::Signed(Action::PostAppend)),
    ("pre-login", "pre-login", Event::Signed(Action::PreLogin)),
    ("post-login", "post-login", Event::Signed(Action::PostLogin)),
    ("auth-api", "auth-api", Event::Verify),
    ("custom-auth", "custom-auth", Event::Challenge),
];
/// post-append with its signing secret in Secrets Manager.
pub(crate) const BY_ARN: &str = "post-append, signed, secret by ARN";

/// The rows of the product.
pub(crate) fn ours(places: &Places, stand_in: &StandIn, scratch: &Path) -> io::Result<Vec<Program>> {
    let (aws, public) = (scratch.join("aws.pem"), scratch.join("public.pem"));
    stand_in.write_roots(&aws, &[AMAZON])?;
    stand_in.write_roots(&public, &[AMAZON, PUBLIC])?;
    let row = |name: &str, binary: &str, event| {
        let roots = if ["pre-login", "post-append"].contains(&binary) { &aws } else { &public };
        let binary = places.functions.join(binary).join("bootstrap");
        let mut environment = aws_settings(stand_in);
        environment.extend([
            (ROOTS, roots.display().to_string()),
            ("AUTH_SYSTEM", "cognito".into()),
            // Callgrind is slow.
            ("UPSTREAM_TIMEOUT_MS", "30000".into()),
            ("METRICS_NAMESPACE", "CorbadoConnect".into()),
            ("SESSION_STORE", "dynamodb".into()),
            ("REPLAY_STORE", "dynamodb".into()),
            ("DYNAMODB_TABLE", "sessions".into()),
            ("USER_POOL_CLIENT_ID", "1example23456789".into()),
            ("CORBADO_PROJECT_ID", PROJECT.into()),
            ("CORBADO_API_SECRET", "corbado1_bench".into()),
            ("CORBADO_BACKEND_API_URL", format!("{}/v2", stand_in.url)),
            ("ALLOWED_ORIGINS", ORIGIN.into()),
        ]);
        if name == BY_ARN {
            let arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:signing-AbCdEf";
            environment.push(("ACTION_SIGNING_SECRET_ARN", arn.into()));
        } else {
            environment.push(("ACTION_SIGNING_SECRETS", SIGNING_SECRET.into()));
        }
        let command = vec![binary.display().to_string()];
        Program { name: name.to_owned(), command, environment, event, files: vec![binary] }
    };
    let mut rows: Vec<_> = OURS.into_iter().map(|(name, binary, event)| row(name, binary, event)).collect();
    rows.insert(2, row(BY_ARN, "post-append", Event::Signed(Action::PostAppend)));
    Ok(rows)
}

/// The rows that the product is compared with.
pub(crate) fn others(places: &Places, stand_in: &StandIn, scratch: &Path) -> io::Result<Vec<Program>> {
    let root = scratch.join("root.pem");
    stand_in.write_roots(&root, &[])?;
    let trust = |mut environment: Vec<(&'static str, String)>, name| {
        environment.push((name, root.display().to_string()));
        environment
    };
    let post_append = Event::Direct(Action::PostAppend);
    let node = |name: &str, handler: PathBuf, event, files| Program {
        name: name.to_owned(),
        command: vec![
            "node".into(),
            places.node.join("runtime.mjs").display().to_string(),
            handler.display().to_string(),
        ],
        environment: trust(aws_settings(stand_in), "NODE_EXTRA_CA_CERTS"),
        event,
        files,
    };
    let bundle = |name: &str| places.node.join("bundled").join(format!("{name}.mjs"));
    let rust = |name: &str, binary: &str| {
        let binary = places.foreign.join(binary);
        let mut environment = trust(aws_settings(stand_in), "SSL_CERT_FILE");
        // Its own settings would be read from files, which are not there.
        environment.push(("AWS_EC2_METADATA_DISABLED", "true".into()));
        Program {
            name: name.to_owned(),
            command: vec![binary.display().to_string()],
            environment,
            event: post_append,
            files: vec![binary],
        }
    };
    let unbundled = places.node.join("post-append.mjs");
    Ok(vec![
        node(
            "Node: post-append",
            unbundled.clone(),
            post_append,
            vec![unbundled, places.node.join("production/node_modules")],
        ),
        node("Node, bundled: post-append", bundle("post-append"), post_append, vec![bundle("post-append")]),
        node(
            "Node, bundled: pre-login",
            bundle("pre-login"),
            Event::Direct(Action::PreLogin),
            vec![bundle("pre-login")],
        ),
        rust("Rust, default features: post-append", "default-features"),
        rust("Rust, hello world", "hello"),
    ])
}

/// What Lambda sets, and where the stand-in is.
fn aws_settings(stand_in: &StandIn) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_REGION", "eu-central-1".into()),
        ("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE".into()),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()),
        // As long as real ones are.
        ("AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2VjEXAMPLE".repeat(40)),
        ("AWS_ENDPOINT_URL", stand_in.url.clone()),
        ("USER_POOL_ID", "eu-central-1_bench".into()),
    ]
}
