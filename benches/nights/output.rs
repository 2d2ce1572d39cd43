//! Tables, plots and progress, on the terminal and in the documentation; and medians.

use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::Path;

use crate::plots::{THEMES, Theme};

/// The documentation has each section's table under such a line.
const WRITTEN: &str = "<!-- Written by cargo bench -- --docs: ";

/// What was measured.
#[derive(Default)]
pub struct Output {
    sections: Vec<Section>,
    plots: Vec<PlotFile>,
    /// The bars that were missed.
    pub failures: Vec<String>,
}

struct Section {
    name: &'static str,
    table: String,
}

struct PlotFile {
    name: String,
    svg: String,
}

impl Output {
    /// Begins the table of a section.
    pub fn table(&mut self, section: &'static str, columns: &[&str]) {
        self.sections.push(Section {
            name: section,
            table: String::new(),
        });
        show(&format!("\n{section}"));
        self.line(&format!("| {} |", columns.join(" | ")));
        self.line(&format!("|{}", "---|".repeat(columns.len())));
    }

    /// Adds a row to the last table.
    pub fn row(&mut self, cells: &[String]) {
        self.line(&format!("| {} |", cells.join(" | ")));
    }

    fn line(&mut self, line: &str) {
        show(line);
        let table = &mut self.sections.last_mut().unwrap().table;
        table.push_str(line);
        table.push('\n');
    }

    /// Adds a plot, drawn in each theme.
    pub fn plot(&mut self, name: &str, draw: impl Fn(&Theme) -> String) {
        self.plots.extend(THEMES.iter().map(|theme| PlotFile {
            name: format!("{name}-{}.svg", theme.name),
            svg: draw(theme),
        }));
    }

    /// Writes the tables into the page `performance.md` of the documentation, and the plots next to
    /// it.
    pub fn write_to(&self, docs: &Path) {
        let page = docs.join("performance.md");
        let mut text = fs::read_to_string(&page).unwrap();
        for Section { name, table } in &self.sections {
            let line = format!("{WRITTEN}{name} -->\n");
            let (before, rest) = text.split_once(&line).unwrap();
            let old: usize = rest
                .split_inclusive('\n')
                .take_while(|row| row.starts_with('|'))
                .map(str::len)
                .sum();
            text = format!("{before}{line}{table}{}", &rest[old..]);
        }
        fs::write(page, text).unwrap();
        for PlotFile { name, svg } in &self.plots {
            fs::write(docs.join("plots").join(name), svg).unwrap();
        }
    }
}

/// Prints a line in place of the progress.
fn show(line: &str) {
    if stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    println!("{line}");
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

/// A number below a million, as the documentation has it.
pub fn number(number: usize) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", number / 1000, number % 1000),
    }
}

/// Seconds, as a table has them.
pub fn seconds(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.1} ms", 1000.0 * seconds)
    } else {
        format!("{seconds:.1} s")
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
