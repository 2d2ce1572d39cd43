//! Tables, on the terminal and for the documentation; medians; and progress.

use std::io::{IsTerminal, Write, stderr};
use std::path::Path;

/// The documentation has the tables between these lines.
const BEGIN: &str = "<!-- Written by cargo bench -- --docs. -->";
const END: &str = "<!-- End of what cargo bench wrote. -->";

/// What was measured, as Markdown.
#[derive(Default)]
pub struct Output {
    text: String,
}

impl Output {
    /// Adds a paragraph or a row, and shows it.
    pub fn line(&mut self, line: &str) {
        if stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Begins a table.
    pub fn table(&mut self, heading: &str, columns: &[&str]) {
        self.line("");
        self.line(heading);
        self.line("");
        self.line(&format!("| {} |", columns.join(" | ")));
        self.line(&format!("|{}", "---|".repeat(columns.len())));
    }

    /// Adds a row to the table.
    pub fn row(&mut self, cells: &[String]) {
        self.line(&format!("| {} |", cells.join(" | ")));
    }

    pub fn write_to(&self, file: &Path) {
        std::fs::write(file, &self.text).unwrap();
    }

    /// Replaces the tables in the file.
    pub fn write_into(&self, file: &Path) {
        let text = std::fs::read_to_string(file).unwrap();
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let tables = &self.text;
        std::fs::write(file, format!("{before}{BEGIN}\n{tables}\n{END}{after}")).unwrap();
    }
}

/// Reports progress.
pub fn progress(what: &str) {
    let mut terminal = stderr();
    if terminal.is_terminal() {
        eprint!("\r\x1b[K{what} ...");
        terminal.flush().unwrap();
    } else {
        eprintln!("{what} ...");
    }
}

/// The middle of the values, or the mean of the two in the middle.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        (values[middle - 1] + values[middle]) / 2.0
    } else {
        values[middle]
    }
}
