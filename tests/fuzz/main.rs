//! Every parser that meets the outside, fed with changed samples and noise: no panic, bounded memory, and what is accepted is what
//! was meant, by another reading of the same bytes.
//!
//! As part of `cargo test` each target runs on its kept corpus (`__fuzz__/<target>/corpus`) and on inputs from a fixed seed.
//! `make fuzz` goes on by bolero's random engine; `BOLERO_RANDOM_ITERATIONS` or `BOLERO_RANDOM_TEST_TIME_MS` say for how long.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod edges;
mod input;
mod parsers;

use std::sync::atomic::{AtomicU64, Ordering};

/// How many inputs from the fixed seed a target gets.
const FIXED: u64 = 2000;
/// What a target may hold at once: so much, and so many times the input's length. A JSON tree is what is largest.
const FLOOR: u64 = 128 * 1024;
const TIMES: u64 = 64;

/// What a target did so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    inputs: AtomicU64,
    accepted: AtomicU64,
    most: AtomicU64,
}

impl Tally {
    /// Runs one input, within its bound of memory. `run` tells whether it was accepted.
    pub(crate) fn one(&self, input: &[u8], run: impl FnOnce(&[u8]) -> bool) {
        let mut accepted = false;
        let held = allocation_counter::measure(|| accepted = run(input)).bytes_max;
        let bound = FLOOR + TIMES * input.len() as u64;
        assert!(held <= bound, "{held} bytes at once for {} of input", input.len());
        self.inputs.fetch_add(1, Ordering::Relaxed);
        self.accepted.fetch_add(u64::from(accepted), Ordering::Relaxed);
        self.most.fetch_max(held, Ordering::Relaxed);
    }

    /// Tells what was done. A target that accepts nothing tests nothing.
    pub(crate) fn tell(&self, target: &str) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (inputs, accepted) = (load(&self.inputs), load(&self.accepted));
        println!("{target}: {inputs} inputs, {accepted} accepted, {} bytes at most", load(&self.most));
        assert!(accepted > 0 && accepted < inputs, "{target}: {accepted} of {inputs} accepted");
    }
}

/// A target: its name, its samples, and what runs one input and tells whether it was accepted.
macro_rules! target {
    ($name:ident, $samples:expr, $run:expr) => {
        #[test]
        fn $name() {
            static TALLY: $crate::Tally = $crate::Tally {
                inputs: AtomicU64::new(0),
                accepted: AtomicU64::new(0),
                most: AtomicU64::new(0),
            };
            let samples: Vec<Vec<u8>> = $samples;
            let run = $run;
            for sample in &samples {
                TALLY.one(sample, &run);
            }
            let samples = std::panic::AssertUnwindSafe(&samples);
            let run = std::panic::AssertUnwindSafe(&run);
            // None beyond the corpus, unless the environment says so.
            bolero::check!().with_iterations(0).with_max_len(256).for_each(|bytes: &[u8]| {
                let (samples, run) = (&samples, &run);
                TALLY.one(&input::of(bytes, samples.0), run.0);
            });
            for bytes in input::fixed(FIXED) {
                TALLY.one(&input::of(&bytes, samples.0), run.0);
            }
            TALLY.tell(stringify!($name));
        }
    };
}

target!(envelope, edges::envelopes(), edges::envelope());
target!(page_request, edges::page_requests(), edges::page_request());
target!(presented_session, edges::presented_sessions(), edges::presented_session());
target!(pool_token, edges::pool_tokens(), edges::pool_token());
target!(action_event, parsers::action_events(), parsers::action_event);
target!(trigger_view, parsers::trigger_views(), parsers::trigger_view);
target!(signature_header, parsers::signature_headers(), parsers::signature_header());
target!(unverified_token, parsers::unverified_tokens(), parsers::unverified_token());
target!(auth_system_answer, parsers::auth_system_answers(), parsers::auth_system_answer);
target!(login_proof, parsers::login_proofs(), parsers::login_proof());
