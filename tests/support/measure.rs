//! What a benchmark needs around the thing it measures: medians and quantiles, what a process has
//! used, on which machine it was, and a dated file of raw results. It measures nothing itself.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use postgres::Client;
use serde_json::{Value, json};

// The unit of the times in /proc, the same on every Linux.
const TICKS_A_SECOND: f64 = 100.0;

/// The value that a share `q` of the values does not exceed (0.5: the median), by nearest rank.
///
/// # Panics
/// When there are no values.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (q * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted[rank - 1]
}

/// The median; of an even number of values, the mean of the two in the middle.
///
/// # Panics
/// When there are no values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// A size from the environment, or its default.
///
/// # Panics
/// When the variable holds no number.
pub fn size(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{variable} takes a number, not \"{text}\""))
    })
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Processor time of all its threads, in seconds, to a hundredth.
    pub cpu: f64,
    /// Memory of its own (RssAnon), in MB.
    pub own_memory: f64,
    /// All resident memory (VmRSS), in MB: what it touched of the shared buffers counts too.
    pub resident: f64,
}

impl Usage {
    /// Reads it for a running process; `None` when there is no such process.
    pub fn of(pid: u32) -> Option<Usage> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, fields) = stat.rsplit_once(") ")?;
        let ticks: f64 =
            fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let megabytes = |name: &str| -> Option<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some(kilobytes / 1024.0)
        };
        Some(Usage {
            cpu: ticks / TICKS_A_SECOND,
            own_memory: megabytes("RssAnon")?,
            resident: megabytes("VmRSS")?,
        })
    }
}

/// Where and with what a run was made.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The start of the run, UTC, as `2026-01-02T03:04:05Z`.
    pub date: String,
    cpu: String,
    cores: usize,
    kernel: String,
    server: String,
    extension: String,
    fsync: String,
}

impl Environment {
    /// Asks the machine and the server.
    pub fn read(client: &mut Client) -> Environment {
        let row = client
            .query_one(
                r#"SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                          current_setting('server_version'), current_setting('fsync'),
                          (SELECT extversion FROM pg_extension WHERE extname = 'pg_spamcheck')"#,
                &[],
            )
            .expect("the server answers");
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Environment {
            date: row.get(0),
            cpu: model.map_or("unknown", |(_, model)| model).to_string(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .into(),
            server: row.get(1),
            extension: row.get::<_, Option<String>>(3).unwrap_or("none".into()),
            fsync: row.get(2),
        }
    }

    /// Writes a run's raw results, with this, to `benches/runs/DATE/NAME-TIME.json`; where.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write_run(&self, name: &str, results: &Value) -> PathBuf {
        let (day, time) = self.date.split_once('T').expect("a date has its time");
        let time: String = time.chars().filter(char::is_ascii_digit).collect();
        let project = std::env::var("CARGO_MANIFEST_DIR").map_or(".".into(), PathBuf::from);
        let folder = project.join("../benches/runs").join(day);
        fs::create_dir_all(&folder).expect("the folder of runs can be created");
        let file = folder.join(format!("{name}-{time}.json"));
        let run = json!({
            "date": self.date, "cpu": self.cpu, "cores": self.cores, "kernel": self.kernel,
            "postgresql": self.server, "pg_spamcheck": self.extension, "fsync": self.fsync,
            "results": results,
        });
        fs::write(&file, format!("{run:#}\n")).expect("the run can be written");
        file.canonicalize().unwrap_or(file)
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {} cores, Linux {}", self.cpu, self.cores, self.kernel)?;
        write!(
            f,
            "PostgreSQL {}, pg_spamcheck {}, fsync {}, {}",
            self.server, self.extension, self.fsync, self.date
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 9.0, 2.0]), 3.0);
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.5), 50.0);
        assert_eq!(quantile(&values, 0.99), 99.0);
        assert_eq!(quantile(&[7.0], 0.0), 7.0);
    }

    #[test]
    fn usage_grows_with_the_work_done() {
        let own = std::process::id();
        let before = Usage::of(own).unwrap();
        let mut filled = vec![1_u8; 32 << 20];
        let start = std::time::Instant::now();
        while Usage::of(own).unwrap().cpu < before.cpu + 0.05 {
            filled.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(3));
            assert!(start.elapsed().as_secs() < 20, "no processor time was counted");
        }
        assert!(Usage::of(own).unwrap().own_memory > before.own_memory + 24.0);
        assert!(filled[0] > 0);
    }
}
