//! A table of plain text, which the examples print as well.

/// Rows of cells below a header. A cell about which nothing is known is empty.
pub struct Table<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table without rows.
    pub fn new(header: [&str; COLUMNS]) -> Self {
        Self {
            rows: vec![header.map(str::to_owned)],
        }
    }

    /// Adds a row. A control character, which could play tricks on a terminal, becomes a blank.
    pub fn add(&mut self, row: [String; COLUMNS]) {
        let plain = |character: char| match character.is_control() {
            true => ' ',
            false => character,
        };
        self.rows
            .push(row.map(|cell| cell.chars().map(plain).collect()));
    }

    /// The lines, with a dash in each empty cell, and without the columns in which all cells are
    /// empty.
    pub fn lines(&self) -> Vec<String> {
        let cells = |column: usize| self.rows.iter().filter_map(move |row| row.get(column));
        let is_used = |column: usize| cells(column).skip(1).any(|cell| !cell.is_empty());
        let width = |column: usize| cells(column).map(|cell| cell.chars().count()).max();
        let columns: Vec<(usize, usize)> = (0..COLUMNS)
            .filter(|&column| is_used(column))
            .map(|column| (column, width(column).unwrap_or_default()))
            .collect();
        let line = |row: &[String; COLUMNS]| {
            let cells = columns.iter().map(|&(column, width)| {
                let cell = row.get(column).filter(|cell| !cell.is_empty());
                format!("{:<width$}", cell.map_or("-", String::as_str))
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

/// The parts of a model's ARN that people know it by.
// Each example uses only some of them.
#[allow(dead_code)]
pub struct ModelName {
    /// Its account.
    pub account: String,
    /// Its region.
    pub region: String,
    /// Its project and version.
    pub name: String,
}

impl ModelName {
    /// The names in this ARN. A text that is not an ARN is a name without an account and a region.
    pub fn new(arn: &str) -> Self {
        let fields: Vec<&str> = arn.splitn(6, ':').collect();
        match fields.as_slice() {
            [_, _, _, region, account, resource] => {
                let names: Vec<&str> = resource.split('/').skip(1).step_by(2).take(2).collect();
                Self {
                    account: (*account).to_owned(),
                    region: (*region).to_owned(),
                    name: names.join(" "),
                }
            }
            _ => Self {
                account: String::new(),
                region: String::new(),
                name: arn.to_owned(),
            },
        }
    }
}
