//! One chart: a plot that stretches with the page, its axes and legend as text that does not, and its table.
//!
//! The plot is an SVG of 1000 × 100 units that is stretched; lines keep their width by `vector-effect`. What must
//! not be stretched (labels, points of decisions, bands) is laid over it in per cent.

use std::fmt::Write as _;

use crate::html::Html;
use crate::run::Span;
use crate::scale::{Axis, clock, coordinate, number, time_ticks};
use crate::series::Point;
use crate::series::{thin, value_at};

/// Values under the pointer are told in so many steps of the time axis.
const READOUTS: usize = 240;

/// Rows of a chart's table.
const TABLE_ROWS_MAX: usize = 40;

/// A line breaks where nothing was seen for so long.
const GAP_S: f64 = 5.0;

/// A chart.
#[derive(Debug)]
pub(crate) struct Chart<'a> {
    pub(crate) title: String,
    pub(crate) unit: String,
    /// Of the time axis.
    pub(crate) length_s: f64,
    pub(crate) axis: Axis,
    pub(crate) series: Vec<Series>,
    pub(crate) bands: &'a [Span],
    /// Where stages begin.
    pub(crate) lines_s: &'a [f64],
    pub(crate) points: Vec<Mark>,
    pub(crate) feet: Vec<Foot>,
}

/// A series of a chart.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// CSS class that gives colour, dash and width.
    pub(crate) style: &'static str,
    pub(crate) shape: Shape,
    pub(crate) points: Vec<Point>,
}

/// How it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// From point to point.
    Line,
    /// Each value holds until the next.
    Steps,
    /// The same, filled to the axis.
    Area,
}

/// Stretches of time along the foot of the plot.
#[derive(Debug)]
pub(crate) struct Foot {
    /// With how much of them there is.
    pub(crate) name: String,
    pub(crate) spans: Vec<Span>,
}

/// Something on the time axis that leads to its row in a table.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) at_s: f64,
    /// Share of the height.
    pub(crate) height: f64,
    pub(crate) style: &'static str,
    pub(crate) sign: &'static str,
    /// Id of the row.
    pub(crate) row: String,
    /// First line of what it says.
    pub(crate) head: String,
    /// The rest.
    pub(crate) body: String,
}

impl Series {
    /// A series; `style` is a class of the page's style.
    pub(crate) fn new(
        name: impl Into<String>,
        style: &'static str,
        shape: Shape,
        points: Vec<Point>,
    ) -> Self {
        Self { name: name.into(), style, shape, points }
    }
}

