//! Counts instructions by callgrind, which repeats where times do not, and holds them against the committed counts.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::host::{Process, is_good};
use crate::programs::{Program, ROOTS};

/// How much more than the committed count is still the same.
const TOLERANCE: f64 = 1.05;
/// How many invocations the warm count is taken over.
const WARM: u64 = 100;

/// The counts of one function, in instructions.
struct Counts {
    init: u64,
    init_and_first: u64,
    warm: u64,
}

impl Counts {
    fn named(&self) -> [(&'static str, u64); 3] {
        [("init", self.init), ("init_and_first", self.init_and_first), ("warm", self.warm)]
    }
}

/// Counts `programs`, prints the table, and compares with the file, or writes it.
pub(crate) async fn run(programs: &[Program], scratch: &Path, baseline: &Path, update: bool) -> ExitCode {
    let committed: BTreeMap<String, Value> = match std::fs::read_to_string(baseline) {
        Ok(text) => serde_json::from_str(&text).unwrap(),
        Err(_) => BTreeMap::new(),
    };
    let mut all = committed.clone();
    let mut risen = false;
    println!(
        "{:<36} {:>12} {:>16} {:>12}   (thousand instructions; in brackets: against the committed count)",
        "", "init", "init and first", "warm"
    );
    for program in programs {
        let counts = count(program, scratch).await;
        let known = committed.get(&program.name);
        let mut cells = String::new();
        for (name, count) in counts.named() {
            let before = known.and_then(|known| known[name].as_u64());
            let change = before.map_or_else(
                || "new".to_owned(),
                |before| format!("{:+.1} %", (ratio(count, before) - 1.0) * 100.0),
            );
            risen |= before.is_none_or(|before| ratio(count, before) > TOLERANCE);
            cells.push_str(&format!(" {:>7} ({change})", count / 1000));
        }
        println!("{:<36}{cells}", program.name);
        let named: serde_json::Map<_, _> =
            counts.named().into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect();
        all.insert(program.name.clone(), named.into());
    }
    if update {
        std::fs::write(baseline, serde_json::to_string_pretty(&all).unwrap() + "\n").unwrap();
        println!("{} is written", baseline.display());
    } else if risen {
        println!(
            "A count has risen by more than 5 %, or is new. Bring it down, or commit what `make bench-instructions UPDATE=1` \
             writes and say why."
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn ratio(count: u64, before: u64) -> f64 {
    count as f64 / before as f64
}

/// The product embeds the roots that it trusts, and only here has to read the stand-in's from a file, each of them twice. What that
/// costs more at the start is taken off: both counts are of what is deployed.
async fn count(program: &Program, scratch: &Path) -> Counts {
    let deployed = Program {
        environment: program.environment.iter().filter(|(name, _)| *name != ROOTS).cloned().collect(),
        ..program.clone()
    };
    let init = run_counted(&deployed, scratch, 0).await;
    let with_file = run_counted(program, scratch, 0).await;
    let first = run_counted(program, scratch, 1).await;
    let many = run_counted(program, scratch, 1 + WARM).await;
    Counts {
        init,
        init_and_first: init + first.saturating_sub(with_file),
        warm: many.saturating_sub(first) / WARM,
    }
}

/// How often a run may fail: callgrind is fifty times slower than the processor, and some time limits are short.
const ATTEMPTS: u32 = 5;

async fn run_counted(program: &Program, scratch: &Path, invocations: u64) -> u64 {
    for _ in 0..ATTEMPTS {
        if let Some(count) = attempt(program, scratch, invocations).await {
            return count;
        }
    }
    panic!("{}: fails under callgrind", program.name)
}

/// Runs one process under callgrind, ends it after some invocations, and reads the count; none where one was not answered well.
async fn attempt(program: &Program, scratch: &Path, invocations: u64) -> Option<u64> {
    let out = scratch.join(format!("callgrind.{}.{invocations}", program.name.replace(' ', "-")));
    let under = [
        "valgrind".to_owned(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", out.display()),
    ];
    let mut process = Process::start(program, &under, &scratch.join("log")).await.unwrap();
    process.initialised().await;
    let mut good = true;
    for _ in 0..invocations {
        let (_, answer) = process.outcome(program.event.payload()).await;
        process.idle().await;
        good &= answer.is_some_and(|answer| is_good(&answer));
    }
    process.terminate().await;
    let text = std::fs::read_to_string(&out).unwrap();
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    total.and_then(|total| total.trim().parse().ok()).filter(|_| good)
}
