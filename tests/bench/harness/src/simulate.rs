//! A queueing simulation: calls arrive whenever they like, Lambda starts instances for them, and Cognito lets so many through.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What is simulated. Times are seconds.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// Arrivals a second, for how long.
    pub(crate) rate: f64,
    pub(crate) duration: f64,
    /// The function's own time: of a warm call, and what a cold start adds.
    pub(crate) warm: f64,
    pub(crate) cold: f64,
    /// How many instances there may be; who finds none free is refused.
    pub(crate) concurrency: usize,
    /// The calls of an invocation, one after the other.
    pub(crate) calls: Vec<Call>,
}

/// A call of the provider.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// Answers that take this long, whether they say yes or no.
    pub(crate) latency: f64,
    /// So many a second, and a bucket of one second's.
    pub(crate) quota: f64,
    /// Which quota: calls of one share it.
    pub(crate) bucket: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) arrived: usize,
    pub(crate) succeeded: usize,
    /// The provider still said no at the last attempt.
    pub(crate) failed: usize,
    /// There was no instance.
    pub(crate) refused: usize,
    /// Calls that the provider refused.
    pub(crate) throttled: usize,
    pub(crate) instances: usize,
    /// Of those that succeeded.
    pub(crate) latencies: Vec<f64>,
}

impl Outcome {
    pub(crate) fn latency(&self, quantile: f64) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_by(f64::total_cmp);
        let index = (quantile * (sorted.len().max(1) - 1) as f64).round() as usize;
        sorted.get(index).copied().unwrap_or(f64::NAN)
    }
}

/// The product's settings of the SDK: `crates/outbound/src/aws.rs`.
const ATTEMPTS: u32 = 3;
const INITIAL_BACKOFF: f64 = 0.2;
const MAX_BACKOFF: f64 = 1.0;
/// The SDK's own: what an instance may spend on repetitions, what one costs, and what a success without one pays back.
const RETRY_BUDGET: f64 = 500.0;
const RETRY_COST: f64 = 5.0;
const RETRY_REFUND: f64 = 1.0;

/// An invocation on its way.
struct Job {
    arrived: f64,
    instance: usize,
    call: usize,
    attempt: u32,
}

/// A time, to sort by.
#[derive(PartialEq)]
struct At(f64);

impl Eq for At {}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Runs a scenario; the same seed gives the same outcome.
pub(crate) fn run(scenario: &Scenario, seed: u64) -> Outcome {
    let mut random = Random(seed);
    let mut outcome = Outcome::default();
    let mut jobs: Vec<Job> = Vec::new();
    // What happens when: a job's call reaches the provider, or its answer has come back for good (`None`: success).
    let mut agenda: BinaryHeap<Reverse<(At, usize, usize)>> = BinaryHeap::new();
    let mut idle: Vec<usize> = Vec::new();
    let mut budgets: Vec<f64> = Vec::new();
    let mut buckets: Vec<(f64, f64)> = scenario.calls.iter().map(|call| (call.quota, 0.0)).collect();
    let mut next_arrival = random.exponential(scenario.rate);
    const REACHES: usize = 0;
    const ENDS: usize = 1;
    loop {
        let arrives = next_arrival < scenario.duration
            && agenda.peek().is_none_or(|Reverse((At(at), ..))| next_arrival <= *at);
        if arrives {
            let now = next_arrival;
            next_arrival = now + random.exponential(scenario.rate);
            outcome.arrived += 1;
            let (instance, start) = match idle.pop() {
                Some(instance) => (instance, 0.0),
                None if budgets.len() < scenario.concurrency => {
                    budgets.push(RETRY_BUDGET);
                    (budgets.len() - 1, scenario.cold)
                }
                None => {
                    outcome.refused += 1;
                    continue;
                }
            };
            jobs.push(Job { arrived: now, instance, call: 0, attempt: 1 });
            agenda.push(Reverse((At(now + start + scenario.warm), jobs.len() - 1, REACHES)));
            continue;
        }
        let Some(Reverse((At(now), index, what))) = agenda.pop() else { break };
        let job = &mut jobs[index];
        if what == ENDS {
            idle.push(job.instance);
            continue;
        }
        let call = scenario.calls[job.call];
        let answered = now + call.latency;
        // The stand-in decides when it answers, so does Cognito as far as anybody knows.
        let (tokens, filled) = &mut buckets[call.bucket];
        *tokens = (*tokens + (answered - *filled).max(0.0) * call.quota).min(call.quota);
        *filled = filled.max(answered);
        if *tokens >= 1.0 {
            *tokens -= 1.0;
            let budget = &mut budgets[job.instance];
            *budget = (*budget + if job.attempt == 1 { RETRY_REFUND } else { RETRY_COST }).min(RETRY_BUDGET);
            job.call += 1;
            job.attempt = 1;
            if job.call < scenario.calls.len() {
                agenda.push(Reverse((At(answered), index, REACHES)));
            } else {
                outcome.succeeded += 1;
                outcome.latencies.push(answered - job.arrived);
                agenda.push(Reverse((At(answered), index, ENDS)));
            }
            continue;
        }
        outcome.throttled += 1;
        let affordable = budgets[job.instance] >= RETRY_COST;
        if job.attempt == ATTEMPTS || !affordable {
            outcome.failed += 1;
            // The SDK drops the permit of its last attempt, which gives it back.
            if job.attempt > 1 {
                budgets[job.instance] += RETRY_COST;
            }
            agenda.push(Reverse((At(answered), index, ENDS)));
            continue;
        }
        budgets[job.instance] -= RETRY_COST;
        let backoff = (INITIAL_BACKOFF * f64::from(1 << (job.attempt - 1))).min(MAX_BACKOFF) * random.unit();
        job.attempt += 1;
        agenda.push(Reverse((At(answered + backoff), index, REACHES)));
    }
    outcome.instances = budgets.len();
    outcome
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// From 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The time to the next arrival.
    pub(crate) fn exponential(&mut self, rate: f64) -> f64 {
        -(1.0 - self.unit()).ln() / rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(rate: f64, quota: f64, concurrency: usize) -> Scenario {
        Scenario {
            rate,
            duration: 60.0,
            warm: 0.001,
            cold: 0.01,
            concurrency,
            calls: vec![Call { latency: 0.02, quota, bucket: 0 }],
        }
    }

    #[test]
    fn below_the_quota_all_succeed_in_their_own_time() {
        let outcome = run(&scenario(10.0, 25.0, 1000), 1);
        assert!((500..700).contains(&outcome.arrived), "{}", outcome.arrived);
        assert_eq!(outcome.succeeded, outcome.arrived);
        assert!((outcome.latency(0.5) - 0.021).abs() < 1e-6, "{}", outcome.latency(0.5));
    }

    #[test]
    fn above_it_as_many_succeed_as_the_quota_lets_through() {
        let outcome = run(&scenario(100.0, 25.0, 1000), 1);
        assert!((1450..1560).contains(&outcome.succeeded), "{}", outcome.succeeded);
        assert_eq!(outcome.arrived, outcome.succeeded + outcome.failed + outcome.refused);
    }

    #[test]
    fn without_instances_calls_are_refused() {
        assert!(run(&scenario(1000.0, 1e9, 5), 1).refused > 0);
    }
}
