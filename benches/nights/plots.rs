//! The plots of the documentation, as SVG: each for light pages and for dark ones.

use std::fmt::Write;

/// A page shows a plot of this width as it is.
const WIDTH: f64 = 720.0;
const FONT_SIZE: f64 = 15.0;
/// The most seconds that Lambda gives a run.
const LONGEST_RUN: f64 = 900.0;

/// The colours for a page. The contrast to the background is at least 4.5 for text, and 3 for what
/// a program is drawn in.
pub struct Theme {
    pub name: &'static str,
    background: &'static str,
    text: &'static str,
    grid: &'static str,
    /// Of this program, and of its peers.
    programs: [&'static str; 4],
}

pub const THEMES: [Theme; 2] = [
    Theme {
        name: "light",
        background: "#ffffff",
        text: "#1f2328",
        grid: "#d1d9e0",
        programs: ["#0969da", "#8c959f", "#6e7781", "#4c545d"],
    },
    Theme {
        name: "dark",
        background: "#0d1117",
        text: "#e6edf3",
        grid: "#30363d",
        programs: ["#58a6ff", "#6e7681", "#8f98a2", "#b6bfc8"],
    },
];

/// Bars that are shown side by side, one for each program.
pub struct Group {
    pub name: [String; 2],
    pub percentages: Vec<f64>,
}

pub struct Bar {
    pub name: &'static str,
    pub milliseconds: f64,
}

pub struct Point {
    pub x: f64,
    pub x_label: String,
    pub y: f64,
}

/// Percentages of each program, in groups.
pub fn percentages(theme: &Theme, title: &str, programs: &[&str], groups: &[Group]) -> String {
    let mut svg = Svg::new(theme, title);
    let (left, top, bottom) = (68.0, 90.0, 290.0);
    let y_of = |percent: f64| bottom - percent / 100.0 * (bottom - top);
    for percent in [0.0, 25.0, 50.0, 75.0, 100.0] {
        svg.grid_line([left, y_of(percent)], [700.0, y_of(percent)]);
        let label = format!("{percent:.0} %");
        svg.text([left - 8.0, y_of(percent) + 5.0], Anchor::End, &label);
    }
    let mut x = left;
    for (program, colour) in programs.iter().zip(theme.programs) {
        svg.rectangle([x, 46.0], [14.0, 14.0], colour);
        svg.text([x + 20.0, 58.0], Anchor::Start, program);
        x += 45.0 + 8.0 * program.len() as f64;
    }
    let width = (700.0 - left) / groups.len() as f64;
    for (number, group) in groups.iter().enumerate() {
        let start = left + width * (number as f64 + 0.06);
        let bar = 0.88 * width / programs.len() as f64;
        for (place, (percent, colour)) in group.percentages.iter().zip(theme.programs).enumerate() {
            let x = start + bar * place as f64;
            let y = y_of(*percent);
            // A bar of nothing is seen as well.
            svg.rectangle([x + 1.0, y - 2.0], [bar - 2.0, bottom - y + 2.0], colour);
            let label = format!("{percent:.0}");
            svg.text([x + bar / 2.0, y - 7.0], Anchor::Middle, &label);
        }
        for (line, name) in group.name.iter().enumerate() {
            let below = [start + 0.44 * width, bottom + 22.0 + 20.0 * line as f64];
            svg.text(below, Anchor::Middle, name);
        }
    }
    svg.end(345.0)
}

/// How long each program takes.
pub fn bars(theme: &Theme, title: &str, bars: &[Bar]) -> String {
    let mut svg = Svg::new(theme, title);
    let (left, right) = (170.0, 620.0);
    let most = bars.iter().map(|bar| bar.milliseconds).fold(0.0, f64::max);
    let mut y = 48.0;
    for (bar, colour) in bars.iter().zip(theme.programs) {
        let width = bar.milliseconds / most * (right - left);
        svg.text([left - 10.0, y + 20.0], Anchor::End, bar.name);
        svg.rectangle([left, y], [width, 28.0], colour);
        let label = format!("{:.0} ms", bar.milliseconds);
        svg.text([left + width + 8.0, y + 20.0], Anchor::Start, &label);
        y += 38.0;
    }
    svg.end(y + 8.0)
}

/// Seconds by a number, and the line that they must not reach.
pub fn seconds(theme: &Theme, title: &str, points: &[Point], x_name: &str) -> String {
    let mut svg = Svg::new(theme, title);
    let (left, right, top, bottom) = (60.0, 690.0, 60.0, 300.0);
    let most_x = points.iter().map(|point| point.x).fold(0.0, f64::max);
    let x_of = |x: f64| left + x / most_x * (right - left - 40.0);
    let y_of = |y: f64| bottom - y / 1000.0 * (bottom - top);
    for y in [0.0, 200.0, 400.0, 600.0, 800.0] {
        svg.grid_line([left, y_of(y)], [right, y_of(y)]);
        svg.text([left - 8.0, y_of(y) + 5.0], Anchor::End, &format!("{y:.0}"));
    }
    let [ink, colour] = [theme.text, theme.programs[0]];
    let limit = [[left, y_of(LONGEST_RUN)], [right, y_of(LONGEST_RUN)]];
    svg.path(&limit, ink, r#" stroke-dasharray="6 4""#);
    let name = format!("{LONGEST_RUN} seconds, after which Lambda ends a run");
    svg.text([left + 8.0, y_of(LONGEST_RUN) - 8.0], Anchor::Start, &name);
    let places = points.iter().map(|point| [x_of(point.x), y_of(point.y)]);
    svg.path(&places.collect::<Vec<_>>(), colour, "");
    for Point { x, x_label, y } in points {
        let [left, above] = [x_of(*x), y_of(*y)];
        svg.rectangle([left - 4.0, above - 4.0], [8.0, 8.0], colour);
        let label = format!("{y:.0} s");
        svg.text([left, above - 12.0], Anchor::Middle, &label);
        svg.text([left, bottom + 22.0], Anchor::Middle, x_label);
    }
    svg.text(
        [(left + right) / 2.0, bottom + 44.0],
        Anchor::Middle,
        x_name,
    );
    svg.end(bottom + 56.0)
}

/// A drawing, from its first shape on.
struct Svg<'a> {
    theme: &'a Theme,
    title: &'a str,
    shapes: String,
}

#[derive(Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

impl<'a> Svg<'a> {
    fn new(theme: &'a Theme, title: &'a str) -> Self {
        Self {
            theme,
            title,
            shapes: String::new(),
        }
    }

    fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (fill, behind) = (self.theme.text, self.theme.background);
        self.shape(&format!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{fill}" stroke="{behind}"
    stroke-width="4" paint-order="stroke">{text}</text>"#
        ));
    }

    fn rectangle(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], fill: &str) {
        self.shape(&format!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{fill}"/>"#
        ));
    }

    fn grid_line(&mut self, from: [f64; 2], to: [f64; 2]) {
        self.path(&[from, to], self.theme.grid, "");
    }

    fn path(&mut self, points: &[[f64; 2]], stroke: &str, attributes: &str) {
        let points = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}"));
        let points = points.collect::<Vec<_>>().join(" ");
        self.shape(&format!(
            r#"<polyline points="{points}" fill="none" stroke="{stroke}" stroke-width="2"{attributes}/>"#
        ));
    }

    fn shape(&mut self, shape: &str) {
        writeln!(self.shapes, "{shape}").unwrap();
    }

    fn end(self, height: f64) -> String {
        let Self {
            theme,
            title,
            shapes,
        } = self;
        let (background, text) = (theme.background, theme.text);
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{WIDTH}" height="{height}"
    viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="{FONT_SIZE}">
<title>{title}</title>
<rect width="100%" height="100%" fill="{background}"/>
<text x="20" y="26" font-weight="bold" fill="{text}">{title}</text>
{shapes}</svg>
"#
        )
    }
}
