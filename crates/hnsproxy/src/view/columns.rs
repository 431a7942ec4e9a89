//! Tables as kubectl prints them: headers in capitals, two spaces between columns, no borders. Plain ASCII, since Windows PowerShell 5.1 garbles other
//! characters in pipes.

/// Between two columns.
const GAP: &str = "  ";
/// What stands for the rest of a shortened text.
const REST: &str = "...";
/// Columns are not shortened below this width, or below that of their header.
const MIN_WIDTH: usize = 8;

/// How much a text for people shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// What fits into a line of the terminal. A width of None is for pipes: nothing is shortened.
    Narrow { width: Option<usize> },
    /// Everything.
    Wide,
}

/// Rows below a header. Columns are shortened to the width of the layout, the last one first; the first `naming` columns, which name the object,
/// are not. What still does not fit is cut off.
pub fn columns<'a, Cells: IntoIterator<Item = String>>(
    layout: Layout,
    naming: usize,
    header: impl IntoIterator<Item = &'a str>,
    rows: impl IntoIterator<Item = Cells>,
) -> String {
    let header: Vec<String> = header.into_iter().map(str::to_owned).collect();
    let minimal: Vec<usize> = header.iter().map(|title| length(title).max(MIN_WIDTH)).collect();
    let lines: Vec<Vec<String>> =
        std::iter::once(header).chain(rows.into_iter().map(|row| row.into_iter().collect())).collect();
    let mut widths = vec![0; minimal.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = length(cell).max(*width);
        }
    }
    let available = match layout {
        Layout::Narrow { width } => width.unwrap_or(usize::MAX),
        Layout::Wide => usize::MAX,
    };
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(available);
    for (width, minimal) in widths.iter_mut().zip(minimal).skip(naming).rev() {
        let cut = excess.min(width.saturating_sub(minimal));
        *width -= cut;
        excess -= cut;
    }
    let text = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{:width$}", shortened(cell, *width)));
        shortened(cells.collect::<Vec<_>>().join(GAP).trim_end(), available)
    };
    lines.iter().map(text).collect::<Vec<_>>().join("\n")
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn shortened(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(REST.len())).collect();
    kept + REST
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(layout: Layout) -> String {
        let rows = [["web", "10.96.0.1:80/TCP", "DSR, session affinity"], ["database", "none", ""]];
        columns(layout, 1, ["SERVICE", "FRONTEND", "DETAILS"], rows.map(|row| row.map(str::to_owned)))
    }

    #[test]
    fn columns_have_two_spaces_between_them() {
        let whole =
            "SERVICE   FRONTEND          DETAILS\nweb       10.96.0.1:80/TCP  DSR, session affinity\ndatabase  none";
        for layout in [Layout::Wide, Layout::Narrow { width: None }, Layout::Narrow { width: Some(49) }] {
            assert_eq!(table(layout), whole, "{layout:?}");
        }
    }

    #[test]
    fn a_narrow_terminal_shortens_the_last_column_first() {
        let fitted = "SERVICE   FRONTEND          DETAILS\nweb       10.96.0.1:80/TCP  DSR, sess...\ndatabase  none";
        assert_eq!(table(Layout::Narrow { width: Some(40) }), fitted);
        let narrower = "SERVICE   FRONTEND   DETAILS\nweb       10.96....  DSR, ...\ndatabase  none";
        assert_eq!(table(Layout::Narrow { width: Some(29) }), narrower);
        let cut = "SERVICE   FRONTEND ...\nweb       10.96... ...\ndatabase  none";
        assert_eq!(table(Layout::Narrow { width: Some(22) }), cut);
    }
}