impl Chart<'_> {
    /// Draws it.
    pub(crate) fn html(&self) -> Html {
        let mut h = Html::new();
        h.raw("<figure class=\"chart\"><figcaption>");
        h.fill("<b>{}</b> <span class=\"unit\">{}</span>", &[&self.title, &self.unit]);
        h.raw("<span class=\"clock\" aria-hidden=\"true\"></span>");
        self.legend(&mut h);
        h.raw("</figcaption><div class=\"frame\"><div class=\"ys\" aria-hidden=\"true\">");
        for tick in self.axis.ticks() {
            h.fill("<i style=\"bottom:{}%\">{}</i>", &[&percent(self.axis.place(tick)), &number(tick)]);
        }
        h.fill(
            "</div><div class=\"plot\" data-n=\"{}\" data-s=\"{}\">",
            &[&READOUTS, &coordinate(self.length_s)],
        );
        bands(&mut h, self.bands, self.length_s);
        self.svg(&mut h);
        self.feet(&mut h);
        for p in &self.points {
            p.html(&mut h, self.length_s);
        }
        h.raw("</div>");
        time_axis(&mut h, self.length_s);
        h.raw("</div>");
        self.table(&mut h);
        h.raw("</figure>");
        h
    }

    fn legend(&self, h: &mut Html) {
        h.raw("<ul class=\"legend\">");
        for s in &self.series {
            h.raw("<li><svg aria-hidden=\"true\" viewBox=\"0 0 22 8\" width=\"22\" height=\"8\">");
            let d = if s.shape == Shape::Area { "M0,8V1H22V8Z" } else { "M0,4H22" };
            h.fill("<path class=\"{}\" d=\"{}\"/></svg>{} ", &[&s.style, &d, &s.name]);
            let mut readouts = String::new();
            for i in 0..READOUTS {
                let at_s = (i as f64 + 0.5) / READOUTS as f64 * self.length_s;
                let value = value_at(&s.points, at_s).map_or_else(|| "–".to_owned(), number);
                // Fails never: it is a string.
                let _ = write!(readouts, "{value} ");
            }
            h.raw("<span class=\"now\" aria-hidden=\"true\" data-v=\"");
            h.escaped(&readouts.trim_end(), usize::MAX).raw("\"></span></li>");
        }
        for foot in &self.feet {
            h.raw("<li><svg aria-hidden=\"true\" viewBox=\"0 0 22 8\" width=\"22\" height=\"8\">");
            h.fill("<path class=\"foot\" d=\"M0,8V2H22V8Z\"/></svg>{}</li>", &[&foot.name]);
        }
        h.raw("</ul>");
    }

    fn svg(&self, h: &mut Html) {
        h.fill("<svg role=\"img\" aria-label=\"{}\" viewBox=\"0 0 1000 100\"", &[&self.summary()]);
        h.raw(" preserveAspectRatio=\"none\"><path class=\"grid\" d=\"");
        let mut grid = String::new();
        for tick in self.axis.ticks() {
            let _ = write!(grid, "M0,{}H1000", coordinate(100.0 - self.axis.place(tick) * 100.0));
        }
        h.escaped(&grid, usize::MAX).raw("\"/><path class=\"stage\" d=\"");
        let mut stages = String::new();
        for at_s in self.lines_s.iter().filter(|s| **s > 0.0) {
            let _ = write!(stages, "M{},0V100", coordinate(self.x(*at_s)));
        }
        h.escaped(&stages, usize::MAX).raw("\"/>");
        for s in &self.series {
            h.fill("<path class=\"{}\" d=\"", &[&s.style]);
            h.escaped(&self.path(s), usize::MAX).raw("\"/>");
        }
        h.raw("</svg>");
    }

    fn feet(&self, h: &mut Html) {
        for (i, foot) in self.feet.iter().enumerate() {
            for span in &foot.spans {
                let (left, width) = place(span, self.length_s);
                h.fill(
                    "<div class=\"foot\" style=\"left:{}%;width:{}%;--row:{}\" title=\"{}\"></div>",
                    &[&left, &width, &i, &span.name],
                );
            }
        }
    }

    fn x(&self, at_s: f64) -> f64 {
        (at_s / self.length_s).clamp(0.0, 1.0) * 1000.0
    }

    fn path(&self, series: &Series) -> String {
        let points = thin(&series.points, self.length_s);
        let spacing = self.length_s / points.len().max(1) as f64;
        let mut d = String::new();
        let mut before: Option<&Point> = None;
        for p in &points {
            let (x, y) = (coordinate(self.x(p.0)), coordinate(100.0 - self.axis.place(p.1) * 100.0));
            let broken = before.is_none_or(|b| p.0 - b.0 > GAP_S.max(spacing * 4.0));
            let _ = match (before, series.shape) {
                (None, Shape::Area) => write!(d, "M{x},100V{y}"),
                (None, _) => write!(d, "M{x},{y}"),
                (Some(_), Shape::Line) if broken => write!(d, "M{x},{y}"),
                (Some(_), Shape::Line) => write!(d, "L{x},{y}"),
                (Some(_), _) => write!(d, "H{x}V{y}"),
            };
            before = Some(p);
        }
        if before.is_some() && series.shape != Shape::Line {
            d.push_str("H1000");
        }
        if before.is_some() && series.shape == Shape::Area {
            d.push_str("V100Z");
        }
        d
    }

    /// The chart in a sentence, for who does not see it.
    fn summary(&self) -> String {
        let mut text = format!("{}, {}, over {}.", self.title, self.unit, clock(self.length_s));
        for s in self.series.iter().filter(|s| !s.points.is_empty()) {
            let values = || s.points.iter().map(|p| p.1);
            let (low, high) =
                (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
            let last = s.points.last().map_or(0.0, |p| p.1);
            let (low, high, last) = (number(low), number(high), number(last));
            let _ = write!(text, " {}: from {low} to {high}, {last} at the end.", s.name);
        }
        for foot in &self.feet {
            let _ = write!(text, " {}.", foot.name);
        }
        text
    }

    fn table(&self, h: &mut Html) {
        let mut times: Vec<f64> = self.series.iter().flat_map(|s| s.points.iter().map(|p| p.0)).collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        if times.is_empty() {
            return;
        }
        let every = times.len().div_ceil(TABLE_ROWS_MAX).max(1);
        h.raw("<details class=\"data\"><summary>Table</summary><div class=\"scroll\" tabindex=\"0\"><table>");
        h.fill("<caption>{}, {}", &[&self.title, &self.unit]);
        if every > 1 {
            h.fill("; each {}th of {} times", &[&every, &times.len()]);
        }
        h.raw("</caption><thead><tr><th scope=\"col\">time</th>");
        for s in &self.series {
            h.fill("<th scope=\"col\" class=\"n\">{}</th>", &[&s.name]);
        }
        h.raw("</tr></thead><tbody>");
        for at_s in times.iter().step_by(every) {
            h.fill("<tr><th scope=\"row\">{}</th>", &[&clock(*at_s)]);
            for s in &self.series {
                let value = value_at(&s.points, *at_s).map_or_else(|| "–".to_owned(), number);
                h.fill("<td class=\"n\">{}</td>", &[&value]);
            }
            h.raw("</tr>");
        }
        h.raw("</tbody></table></div></details>");
    }
}

