//! What was measured, as a list for programs and as pages for people.

mod chart;
mod markdown;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

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
    /// A run that misses its target fails.
    #[serde(default)]
    pub must: bool,
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
            must: false,
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

    /// With a target that a run fails without.
    pub fn must(name: impl Into<String>, value: f64, unit: &str, target: Target) -> Self {
        Self {
            must: true,
            ..Self::with_target(name, value, unit, target)
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            value,
            target,
            unit,
            ok: _,
            must: _,
        } = self;
        write!(out, "{name}: {value} {unit}")?;
        match target {
            Some(target) => write!(out, ", target {target}"),
            None => Ok(()),
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

/// Figures that another program has measured, in the form of `report.json`. Of
/// several with one name the median is taken.
pub fn read_figures(files: &[PathBuf]) -> anyhow::Result<Vec<Figure>> {
    let mut figures: Vec<Vec<Figure>> = Vec::new();
    for file in files {
        let text = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        let read: Vec<Figure> = serde_json::from_slice(&text)
            .with_context(|| format!("`{}` holds no list of figures", file.display()))?;
        for figure in read {
            match figures.iter_mut().find(|it| it[0].name == figure.name) {
                Some(known) => known.push(figure),
                None => figures.push(vec![figure]),
            }
        }
    }
    Ok(figures.into_iter().map(median).collect())
}

/// The one in the middle, with its verdict.
fn median(mut figures: Vec<Figure>) -> Figure {
    figures.sort_by(|one, other| one.value.total_cmp(&other.value));
    figures.swap_remove(figures.len() / 2)
}

/// A sentence about what a run may not miss and has missed.
pub fn missed(chapters: &[Chapter]) -> Option<String> {
    let figures = chapters.iter().flat_map(|chapter| &chapter.figures);
    let missed: Vec<_> = figures
        .filter(|figure| figure.must && figure.ok == Some(false))
        .map(Figure::to_string)
        .collect();
    (!missed.is_empty()).then(|| format!("what must be reached is missed: {}", missed.join("; ")))
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
    use super::{Chapter, Figure, Page, Target, median, missed};

    #[test]
    fn a_figure_says_whether_it_reaches_its_target_and_how_exact_it_is() {
        let figure = Figure::with_target("speed", 1234.56, "events/s", Target::AtLeast(1234.0));
        assert_eq!((figure.value, figure.ok), (1235.0, Some(true)));
        let figure = Figure::with_target("time", 0.012_345, "ms", Target::AtMost(0.01));
        assert_eq!((figure.value, figure.ok), (0.0123, Some(false)));
        assert_eq!(figure.target.as_deref(), Some("≤ 0.01"));
    }

    #[test]
    fn only_what_a_run_may_not_miss_fails_it() {
        let figures = vec![
            Figure::with_target("speed", 1.0, "events/s", Target::AtLeast(2.0)),
            Figure::must("bound", 0.5, "×", Target::AtMost(1.0)),
        ];
        let mut chapter = Chapter {
            title: "",
            page: Page::default(),
            figures,
        };
        assert_eq!(missed(std::slice::from_ref(&chapter)), None);
        let growth = Figure::must("growth", 3.0, "MiB", Target::AtMost(2.0));
        chapter.figures.push(growth);
        let said = missed(&[chapter]).expect("one is missed");
        assert!(
            said.ends_with("missed: growth: 3 MiB, target ≤ 2"),
            "{said}"
        );
    }

    #[test]
    fn the_median_of_figures_keeps_its_verdict() {
        let of = |value| Figure::with_target("publish", value, "ns", Target::AtMost(100.0));
        let figure = median(vec![of(90.0), of(120.0), of(101.0)]);
        assert_eq!((figure.value, figure.ok), (101.0, Some(false)));
    }
}
