//! The charts of the page, as SVG whose colours are classes of its style sheet.
//!
//! The plotting crate writes colours into the elements. The charts use colours that nothing else has, and
//! [`finished`] replaces each by its class, so that a page has light and dark colours. Coordinates are whole.

use std::fmt::Write as _;
use std::ops::Range;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::words::escaped;
use crate::domain::review::Day;
use crate::domain::text::shortened;

/// A colour of the style sheet, by its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Text and axes.
    Text,
    /// Lines of the grid.
    Grid,
    /// The number wanted.
    Target,
    /// The number reached, and bars.
    Reached,
    /// The objective.
    Objective,
    /// Values below the scale.
    Below,
}

/// Every [`Ink`], with its letter in the names of classes.
const INKS: [(Ink, char); 6] = [
    (Ink::Text, 't'),
    (Ink::Grid, 'g'),
    (Ink::Target, 'w'),
    (Ink::Reached, 'r'),
    (Ink::Objective, 'o'),
    (Ink::Below, 'b'),
];

impl Ink {
    /// Returns a colour that stands for it until [`finished`].
    fn color(self) -> RGBColor {
        RGBColor(1, 254, 16 + self as u8)
    }
}

/// The size of a chart in pixels. At 390 px it fits a phone without being scaled.
const SIZE: (u32, u32) = (350, 190);
/// The size of the small chart of a function.
const SMALL: (u32, u32) = (90, 24);
/// The size of text in plotters' unit, 1.24 times that of CSS.
const TEXT: f64 = 13.6;
/// The height of a bar with its text.
const BAR: u32 = 32;
/// The most characters of a bar's name.
const MOST_NAME: usize = 34;

/// A line of days: a value for each, `None` for a gap.
type Line<'v> = (Ink, &'v [Option<f64>]);

/// A bar: its name, its value and the text of the value. Without a value there is only text.
pub(super) type Bar = (String, Option<f64>, String);

