//! How is a list printed?
//!
//! As columns for people or as the JSON it came as for scripts. The columns
//! are members of the objects; a member that is missing is an empty cell.

use clap::ValueEnum;
use serde_json::Value;

use super::{
    console::{Console, plain},
    failure::Failure,
};

/// Forms of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Columns for people.
    #[default]
    Table,
    /// JSON for scripts.
    Json,
}

/// Prints objects with the columns named: member and heading.
pub(super) fn print(
    console: &mut Console,
    output: Output,
    columns: &[(&str, &str)],
    rows: &[Value],
) -> Result<(), Failure> {
    match output {
        Output::Json => json(console, &Value::Array(rows.to_vec())),
        Output::Table => console.print(&layout(columns, rows)),
    }
}

/// Prints any value as JSON.
pub(super) fn json(console: &mut Console, value: &Value) -> Result<(), Failure> {
    console.print(&format!("{value:#}\n"))
}

fn layout(columns: &[(&str, &str)], rows: &[Value]) -> String {
    let mut lines = vec![
        columns
            .iter()
            .map(|(_, heading)| (*heading).to_owned())
            .collect::<Vec<_>>(),
    ];
    for row in rows {
        lines.push(
            columns
                .iter()
                .map(|(member, _)| cell(&row[*member]))
                .collect(),
        );
    }
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            row.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// One value in one cell.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => plain(text),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => plain(&other.to_string()),
    }
}

/// A time as people read it, in UTC; empty for none.
pub(super) fn time(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map(|time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_line_up_and_cells_are_escaped() {
        let rows = [
            json!({"name": "a\u{1b}[31m", "kinds": ["x", "y"]}),
            json!({"name": "longer than that"}),
        ];
        let text = layout(&[("name", "NAME"), ("kinds", "KINDS")], &rows);
        assert_eq!(
            text,
            "NAME              KINDS\n\
             a\\u{1b}[31m       x, y\n\
             longer than that\n"
        );
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(time(0), "1970-01-01 00:00:00Z");
        assert_eq!(time(u64::MAX), "");
    }
}
