//! What was measured, as a list for programs and as pages for people.

mod chart;
mod markdown;

use std::{fs, path::Path};

use anyhow::Context;
use serde::{Deserialize, Serialize};

pub use chart::{Bars, Scale};
pub use markdown::Page;

/// One number and what it should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    /// `≤ 3` or `≥ 0.9`; none where a figure only informs.
    pub target: Option<String>,
    pub unit: String,
    pub ok: Option<bool>,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    pub fn new(name: impl Into<String>, value: f64, unit: &str) -> Self {
        Self {
            name: name.into(),
            value: rounded(value),
            target: None,
            unit: unit.to_owned(),
            ok: None,
        }
    }

    pub fn with_target(name: impl Into<String>, value: f64, unit: &str, target: Target) -> Self {
        let (text, ok) = match target {
            Target::AtMost(limit) => (format!("≤ {limit}"), value <= limit),
            Target::AtLeast(limit) => (format!("≥ {limit}"), value >= limit),
        };
        Self {
            target: Some(text),
            ok: Some(ok),
            ..Self::new(name, value, unit)
        }
    }
}

/// Three digits are all that such a measurement has.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 2 - value.abs().log10().floor() as i32;
    if digits <= 0 {
        return value.round();
    }
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

/// A part of the report: its figures, and what explains them.
pub struct Chapter {
    pub title: &'static str,
    /// Tables, plots and words, in Markdown.
    pub page: Page,
    pub figures: Vec<Figure>,
}

/// Figures that another program has measured, in the form of `report.json`.
pub fn read_figures(file: &Path) -> anyhow::Result<Vec<Figure>> {
    let text = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("`{}` holds no list of figures", file.display()))
}

/// Writes `report.json`, `report.md` and `plots/`.
pub fn write(directory: &Path, conditions: &str, chapters: &[Chapter]) -> anyhow::Result<()> {
    let plots = directory.join("plots");
    fs::create_dir_all(&plots).with_context(|| format!("cannot make `{}`", plots.display()))?;
    fs::write(directory.join("report.json"), json(chapters)?)?;
    for chapter in chapters {
        for (name, svg) in chapter.page.plots() {
            fs::write(plots.join(format!("{name}.svg")), svg)?;
        }
    }
    let report = markdown::report(conditions, chapters);
    fs::write(directory.join("report.md"), report)?;
    Ok(())
}

/// One figure a line, so that changes are seen.
fn json(chapters: &[Chapter]) -> anyhow::Result<String> {
    let figures = chapters.iter().flat_map(|chapter| &chapter.figures);
    let lines = figures.map(|figure| Ok(format!("  {}", serde_json::to_string(figure)?)));
    let lines: Vec<_> = lines.collect::<Result<_, serde_json::Error>>()?;
    Ok(format!("[\n{}\n]\n", lines.join(",\n")))
}

#[cfg(test)]
mod tests {
    use super::{Figure, Target};

    #[test]
    fn a_figure_says_whether_it_reaches_its_target_and_how_exact_it_is() {
        let figure = Figure::with_target("speed", 1234.56, "events/s", Target::AtLeast(1234.0));
        assert_eq!((figure.value, figure.ok), (1235.0, Some(true)));
        let figure = Figure::with_target("time", 0.012_345, "ms", Target::AtMost(0.01));
        assert_eq!((figure.value, figure.ok), (0.0123, Some(false)));
        assert_eq!(figure.target.as_deref(), Some("≤ 0.01"));
    }
}
