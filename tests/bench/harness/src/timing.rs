//! Times cold starts and warm invocations. Nothing here is asserted: times are the machine's, too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

use crate::host::Process;
use crate::programs::Program;
use crate::simulate::Random;
use crate::size;

/// How often.
pub(crate) struct Rounds {
    pub(crate) cold: usize,
    pub(crate) warm: usize,
    pub(crate) invocations: usize,
}

/// What was measured of one program; times in milliseconds.
#[derive(Default)]
struct Measured {
    init: Vec<f64>,
    first: Vec<f64>,
    cold: Vec<f64>,
    cpu: Vec<f64>,
    memory: Vec<f64>,
    warm: Vec<f64>,
    warm_cpu: Vec<f64>,
}

/// Measures all programs in turns, prints the table and the ratios, and writes all of it to `out`.
pub(crate) async fn run(programs: &[Program], rounds: &Rounds, scratch: &Path, out: &Path) {
    let mut all: Vec<Measured> = programs.iter().map(|_| Measured::default()).collect();
    let log = scratch.join("log");
    let mut random = Random(1);
    for _ in 0..rounds.cold {
        // Nobody always comes after the same one, whose pages it may share.
        let mut order: Vec<_> = programs.iter().zip(&mut all).map(|turn| (random.unit(), turn)).collect();
        order.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        for (_, (program, measured)) in order {
            cold(program, &log, measured).await;
        }
    }
    for _ in 0..rounds.warm {
        for (program, measured) in programs.iter().zip(&mut all) {
            warm(program, rounds.invocations, &log, measured).await;
        }
    }
    let rows: Vec<Value> =
        programs.iter().zip(&all).map(|(program, measured)| row(program, measured)).collect();
    print_table(&rows);
    print_ratios(&rows);
    let machine = machine();
    println!("\n{machine}; {} cold rounds, {} x {} warm", rounds.cold, rounds.warm, rounds.invocations);
    let report = json!({
        "machine": machine,
        "rounds": {"cold": rounds.cold, "warm": rounds.warm, "invocations": rounds.invocations},
        "programs": rows,
    });
    std::fs::write(out, serde_json::to_string_pretty(&report).unwrap() + "\n").unwrap();
}

async fn cold(program: &Program, log: &Path, measured: &mut Measured) {
    let before = children_cpu();
    let mut process = Process::start(program, &[], log).await.unwrap();
    let init = millis(process.initialised().await);
    let first = millis(process.invoke(program.event.payload()).await);
    measured.memory.push(process.peak_memory());
    process.kill().await;
    measured.cpu.push(millis(children_cpu() - before));
    measured.init.push(init);
    measured.first.push(first);
    measured.cold.push(init + first);
}

async fn warm(program: &Program, invocations: usize, log: &Path, measured: &mut Measured) {
    let mut process = Process::start(program, &[], log).await.unwrap();
    process.initialised().await;
    // The first ones are the cold start's, and a compiler's that works at run time.
    for _ in 0..50 {
        process.invoke(program.event.payload()).await;
        process.idle().await;
    }
    for _ in 0..invocations {
        measured.warm.push(millis(process.invoke(program.event.payload()).await));
        process.idle().await;
    }
    let cpu = process.cpu();
    process.kill().await;
    measured.warm_cpu.push(millis(cpu) / (invocations + 50) as f64);
}

/// The CPU time of all processes that have ended so far.
fn children_cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let micros =
        [usage.user_time(), usage.system_time()].map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    Duration::from_micros(micros.iter().sum::<i64>().unsigned_abs())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn row(program: &Program, measured: &Measured) -> Value {
    let two = |values: &[f64]| json!({"p10": quantile(values, 0.1), "p50": quantile(values, 0.5)});
    json!({
        "name": program.name,
        "init_ms": two(&measured.init),
        "first_ms": two(&measured.first),
        "cold_ms": two(&measured.cold),
        "cold_cpu_ms": two(&measured.cpu),
        "rss_mb": quantile(&measured.memory, 0.5),
        "warm_us": {"p50": quantile(&measured.warm, 0.5) * 1000.0, "p99": quantile(&measured.warm, 0.99) * 1000.0},
        "warm_cpu_us": quantile(&measured.warm_cpu, 0.5) * 1000.0,
        "size_mb": megabytes(size::plain(&program.files)),
        "zip_mb": megabytes(size::zipped(&program.files)),
    })
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn quantile(values: &[f64], at: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (at * (sorted.len().max(1) - 1) as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

fn print_table(rows: &[Value]) {
    println!(
        "| program | init ms | first ms | cold ms (p50) | cold CPU ms | RSS MB | warm p50 / p99 µs | warm CPU µs | size / zip MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for row in rows {
        let at = |path: &str| row.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
        println!(
            "| {} | {:.1} | {:.1} | {:.1} ({:.1}) | {:.1} | {:.1} | {:.0} / {:.0} | {:.0} | {:.2} / {:.2} |",
            row["name"].as_str().unwrap_or_default(),
            at("/init_ms/p10"),
            at("/first_ms/p10"),
            at("/cold_ms/p10"),
            at("/cold_ms/p50"),
            at("/cold_cpu_ms/p10"),
            at("/rss_mb"),
            at("/warm_us/p50"),
            at("/warm_us/p99"),
            at("/warm_cpu_us"),
            at("/size_mb"),
            at("/zip_mb"),
        );
    }
}

/// post-append against the same in other shapes.
fn print_ratios(rows: &[Value]) {
    let Some(ours) = rows.iter().find(|row| row["name"] == "post-append") else { return };
    println!("\npost-append is as many times better (p10):");
    for row in
        rows.iter().filter(|row| row["name"].as_str().is_some_and(|name| name.ends_with(": post-append")))
    {
        let times = |path: &str| {
            let at = |row: &Value| row.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
            at(row) / at(ours)
        };
        println!(
            "- {}: cold {:.1}, cold CPU {:.1}, memory {:.1}, warm {:.1}, warm CPU {:.1}",
            row["name"].as_str().unwrap_or_default(),
            times("/cold_ms/p10"),
            times("/cold_cpu_ms/p10"),
            times("/rss_mb"),
            times("/warm_us/p50"),
            times("/warm_cpu_us"),
        );
    }
}

/// The machine in a few words.
fn machine() -> String {
    let read = |path| std::fs::read_to_string(PathBuf::from(path)).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("unknown CPU");
    let cores = cpu.lines().filter(|line| line.starts_with("processor\t")).count();
    let load = read("/proc/loadavg");
    format!("{cores} x {model}, load {}", load.split(' ').next().unwrap_or_default())
}