/// A failed drawing. Writing to a string does not fail.
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Draws lines over days with axes. `label` formats the values of the axis.
pub(super) fn lines(
    title: &str,
    days: &[Day],
    range: Range<f64>,
    lines: &[Line<'_>],
    label: &dyn Fn(&f64) -> String,
) -> String {
    drawn(SIZE, title, |area| {
        let width = i32::try_from(days.len().max(1)).unwrap_or(i32::MAX);
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .margin_right(12)
            .x_label_area_size(22)
            .y_label_area_size(46)
            .build_cartesian_2d(0..width, range)?;
        let text = ("sans-serif", TEXT).into_font().color(&Ink::Text.color());
        let date = |day: &i32| {
            let day = usize::try_from(*day).ok().and_then(|day| days.get(day));
            day.map(|day| day.date.format("%-d %b").to_string()).unwrap_or_default()
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(5)
            .y_labels(5)
            .axis_style(Ink::Grid.color())
            .bold_line_style(Ink::Grid.color())
            .light_line_style(TRANSPARENT)
            .label_style(text)
            .x_label_formatter(&date)
            .y_label_formatter(label)
            .draw()?;
        for (ink, values) in lines {
            for steps in steps(values) {
                chart.draw_series([PathElement::new(steps, ink.color())])?;
            }
        }
        Ok(())
    })
}

/// Draws lines over days without axes.
pub(super) fn small(title: &str, range: Range<f64>, lines: &[Line<'_>]) -> String {
    let days = lines.first().map_or(0, |(_, values)| values.len()).max(1);
    drawn(SMALL, title, |area| {
        let width = i32::try_from(days).unwrap_or(i32::MAX);
        let mut chart =
            ChartBuilder::on(area).margin_top(2).margin_bottom(2).build_cartesian_2d(0..width, range)?;
        for (ink, values) in lines {
            for steps in steps(values) {
                chart.draw_series([PathElement::new(steps, ink.color())])?;
            }
        }
        Ok(())
    })
}

/// Draws a horizontal bar for each value, with its name and text above it.
pub(super) fn bars(title: &str, shown: &[Bar]) -> String {
    let height = BAR * u32::try_from(shown.len()).unwrap_or(0).max(1);
    let most = shown.iter().filter_map(|(_, value, _)| *value).fold(0.0, f64::max);
    drawn((SIZE.0, height), title, |area| {
        let text = ("sans-serif", TEXT).into_font().color(&Ink::Text.color());
        let right = text.clone().pos(Pos::new(HPos::Right, VPos::Top));
        let width = SIZE.0 as i32;
        for ((name, value, figure), top) in shown.iter().zip((0_i32..).step_by(BAR as usize)) {
            area.draw(&Text::new(shortened(name, MOST_NAME), (0, top), text.clone()))?;
            area.draw(&Text::new(figure.as_str(), (width, top), right.clone()))?;
            let Some(value) = value else { continue };
            // The cast saturates.
            let end = if most > 0.0 { (value / most * f64::from(width)).round() as i32 } else { 0 };
            let bar = [(0, top + 17), (end.max(1), top + 25)];
            area.draw(&Rectangle::new(bar, Ink::Reached.color().filled()))?;
        }
        Ok(())
    })
}

/// Returns the corners of the steps of each stretch without a gap.
fn steps(values: &[Option<f64>]) -> Vec<Vec<(i32, f64)>> {
    let mut stretches: Vec<Vec<(i32, f64)>> = Vec::new();
    let mut goes_on = false;
    for (day, value) in (0..).zip(values) {
        if let Some(value) = value {
            if !goes_on {
                stretches.push(Vec::new());
            }
            if let Some(stretch) = stretches.last_mut() {
                stretch.extend([(day, *value), (day + 1, *value)]);
            }
        }
        goes_on = value.is_some();
    }
    stretches
}

/// Draws and finishes a chart; empty if it cannot be drawn.
fn drawn(
    size: (u32, u32),
    title: &str,
    draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Drawn,
) -> String {
    let mut svg = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&area).and_then(|()| Ok(area.present()?))
    };
    if drawn.is_err() { String::new() } else { finished(&svg, size, title) }
}

/// Replaces colours by classes and polylines by shorter paths, and adds the title.
fn finished(svg: &str, (width, height): (u32, u32), title: &str) -> String {
    // The style sheet gives small charts their size.
    let is_small = (width, height) == SMALL;
    let view = if is_small { String::new() } else { format!(" viewBox=\"0 0 {width} {height}\"") };
    let mut out = format!("<svg{view} role=\"img\"><title>{}</title>", escaped(title));
    for line in svg.lines().skip(1) {
        let mut line = match line.strip_prefix("<polyline ").and_then(|rest| rest.split_once("points=\"")) {
            Some((style, points)) => match path(points.trim_end_matches("\"/>")) {
                Some(path) => format!("<path {style}d=\"{path}\"/>"),
                None => continue,
            },
            None => line.to_owned(),
        };
        for constant in [
            " opacity=\"1\"",
            " fill=\"none\"",
            "fill=\"none\" ",
            " stroke=\"none\"",
            " stroke-width=\"1\"",
            " font-family=\"sans-serif\"",
            " text-anchor=\"start\"",
        ] {
            line = line.replace(constant, "");
        }
        if let Some((before, after)) = line.split_once(" font-size=\"")
            && let Some((_, after)) = after.split_once('"')
        {
            line = format!("{before}{after}");
        }
        for (ink, letter) in INKS {
            let RGBColor(red, green, blue) = ink.color();
            let color = format!("#{red:02X}{green:02X}{blue:02X}");
            line = line.replace(&format!("stroke=\"{color}\""), &format!("class=\"s{letter}\""));
            line = line.replace(&format!("fill=\"{color}\""), &format!("class=\"f{letter}\""));
        }
        out.push_str(&line);
    }
    out
}

/// Returns the data of a path through points such as `0,5 3,5 `, with relative steps and without points on a line;
/// `None` without points.
fn path(points: &str) -> Option<String> {
    let point = |text: &str| {
        let (x, y) = text.split_once(',')?;
        Some((x.parse::<i32>().ok()?, y.parse::<i32>().ok()?))
    };
    let mut points = points.split_whitespace().map_while(point);
    let mut at = points.next()?;
    let mut out = format!("M{} {}", at.0, at.1);
    let mut open = (0_i32, 0_i32);
    for (x, y) in points {
        let step = (x - at.0, y - at.1);
        if step == (0, 0) {
            continue;
        }
        at = (x, y);
        let goes_on = (step.0 == 0 && open.0 == 0 && step.1.signum() == open.1.signum())
            || (step.1 == 0 && open.1 == 0 && step.0.signum() == open.0.signum());
        if goes_on {
            open = (open.0 + step.0, open.1 + step.1);
        } else {
            push(&mut out, open);
            open = step;
        }
    }
    push(&mut out, open);
    Some(out)
}

fn push(path: &mut String, step: (i32, i32)) {
    let _ = match step {
        (0, 0) => Ok(()),
        (x, 0) => write!(path, "h{x}"),
        (0, y) => write!(path, "v{y}"),
        (x, y) => write!(path, "l{x} {y}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_line_are_left_out() {
        assert_eq!(path("0,5 3,5 6,5 6,2 9,2 9,9 ").unwrap(), "M0 5h6v-3h3v7");
        assert_eq!(path("1,1 2,2 0,2 ").unwrap(), "M1 1l1 1h-2");
        assert_eq!(path(""), None);
    }

    #[test]
    fn a_small_chart_has_classes_gaps_and_an_escaped_title() {
        let values = [Some(1.0), Some(1.0), None, Some(0.9)];
        let svg = small("a <b> & \"c\"", 0.9..1.0, &[(Ink::Reached, &values)]);
        insta::assert_snapshot!(svg, @r#"<svg role="img"><title>a &lt;b&gt; &amp; &quot;c&quot;</title><path class="sr" d="M0 2h44"/><path class="sr" d="M66 21h23"/></svg>"#);
        assert_eq!(steps(&[None, Some(2.0)]), [vec![(1, 2.0), (2, 2.0)]]);
    }

    #[test]
    fn bars_have_no_color_of_their_own() {
        let svg = bars(
            "cost",
            &[
                ("</svg><script>".to_owned(), Some(2.0), "$2.00".to_owned()),
                ("b".to_owned(), Some(0.0), "$0".to_owned()),
                ("others".to_owned(), None, "$9".to_owned()),
            ],
        );
        insta::assert_snapshot!(svg, @r#"<svg viewBox="0 0 350 96" role="img"><title>cost</title><text x="0" y="0" dy="0.76em" class="ft">&lt;/svg&gt;&lt;script&gt;</text><text x="350" y="0" dy="0.76em" text-anchor="end" class="ft">$2.00</text><rect x="0" y="17" width="350" height="8" class="fr"/><text x="0" y="32" dy="0.76em" class="ft">b</text><text x="350" y="32" dy="0.76em" text-anchor="end" class="ft">$0</text><rect x="0" y="49" width="1" height="8" class="fr"/><text x="0" y="64" dy="0.76em" class="ft">others</text><text x="350" y="64" dy="0.76em" text-anchor="end" class="ft">$9</text></svg>"#);
    }
}
