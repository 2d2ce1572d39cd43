//! The plots of the documentation.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const SIZE: (u32, u32) = (720, 300);
const FONT: &str = "sans-serif";
const FONT_SIZE: u32 = 14;
/// Readable on a light page and on a dark one, as all colours here: the background is the page's.
const INK: RGBColor = RGBColor(118, 118, 118);
const COLOURS: [RGBColor; 4] = [
    RGBColor(46, 139, 87),
    RGBColor(205, 92, 92),
    RGBColor(218, 140, 40),
    RGBColor(90, 130, 200),
];

/// A bar and what it stands for.
pub struct Bar {
    pub name: &'static str,
    pub value: f64,
}

/// Bars that belong together.
pub struct Group {
    /// A line or several.
    pub name: String,
    pub bars: Vec<Bar>,
}

/// A point of a line.
pub struct Point {
    pub x: f64,
    pub y: f64,
}

/// How many models each program leaves running, night by night, into a file.
pub fn left_running(file: &Path, nights: &[Group]) -> Result<(), Box<dyn Error>> {
    let most = largest(nights.iter().flat_map(|night| &night.bars));
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .caption("Models left running under a quota", font())
        .margin(10)
        .x_label_area_size(45)
        .y_label_area_size(55)
        .build_cartesian_2d(0.0..nights.len() as f64, 0.0..most * 1.15)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .axis_style(INK)
        .light_line_style(TRANSPARENT)
        .bold_line_style(INK.mix(0.3))
        .label_style(font())
        .y_desc("models")
        .x_labels(0)
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    for (number, night) in nights.iter().enumerate() {
        let width = 0.8 / night.bars.len() as f64;
        for (place, (bar, colour)) in night.bars.iter().zip(COLOURS).enumerate() {
            let left = number as f64 + 0.1 + width * place as f64;
            let right = left + width * 0.9;
            let shape = Rectangle::new([(left, 0.0), (right, bar.value)], colour.filled());
            let above = (left + width / 2.0, bar.value + most * 0.01);
            let label = Text::new(format!("{:.0}", bar.value), above, centred(VPos::Bottom));
            chart.draw_series([shape])?;
            chart.plotting_area().draw(&label)?;
        }
        let (x, y) = chart.backend_coord(&(number as f64 + 0.5, 0.0));
        for (line, text) in night.name.lines().enumerate() {
            let below = (x, y + 8 + 16 * line as i32);
            area.draw(&Text::new(text, below, centred(VPos::Top)))?;
        }
    }
    if let Some(night) = nights.first() {
        for (place, (bar, colour)) in night.bars.iter().zip(COLOURS).enumerate() {
            let y = 40 + 20 * place as i32;
            let square = Rectangle::new([(80, y), (92, y + 12)], colour.filled());
            area.draw(&square)?;
            area.draw(&Text::new(bar.name, (100, y), font()))?;
        }
    }
    area.present()?;
    Ok(())
}

/// How long each program takes, as bars on a logarithmic scale, into a file.
pub fn first_invocation(file: &Path, programs: &[Bar]) -> Result<(), Box<dyn Error>> {
    let most = largest(programs);
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .caption(
            "First invocation in 128 MB, one model: milliseconds, logarithmic",
            font(),
        )
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(150)
        .build_cartesian_2d((1.0..most * 2.0).log_scale(), 0.0..programs.len() as f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .axis_style(INK)
        .light_line_style(TRANSPARENT)
        .bold_line_style(INK.mix(0.3))
        .label_style(font())
        .y_labels(0)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .draw()?;
    for (place, (bar, colour)) in programs.iter().zip(COLOURS).enumerate() {
        let top = (programs.len() - place) as f64 - 0.2;
        let shape = Rectangle::new([(1.0, top - 0.6), (bar.value, top)], colour.filled());
        chart.draw_series([shape])?;
        let beside = (bar.value * 1.05, top - 0.3);
        let value = Text::new(format!("{:.0}", bar.value), beside, at(HPos::Left));
        chart.plotting_area().draw(&value)?;
        let (x, y) = chart.backend_coord(&(1.0, top - 0.3));
        area.draw(&Text::new(bar.name, (x - 8, y), at(HPos::Right)))?;
    }
    area.present()?;
    Ok(())
}

/// How long an organization takes, by the number of its accounts, into a file.
pub fn organizations(file: &Path, points: &[Point]) -> Result<(), Box<dyn Error>> {
    let most_accounts = points.iter().map(|point| point.x).fold(0.0, f64::max);
    let most_seconds = points.iter().map(|point| point.y).fold(0.0, f64::max);
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .caption(
            "Accounts without models in 11 regions, in 128 MB: seconds",
            font(),
        )
        .margin(10)
        .x_label_area_size(45)
        .y_label_area_size(55)
        .build_cartesian_2d(0.0..most_accounts * 1.1, 0.0..most_seconds * 1.15)?;
    chart
        .configure_mesh()
        .axis_style(INK)
        .light_line_style(TRANSPARENT)
        .bold_line_style(INK.mix(0.3))
        .label_style(font())
        .x_desc("accounts")
        .y_desc("seconds")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    let [colour, ..] = COLOURS;
    let places = points.iter().map(|point| (point.x, point.y));
    chart.draw_series(LineSeries::new(places.clone(), colour.stroke_width(2)))?;
    chart.draw_series(places.map(|place| Circle::new(place, 4, colour.filled())))?;
    // The first ones are too close to each other for figures.
    for point in points
        .iter()
        .filter(|point| point.x >= most_accounts / 20.0)
    {
        let above = (point.x, point.y + most_seconds * 0.04);
        let label = Text::new(format!("{:.1}", point.y), above, centred(VPos::Bottom));
        chart.plotting_area().draw(&label)?;
    }
    area.present()?;
    Ok(())
}

fn largest<'a>(bars: impl IntoIterator<Item = &'a Bar>) -> f64 {
    bars.into_iter().map(|bar| bar.value).fold(1.0, f64::max)
}

fn font() -> TextStyle<'static> {
    (FONT, FONT_SIZE).into_font().color(&INK)
}

fn centred(vertical: VPos) -> TextStyle<'static> {
    font().pos(Pos::new(HPos::Center, vertical))
}

fn at(horizontal: HPos) -> TextStyle<'static> {
    font().pos(Pos::new(horizontal, VPos::Center))
}
