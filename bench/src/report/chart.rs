//! A small maker of bar charts: text stays text, and colours follow the
//! reader's theme.

use std::fmt::Write;

/// Groups of horizontal bars, one of each series in a group.
pub struct Bars {
    pub title: String,
    /// What the numbers are.
    pub unit: &'static str,
    pub scale: Scale,
    pub series: Vec<&'static str>,
    pub groups: Vec<Group>,
}

pub struct Group {
    pub name: String,
    /// In the order of the series.
    pub values: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Linear,
    Log,
}

const WIDTH: f64 = 760.0;
/// Room for names, or more where one is longer.
const LEFT: f64 = 150.0;
const LETTER: f64 = 7.0;
/// Room for a number behind the longest bar.
const RIGHT: f64 = 80.0;
const TOP: f64 = 76.0;
const BAR: f64 = 16.0;
const GAP: f64 = 18.0;

/// Chosen to be told apart on white and on black, also by the colour-blind.
const STYLE: &str = "
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px }
.quiet { fill: #57606a; font-size: 12px }
.line { stroke: #d0d7de }
.s0 { fill: #d55e00 } .s1 { fill: #8c959f } .s2 { fill: #0072b2 } .s3 { fill: #009e73 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .quiet { fill: #9198a1 } .line { stroke: #3d444d }
  .s0 { fill: #f0883e } .s1 { fill: #7d8590 } .s2 { fill: #58a6ff } .s3 { fill: #3fb950 }
}
";

impl Bars {
    pub fn new(title: impl Into<String>, unit: &'static str, scale: Scale) -> Self {
        Self {
            title: title.into(),
            unit,
            scale,
            series: Vec::new(),
            groups: Vec::new(),
        }
    }

    pub fn group(&mut self, name: impl Into<String>, values: Vec<f64>) {
        let name = name.into();
        self.groups.push(Group { name, values });
    }

    pub fn svg(&self) -> String {
        let axis = Axis::over(self);
        let group_height = self.series.len() as f64 * BAR + GAP;
        let bottom = TOP + self.groups.len() as f64 * group_height;
        let height = bottom + 28.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n\
             <style>{STYLE}</style>\n\
             <text class=\"title\" x=\"8\" y=\"24\">{title}</text>\n",
            title = escaped(&self.title),
        );
        self.legend(&mut svg);
        for tick in axis.ticks() {
            let x = axis.x(tick);
            line(&mut svg, x, TOP - 6.0, bottom);
            text(
                &mut svg,
                "quiet",
                "middle",
                (x, bottom + 16.0),
                &number(tick),
            );
        }
        for (number, group) in self.groups.iter().enumerate() {
            let top = TOP + number as f64 * group_height;
            self.bars(&mut svg, &axis, group, top);
        }
        svg + "</svg>\n"
    }

    fn legend(&self, svg: &mut String) {
        let mut x = LEFT;
        for (number, name) in self.series.iter().enumerate() {
            rect(svg, number, (x, 38.0), (12.0, 12.0));
            text(svg, "", "start", (x + 18.0, 49.0), name);
            x += 46.0 + name.len() as f64 * LETTER;
        }
        let scale = match self.scale {
            Scale::Linear => "",
            Scale::Log => ", logarithmic",
        };
        let unit = format!("{}{scale}", self.unit);
        text(svg, "quiet", "end", (WIDTH - 8.0, 49.0), &unit);
    }

    fn bars(&self, svg: &mut String, axis: &Axis, group: &Group, top: f64) {
        let middle = top + self.series.len() as f64 * BAR / 2.0 + 4.0;
        text(svg, "", "end", (axis.left - 10.0, middle), &group.name);
        for (series, value) in group.values.iter().enumerate() {
            let y = top + series as f64 * BAR;
            let width = (axis.x(*value) - axis.left).max(1.0);
            rect(svg, series, (axis.left, y + 1.0), (width, BAR - 2.0));
            let place = (axis.left + width + 6.0, y + BAR - 4.0);
            text(svg, "quiet", "start", place, &number(*value));
        }
    }
}

/// From values to places.
struct Axis {
    scale: Scale,
    left: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(bars: &Bars) -> Self {
        let values = || bars.groups.iter().flat_map(|group| &group.values).copied();
        let most = values().fold(f64::MIN_POSITIVE, f64::max);
        let least = values().fold(most, f64::min);
        let from = match bars.scale {
            Scale::Linear => 0.0,
            // Half a power of ten below, so that the shortest bar is seen.
            Scale::Log => 10_f64.powf(least.log10().floor()) / 2.0,
        };
        let names = bars.groups.iter().map(|group| group.name.chars().count());
        let longest = names.max().unwrap_or(0) as f64;
        Self {
            scale: bars.scale,
            left: LEFT.max(20.0 + longest * LETTER),
            from,
            to: most,
        }
    }

    fn x(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => value / self.to,
            Scale::Log => (value / self.from).ln() / (self.to / self.from).ln(),
        };
        self.left + share.clamp(0.0, 1.0) * (WIDTH - self.left - RIGHT)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let step = step(self.to / 4.0);
                let count = (self.to / step).floor() as u32;
                (0..=count).map(|number| f64::from(number) * step).collect()
            }
            Scale::Log => {
                let powers = self.from.log10().ceil() as i32..=self.to.log10().floor() as i32;
                powers.map(|power| 10_f64.powi(power)).collect()
            }
        }
    }
}

/// The next of 1, 2, 5, 10, 20, …
fn step(at_least: f64) -> f64 {
    let power = 10_f64.powf(at_least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let fitting = steps.into_iter().find(|step| *step >= at_least);
    fitting.unwrap_or(10.0 * power)
}

/// As many digits as one reads.
fn number(value: f64) -> String {
    let (value, unit) = match value {
        big if big >= 1e6 => (value / 1e6, " M"),
        big if big >= 1e4 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match value {
        big if big >= 100.0 => 0,
        some if some >= 1.0 => 1,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{unit}")
}

type Place = (f64, f64);

fn text(svg: &mut String, class: &str, anchor: &str, (x, y): Place, text: &str) {
    let text = escaped(text);
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
    );
}

fn rect(svg: &mut String, series: usize, (x, y): Place, (width, height): (f64, f64)) {
    let _ = writeln!(
        svg,
        "<rect class=\"s{series}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
    );
}

fn line(svg: &mut String, x: f64, top: f64, bottom: f64) {
    let _ = writeln!(
        svg,
        "<line class=\"line\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>"
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
