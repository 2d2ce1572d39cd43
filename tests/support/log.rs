//! The log of a test, in memory.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use rekognition_stopper::log;
use serde_json::Value;
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::registry;

/// What is logged while this value lives, in the thread that created it.
pub struct Log {
    output: Output,
    _guard: DefaultGuard,
    /// With a single subscriber, `tracing` asks the thread that reaches a line first whether the
    /// line is enabled, and caches the result for all threads: another test, which has no log,
    /// would silence this one's.
    _second: Dispatch,
}

impl Log {
    /// Logs in the format and at the level that Lambda calls by these names.
    pub fn new(format: &str, level: &str) -> Self {
        let second = Dispatch::new(registry());
        let output = Output::default();
        let writer = output.clone();
        let variable = |name: &str| match name {
            "AWS_LAMBDA_LOG_FORMAT" => Ok(format.to_owned()),
            _ => Ok(level.to_owned()),
        };
        let subscriber = log::subscriber(variable, move || writer.clone());
        Self {
            output,
            _guard: tracing::subscriber::set_default(subscriber),
            _second: second,
        }
    }

    pub fn text(&self) -> String {
        self.output.text()
    }

    /// The lines of a JSON log with this field, such as the message `run`.
    pub fn lines_with(&self, field: &str, value: &str) -> Vec<Value> {
        let mut lines = self.output.lines();
        lines.retain(|line| line[field] == value);
        lines
    }
}

/// A writer that all its clones share.
#[derive(Clone, Default)]
pub struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines, each of which must be JSON.
    pub fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
