//! Stories into one message, within Slack's limits.

use tiny_forge_plugin::{Severity, Value, json};

use crate::mrkdwn;
use crate::story::{Story, emoji_of};

const MAX_BLOCKS: usize = 50;
const MAX_HEADER_CHARS: usize = 150;
const MAX_SECTION_CHARS: usize = 3_000;
/// Slack cuts a longer text itself; phones show much less.
const MAX_TEXT_CHARS: usize = 3_000;
/// A section and its footer.
const BLOCKS_PER_STORY: usize = 2;
/// Header, and the notice about what did not fit.
const OTHER_BLOCKS: usize = 2;
const MAX_STORIES: usize = (MAX_BLOCKS - OTHER_BLOCKS) / BLOCKS_PER_STORY;

/// `text` is what a phone's notification and a screen reader show, `blocks` what
/// the channel does.
pub(crate) fn compose(stories: &[Story], test: bool) -> Value {
    let title = title(stories, test);
    let mut blocks = vec![header(&title)];
    for story in stories.iter().take(MAX_STORIES) {
        blocks.push(section(story, stories.len() > 1));
        blocks.push(context(&story.footer));
    }
    let left_out = stories.len().saturating_sub(MAX_STORIES);
    if left_out > 0 {
        blocks.push(context(&format!(
            "… and {left_out} more events: a message holds no more"
        )));
    }
    json!({ "text": text(&title, stories), "blocks": blocks })
}

fn title(stories: &[Story], test: bool) -> String {
    let title = match stories {
        [story] => format!("{} {}", story.emoji, story.headline),
        several => {
            let worst = several.iter().map(|story| story.severity).max();
            let emoji = emoji_of(worst.unwrap_or(Severity::Info));
            format!("{emoji} {} events", several.len())
        }
    };
    match test {
        true => format!("🧪 Test: {title}"),
        false => title,
    }
}

fn text(title: &str, stories: &[Story]) -> String {
    let mut lines = vec![title.to_owned()];
    if stories.len() > 1 {
        lines.extend(stories.iter().map(|story| story.headline.clone()));
    }
    mrkdwn::escape(&lines.join("\n"), MAX_TEXT_CHARS)
}

fn header(title: &str) -> Value {
    json!({
        "type": "header",
        "text": {
            "type": "plain_text",
            "text": mrkdwn::escape(title, MAX_HEADER_CHARS),
            "emoji": true,
        },
    })
}

/// A single story's headline is in the header already.
fn section(story: &Story, with_headline: bool) -> Value {
    let mut lines = Vec::new();
    if with_headline || story.details.is_empty() {
        let headline = mrkdwn::escape(&story.headline, 300);
        lines.push(format!("{} *{headline}*", story.emoji));
    }
    // Whole lines only: half an escape or an open box would spoil the rest.
    let mut room = MAX_SECTION_CHARS - CUT.len();
    for line in lines.iter() {
        room -= line.chars().count() + 1;
    }
    for detail in &story.details {
        let chars = detail.chars().count() + 1;
        if chars > room {
            lines.push(CUT.to_owned());
            break;
        }
        room -= chars;
        lines.push(detail.clone());
    }
    json!({ "type": "section", "text": mrkdwn_text(&lines.join("\n")) })
}

const CUT: &str = "_more was cut_";

fn context(text: &str) -> Value {
    json!({ "type": "context", "elements": [mrkdwn_text(text)] })
}

/// Slack looks for nothing in it that we have not marked: no names, no addresses.
fn mrkdwn_text(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}
