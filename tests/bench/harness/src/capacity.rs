//! Where the functions saturate: what each asks of the provider, a burst by simulation and by the real binary, and the cost.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::host::{Process, is_good};
use crate::programs::{self, Places, Program};
use crate::simulate::{self, Call, Outcome, Random, Scenario};
use crate::stand_in::{Limits, StandIn, category};

/// Cognito's default quotas, in calls a second. Source: Cognito developer guide, "Quotas in Amazon Cognito", November 2026.
const QUOTAS: [(&str, f64); 4] =
    [("UserRead", 120.0), ("UserUpdate", 25.0), ("UserAuthentication", 120.0), ("UserList", 30.0)];
/// Lambda's default. Source: Lambda developer guide, "Lambda quotas".
const CONCURRENCY: usize = 1000;
/// How long Cognito's answers take within a region: an assumption, as AWS publishes none.
const READ: f64 = 0.015;
const UPDATE: f64 = 0.025;
/// 10 000 enrolments in a minute.
const BURST: (f64, f64) = (10_000.0 / 60.0, 60.0);

/// Prices in dollars, us-east-1, first tier, x86. Source: AWS Lambda pricing page, November 2026.
const PER_GB_SECOND: f64 = 0.000_016_666_7;
const PER_MILLION_REQUESTS: f64 = 0.20;
/// Memory of a function, in MB, and how much of it makes one vCPU. Source: Lambda developer guide, "Configure Lambda function memory".
const MEMORY: f64 = 256.0;
const MEMORY_OF_ONE_CPU: f64 = 1769.0;
/// How many invocations are cold: an assumption.
const COLD_SHARE: f64 = 0.02;

/// Prints all of it. `times` is what `make bench` wrote.
pub(crate) async fn run(places: &Places, scratch: &Path, times: &Path) {
    let times: Value = std::fs::read_to_string(times)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    calls(places, scratch).await;
    let (warm, cold) = (
        time(&times, "post-append, signed", "/warm_cpu_us") / 1e6,
        time(&times, "post-append, signed", "/cold_ms/p50") / 1e3,
    );
    let (warm, cold) = (if warm.is_nan() { 0.0003 } else { warm }, if cold.is_nan() { 0.005 } else { cold });
    burst(places, scratch, warm, cold).await;
    cost(&times);
}

