//! Faults: the real binaries, with an authentication system and a Corbado that fail by a seeded plan, a store that is locked now
//! and then, and processes that are killed in the middle. `make chaos` prints the figures.
//!
//! What must be nil is asserted: flags and sessions lost after a 200, sessions without Corbado's `success`, tokens that Corbado was
//! asked about twice, invocations past their deadline, processes that stayed broken; of updates that are made later, those that
//! overwrite something newer, that nobody asked for, that stay in a queue. A caller who hears of a failure tries again, as
//! Corbado's pages, and Cognito, do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod full;
mod later;
mod plan;
mod queue;
mod standins;
mod storm;

use std::time::{Duration, Instant};

use plan::Plan;
use storm::{Counts, Storm};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Seeds that found something once; each stays a test.
const KEPT: [u64; 2] = [1, 4];

#[tokio::test(flavor = "multi_thread")]
async fn faults_cost_time_and_nothing_else() {
    let counts = Counts {
        appends: number("CHAOS_APPENDS", 150),
        logins: number("CHAOS_LOGINS", 150),
        challenges: number("CHAOS_CHALLENGES", 20),
    };
    let seeds = match std::env::var("CHAOS_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => KEPT.to_vec(),
    };
    for seed in seeds {
        let started = Instant::now();
        let storm = Storm::start(Plan(seed)).await;
        println!("seed {seed}, plan {:016x}, {counts:?}", Plan(seed).digest());
        let report = storm.run(counts).await;
        println!("{report}\ntime: {:.0?}", Duration::from_secs(started.elapsed().as_secs()));
        assert_eq!(report.violations(), 0, "seed {seed}");
        assert!(report.is_about_something(), "seed {seed}: nothing was deferred");
    }
}
