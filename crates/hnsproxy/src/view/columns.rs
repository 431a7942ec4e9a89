//! Tables as kubectl prints them: headers in capitals, two spaces between columns, no borders. Plain ASCII, since Windows PowerShell 5.1 garbles other
//! characters in pipes.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

/// Rows below a header. If standard output is a terminal that is too narrow, cells are wrapped.
pub fn columns<'a, Cells: IntoIterator<Item = String>>(
    header: impl IntoIterator<Item = &'a str>,
    rows: impl IntoIterator<Item = Cells>,
) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_two_spaces_between_them() {
        let rows = [["web", "10.96.0.1:80/TCP"], ["database", "none"]].map(|row| row.map(str::to_owned));
        let text = columns(["SERVICE", "FRONTEND"], rows);
        assert_eq!(text, "SERVICE   FRONTEND\nweb       10.96.0.1:80/TCP\ndatabase  none");
    }
}
