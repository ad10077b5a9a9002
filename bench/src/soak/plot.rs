//! The plot of a soak: latency, memory and executions a second over its time, as one SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::{Sample, Step};

/// How large it is, in pixels.
const SIZE: (u32, u32) = (1_000, 900);
/// What is left above the largest value, so that a line does not run along the edge.
const HEADROOM: f64 = 1.15;
const FONT: &str = "sans-serif";

/// One line: its name, its colour, its value.
type Line = (&'static str, RGBColor, fn(&Sample) -> f64);

const LATENCY: [Line; 4] = [
    ("ask, p99", RGBColor(0, 90, 160), |sample| sample.of(Step::Ask)[1]),
    ("decision, p99", RGBColor(190, 60, 30), |sample| sample.of(Step::Decide)[1]),
    ("ask, p50", RGBColor(90, 160, 220), |sample| sample.of(Step::Ask)[0]),
    ("decision, p50", RGBColor(235, 150, 120), |sample| sample.of(Step::Decide)[0]),
];
const MEMORY: [Line; 1] = [("server and policy workers", RGBColor(60, 120, 60), |sample| sample.memory_mib)];
const RATE: [Line; 1] = [("executions", RGBColor(80, 80, 80), |sample| sample.per_second)];

/// Draws the samples into a file, which is replaced.
pub fn draw(path: &Path, samples: &[Sample]) -> Result<()> {
    let drawn = |error: &dyn std::fmt::Display| anyhow!("the plot cannot be drawn: {error}");
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(|error| drawn(&error))?;
    let panels: [(&str, &[Line]); 3] =
        [("milliseconds", &LATENCY), ("MiB of memory", &MEMORY), ("executions a second", &RATE)];
    for (area, (title, lines)) in root.split_evenly((panels.len(), 1)).iter().zip(panels) {
        panel(area, title, lines, samples).map_err(|error| drawn(&error))?;
    }
    root.present().map_err(|error| drawn(&error))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type DrawError<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn panel<'a>(area: &Area<'a>, title: &str, lines: &[Line], samples: &[Sample]) -> Result<(), DrawError<'a>> {
    let most = lines.iter().flat_map(|(_, _, value)| samples.iter().map(value)).fold(0.0, f64::max);
    let end = samples.last().map_or(1.0, |sample| sample.minute);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 18))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..end, 0.0..most.max(1.0) * HEADROOM)?;
    chart.configure_mesh().light_line_style(TRANSPARENT).x_desc("minutes").draw()?;
    for &(name, colour, value) in lines {
        let points = samples.iter().map(|sample| (sample.minute, value(sample)));
        let series = chart.draw_series(LineSeries::new(points, &colour))?;
        series.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .label_font((FONT, 13))
        .draw()
}
