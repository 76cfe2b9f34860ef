//! Cells of the tables of figures.

use std::fmt::Display;

use crate::html::Html;

/// Rows of a table of figures.
pub(super) const ROWS_MAX: usize = 300;

/// A number; its column's name is beside it where there is no room for columns.
pub(super) fn cell(h: &mut Html, name: impl Display, class: &str, value: &dyn Display) {
    h.fill("<td class=\"n {}\" data-name=\"{}\">{}</td>", &[&class, &name, value]);
}