fn time(times: &Value, name: &str, path: &str) -> f64 {
    let rows = times["programs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = rows.iter().find(|row| row["name"] == name);
    row.and_then(|row| row.pointer(path)).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// What one invocation asks of other systems, counted on the real binaries, and how many a second Cognito's quotas allow.
async fn calls(places: &Places, scratch: &Path) {
    const INVOCATIONS: u64 = 10;
    println!(
        "## Calls of one warm invocation\n\n| function | calls | Cognito allows a second | by |\n|---|---|---|---|"
    );
    for (name, ..) in programs::OURS {
        let stand_in = StandIn::start(Limits::default()).await.unwrap();
        let program = programs::ours(places, &stand_in, scratch)
            .unwrap()
            .into_iter()
            .find(|program| program.name == name)
            .unwrap();
        let mut process = Process::start(&program, &[], &scratch.join("log")).await.unwrap();
        process.initialised().await;
        for _ in 0..INVOCATIONS {
            process.invoke(program.event.payload()).await;
            process.idle().await;
        }
        process.kill().await;
        let counts: BTreeMap<_, _> =
            stand_in.counts().into_iter().map(|(name, (count, _))| (name, count / INVOCATIONS)).collect();
        let mut by_category: HashMap<&str, u64> = HashMap::new();
        for (operation, count) in &counts {
            *by_category.entry(category(operation)).or_default() += count;
        }
        let limit = QUOTAS
            .iter()
            .filter_map(|(category, quota)| Some((quota / *by_category.get(category)? as f64, *category)))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let calls: Vec<_> =
            counts.iter().map(|(name, count)| format!("{count} {}", name.trim_start_matches('/'))).collect();
        let (limit, by) =
            limit.map_or_else(|| ("no limit".to_owned(), ""), |(limit, by)| (format!("{limit:.0}"), by));
        println!("| {name} | {} | {limit} | {by} |", calls.join(", "));
    }
}

/// Ten thousand enrolments in a minute: simulated, done by the real binary, and simulated with other quotas.
async fn burst(places: &Places, scratch: &Path, warm: f64, cold: f64) {
    let scenario = |updates: f64| Scenario {
        rate: BURST.0,
        duration: BURST.1,
        warm,
        cold,
        concurrency: CONCURRENCY,
        calls: vec![
            Call { latency: READ, quota: updates.max(120.0), bucket: 0 },
            Call { latency: UPDATE, quota: updates, bucket: 1 },
        ],
    };
    println!(
        "\n## 10 000 enrolments in a minute\n\nwarm {:.2} ms, cold {:.1} ms of post-append itself\n",
        warm * 1e3,
        cold * 1e3
    );
    println!(
        "| | arrived | succeeded | failed | throttled calls | instances | p50 / p99 ms |\n|---|---|---|---|---|---|---|"
    );
    let print = |name: &str, outcome: &Outcome| {
        println!(
            "| {name} | {} | {} ({:.1} %) | {} | {} | {} | {:.0} / {:.0} |",
            outcome.arrived,
            outcome.succeeded,
            100.0 * outcome.succeeded as f64 / outcome.arrived as f64,
            outcome.failed + outcome.refused,
            outcome.throttled,
            outcome.instances,
            outcome.latency(0.5) * 1e3,
            outcome.latency(0.99) * 1e3,
        );
    };
    let mut at_default = scenario(25.0);
    at_default.calls[0].quota = 120.0;
    print("simulation, default quotas", &simulate::run(&at_default, 1));
    print("real binary, default quotas", &live(places, scratch, &at_default).await);
    for updates in [50.0, 100.0, 170.0, 200.0] {
        let mut raised = scenario(updates);
        raised.calls[0].quota = 200.0;
        print(&format!("simulation, UserUpdate {updates}, UserRead 200"), &simulate::run(&raised, 1));
    }
    for rate in [10.0, 20.0, 24.0, 30.0] {
        let steady = Scenario { rate, duration: 600.0, ..at_default.clone() };
        print(&format!("simulation, {rate} a second for ten minutes"), &simulate::run(&steady, 1));
    }
}

/// The scenario with real processes and a stand-in that throttles.
async fn live(places: &Places, scratch: &Path, scenario: &Scenario) -> Outcome {
    let seconds = Duration::from_secs_f64;
    let limits = Limits {
        per_second: HashMap::from([
            ("UserRead", scenario.calls[0].quota),
            ("UserUpdate", scenario.calls[1].quota),
        ]),
        latency: HashMap::from([("UserRead", seconds(READ)), ("UserUpdate", seconds(UPDATE))]),
    };
    let stand_in = StandIn::start(limits).await.unwrap();
    let program = programs::ours(places, &stand_in, scratch).unwrap();
    let program: Rc<Program> =
        Rc::new(program.into_iter().find(|program| program.name == "post-append, signed").unwrap());
    let idle: Rc<RefCell<Vec<Process>>> = Rc::default();
    let outcome: Rc<RefCell<Outcome>> = Rc::default();
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let (mut random, started, mut at) = (Random(2), Instant::now(), 0.0);
            let mut tasks = tokio::task::JoinSet::new();
            loop {
                at += random.exponential(scenario.rate);
                if at > scenario.duration {
                    break;
                }
                tokio::time::sleep(seconds(at).saturating_sub(started.elapsed())).await;
                outcome.borrow_mut().arrived += 1;
                let (program, idle, outcome) = (Rc::clone(&program), Rc::clone(&idle), Rc::clone(&outcome));
                let log = scratch.join("log");
                tasks.spawn_local(async move {
                    let arrived = Instant::now();
                    let process = idle.borrow_mut().pop();
                    let mut process = match process {
                        Some(process) => process,
                        None => {
                            outcome.borrow_mut().instances += 1;
                            let mut process = Process::start(&program, &[], &log).await.unwrap();
                            process.initialised().await;
                            process
                        }
                    };
                    let (_, answer) = process.outcome(program.event.payload()).await;
                    {
                        let mut outcome = outcome.borrow_mut();
                        if answer.as_deref().is_some_and(is_good) {
                            outcome.succeeded += 1;
                            outcome.latencies.push(arrived.elapsed().as_secs_f64());
                        } else {
                            outcome.failed += 1;
                        }
                    }
                    process.idle().await;
                    idle.borrow_mut().push(process);
                });
            }
            while tasks.join_next().await.is_some() {}
        })
        .await;
    for process in idle.take() {
        process.kill().await;
    }
    let mut outcome = Rc::try_unwrap(outcome).ok().unwrap().into_inner();
    outcome.throttled = stand_in.counts().values().map(|(_, throttled)| *throttled as usize).sum();
    outcome
}

/// What a million invocations of post-append cost on Lambda. On a share of a CPU the function's own time grows; waiting does not.
fn cost(times: &Value) {
    let share = MEMORY / MEMORY_OF_ONE_CPU;
    let waiting = READ + UPDATE;
    println!("\n## A million invocations, {MEMORY} MB, {:.0} % cold\n", COLD_SHARE * 100.0);
    println!(
        "| program | billed ms, warm | billed ms, cold | GB-seconds | $ compute | $ requests |\n|---|---|---|---|---|---|"
    );
    for name in ["post-append, signed", "Node, bundled: post-append", "Node: post-append"] {
        let warm_cpu = time(times, name, "/warm_cpu_us") / 1e6;
        let (init, first) =
            (time(times, name, "/init_ms/p50") / 1e3, time(times, name, "/first_ms/p50") / 1e3);
        // The initialisation has a whole CPU, and is billed since August 2025.
        let milliseconds = |seconds: f64| (seconds * 1e3).ceil();
        let warm = milliseconds(waiting + warm_cpu / share);
        let cold = milliseconds(init + waiting + first / share);
        let gb_seconds = (warm * (1.0 - COLD_SHARE) + cold * COLD_SHARE) / 1e3 * MEMORY / 1024.0 * 1e6;
        println!(
            "| {name} | {warm:.0} | {cold:.0} | {gb_seconds:.0} | {:.2} | {PER_MILLION_REQUESTS:.2} |",
            gb_seconds * PER_GB_SECOND
        );
    }
}
