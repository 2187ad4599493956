use super::{Bars, Chapter, Figure};

/// Found out by measuring; to be looked at again when the figures change.
const LIMITS: &str = include_str!("limits.md");

/// Blocks of Markdown, and the plots that they show.
#[derive(Default)]
pub struct Page {
    blocks: Vec<String>,
    plots: Vec<(&'static str, String)>,
}

impl Page {
    pub fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(text.into());
    }

    /// The first row is the head; all columns but the first are numbers.
    pub fn table(&mut self, rows: &[Vec<String>]) {
        let Some((head, rows)) = rows.split_first() else {
            return;
        };
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = std::iter::once("---").chain(head.iter().skip(1).map(|_| "---:"));
        let rule: Vec<_> = rule.map(str::to_owned).collect();
        let rows: String = rows.iter().map(|row| line(row)).collect();
        self.blocks
            .push((line(head) + &line(&rule) + &rows).trim_end().to_owned());
    }

    /// Shows a plot from the file of this name.
    pub fn plot(&mut self, name: &'static str, bars: &Bars) {
        self.blocks
            .push(format!("![{}](plots/{name}.svg)", bars.title));
        self.plots.push((name, bars.svg()));
    }

    pub(super) fn plots(&self) -> &[(&'static str, String)] {
        &self.plots
    }
}

pub(super) fn report(conditions: &str, chapters: &[Chapter]) -> String {
    let mut blocks = vec![
        "# Figures".to_owned(),
        conditions.trim().to_owned(),
        summary(chapters),
    ];
    for Chapter {
        title,
        page,
        figures,
    } in chapters
    {
        blocks.push(format!("## {title}"));
        blocks.extend(page.blocks.iter().cloned());
        let mut targets = Page::default();
        targets.table(&figure_rows(figures));
        blocks.append(&mut targets.blocks);
    }
    blocks.push(LIMITS.trim().to_owned());
    blocks.join("\n\n") + "\n"
}

/// What is missed comes first: it is what one looks for.
fn summary(chapters: &[Chapter]) -> String {
    let figures = || chapters.iter().flat_map(|chapter| &chapter.figures);
    let with_target = figures().filter(|figure| figure.ok.is_some()).count();
    let missed: Vec<_> = figures()
        .filter(|figure| figure.ok == Some(false))
        .map(|figure| format!("- {figure}"))
        .collect();
    let reached = with_target - missed.len();
    let list = if missed.is_empty() {
        String::new()
    } else {
        format!(
            " Not reached ([why](#what-limits-what-is-missed)):\n\n{}",
            missed.join("\n")
        )
    };
    format!("{reached} of {with_target} targets are reached.{list}")
}

fn figure_rows(figures: &[Figure]) -> Vec<Vec<String>> {
    let head = ["figure", "value", "unit", "target", "reached"].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    for figure in figures {
        let Figure {
            name,
            value,
            target,
            unit,
            ok,
            must,
        } = figure;
        let target = target.as_deref().unwrap_or_default();
        let target = match must {
            true => format!("{target}, a must"),
            false => target.to_owned(),
        };
        let verdict = match ok {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        rows.push(vec![
            name.clone(),
            value.to_string(),
            unit.clone(),
            target,
            verdict.to_owned(),
        ]);
    }
    rows
}
