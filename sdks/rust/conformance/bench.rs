//! The verb `bench`.

use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::command::Command;
use crate::{of, Answer, Driver};

impl Driver {
    pub(crate) async fn bench(&self, c: &Command) -> Answer {
        let (mut began, cpu) = (Instant::now(), cpu_seconds());
        match c.kind.as_str() {
            "latency" => {
                let client = self.client(c)?;
                let mut took = Vec::new();
                for n in 0..c.count {
                    let at = Instant::now();
                    client.run::<Value>(&c.workflow, &json!({"n": n})).await?;
                    took.push(at.elapsed().as_secs_f64() * 1000.0);
                }
                took.sort_by(f64::total_cmp);
                let (p50, p99) = (took[c.count / 2], took[c.count * 99 / 100]);
                return Ok(json!({"p50Ms": p50, "p99Ms": p99}));
            }
            "starts" => {
                let session = self.client(c)?.session();
                let mut calls = Vec::new();
                for n in 0..c.count {
                    calls.push(session.start(&c.workflow, &json!({"n": n})).await?);
                }
                for call in calls {
                    call.result::<Value>().await?;
                }
                session.close().await;
            }
            _ => {
                let (_, ledger) = of(&self.objects().workers, &c.worker)?;
                while ledger.ended().0 < c.count {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                began = ledger.ended().1.unwrap_or(began);
            }
        }
        let rate = c.count as f64 / began.elapsed().as_secs_f64();
        Ok(json!({"perSecond": rate, "cpuSeconds": cpu_seconds() - cpu}))
    }
}

/// Return the CPU time of this process.
fn cpu_seconds() -> f64 {
    let ticks_per_second = 100.0;
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / ticks_per_second
}