impl Mark {
    fn html(&self, h: &mut Html, length_s: f64) {
        let x = self.at_s / length_s;
        // What it says opens towards the middle.
        let side = if x > 0.55 { "l" } else { "r" };
        h.fill("<a class=\"pt {} {}\" href=\"#{}\"", &[&self.style, &side, &self.row]);
        h.fill(" style=\"left:{}%;bottom:{}%\"", &[&percent(x), &percent(self.height)]);
        h.raw(" aria-label=\"").escaped(&format_args!("{}. {}", self.head, self.body), 400);
        h.fill("\">{}<span class=\"tip\" aria-hidden=\"true\"><b>{}</b>", &[&self.sign, &self.head]);
        h.escaped(&self.body, 400).raw("</span></a>");
    }
}

/// Faults as bands over a whole plot; what has no length is a line.
pub(crate) fn bands(h: &mut Html, bands: &[Span], length_s: f64) {
    for b in bands {
        let (left, width) = place(b, length_s);
        h.fill(
            "<div class=\"band\" style=\"left:{}%;width:{}%\" title=\"{}\"></div>",
            &[&left, &width, &b.name],
        );
    }
}

/// Left edge and width of a span, in per cent.
pub(crate) fn place(span: &Span, length_s: f64) -> (String, String) {
    let share = |s: f64| (s / length_s).clamp(0.0, 1.0);
    (percent(share(span.from_s)), percent(share(span.to_s) - share(span.from_s)))
}

/// The labels below a plot.
pub(crate) fn time_axis(h: &mut Html, length_s: f64) {
    h.raw("<div class=\"xs\" aria-hidden=\"true\">");
    for tick in time_ticks(length_s) {
        // A label at the very end stays within the plot.
        let class = if tick / length_s > 0.97 { "end" } else { "" };
        h.fill(
            "<i class=\"{}\" style=\"left:{}%\">{}</i>",
            &[&class, &percent(tick / length_s), &clock(tick)],
        );
    }
    h.raw("</div>");
}

fn percent(share: f64) -> String {
    coordinate(share.clamp(0.0, 1.0) * 100.0)
}
