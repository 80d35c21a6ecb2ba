//! Measures the functions as Lambda runs them: `time`, `instructions` and `capacity`.
//!
//! # Layout
//! - `host`: the Lambda Runtime API for one process, and the clock.
//! - `stand_in`: Cognito, DynamoDB, Secrets Manager and Corbado, over TLS.
//! - `programs`, `events`: what is run, and what it is asked.
//! - `timing`, `size`, `instructions`: the measurements.
//! - `capacity`, `simulate`: where the functions saturate.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout
)]

mod capacity;
mod events;
mod host;
mod http;
mod instructions;
mod programs;
mod simulate;
mod size;
mod stand_in;
mod timing;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::programs::{Places, Program};
use crate::stand_in::{Limits, StandIn};

const USAGE: &str = "usage: harness time|instructions|capacity [name=value …]
  functions=DIR foreign=DIR node=DIR   where the programs are
  only=NAME                            rows of this function
  time:         variants=DIR,DIR       the functions built in another way, beside the others; without foreign=DIR, these alone
                cold=20 warm=3 invocations=1000 out=FILE
  instructions: baseline=FILE update=1
  capacity:     times=FILE             what `time` wrote";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let options: HashMap<String, String> = arguments
        .filter_map(|argument| {
            argument.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        })
        .collect();
    let path = |name: &str| PathBuf::from(options.get(name).map_or("", String::as_str));
    let number = |name: &str, default| options.get(name).and_then(|it| it.parse().ok()).unwrap_or(default);
    let places = Places { functions: path("functions"), foreign: path("foreign"), node: path("node") };
    let scratch = tempfile::tempdir().unwrap();
    let scratch = options.get("scratch").map_or_else(|| scratch.path().to_owned(), PathBuf::from);

    let stand_in = StandIn::start(Limits::default()).await.unwrap();
    let mut ours = programs::ours(&places, &stand_in, &scratch).unwrap();
    for folder in options.get("variants").iter().flat_map(|folders| folders.split(',')).map(PathBuf::from) {
        let name = folder.file_name().unwrap_or_default().display().to_string();
        let places = Places { functions: folder, ..places.clone() };
        let variant = programs::ours(&places, &stand_in, &scratch).unwrap();
        ours.extend(variant.into_iter().map(|row| Program { name: format!("{} ({name})", row.name), ..row }));
    }
    if let Some(only) = options.get("only") {
        ours.retain(|program| program.command[0].ends_with(&format!("/{only}/bootstrap")));
    }
    match command.as_str() {
        "time" => {
            if options.contains_key("foreign") {
                ours.extend(programs::others(&places, &stand_in, &scratch).unwrap());
            }
            let rounds = timing::Rounds {
                cold: number("cold", 20),
                warm: number("warm", 3),
                invocations: number("invocations", 1000),
            };
            timing::run(&ours, &rounds, &scratch, &path("out")).await;
            ExitCode::SUCCESS
        }
        "instructions" => {
            instructions::run(&ours, &scratch, &path("baseline"), options.contains_key("update")).await
        }
        "capacity" => {
            capacity::run(&places, &scratch, &path("times")).await;
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
    }
}
