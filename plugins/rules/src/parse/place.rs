use cel::ParseErrors;

/// What a reader of the first mistake is told besides.
const REMEDY: &str =
    "an expression looks like `severity >= \"error\" && payload.status == \"failed\"`";

/// Where a node of the tree is, as people count: `column 7`, in a longer text `line 2,
/// column 7`.
pub(super) fn of(text: &str, id: u64) -> String {
    let before = text.get(..offset(text, id)).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    written(before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// The parser says where its nodes are only together with an error: one more bracket than
/// there should be makes one, after all nodes have been numbered as before.
fn offset(text: &str, id: u64) -> usize {
    let Err(errors) = super::parse(&format!("{text}\n)")) else {
        return 0;
    };
    let mut sources = errors
        .errors
        .iter()
        .filter_map(|error| error.source_info.as_ref());
    let found = sources.find_map(|source| source.offset_for(id));
    found.map_or(0, |(start, _)| start as usize)
}

fn written(line: usize, column: usize) -> String {
    match line {
        0 | 1 => format!("column {column}"),
        line => format!("line {line}, column {column}"),
    }
}

/// The first thing that the parser did not understand; what comes after follows from it.
pub(super) fn syntax(text: &str, errors: &ParseErrors) -> String {
    let Some(error) = errors.errors.first() else {
        return format!("column 1: is no expression: {REMEDY}");
    };
    // The parser counts bytes.
    let (line, column) = (error.pos.0.unsigned_abs(), error.pos.1.unsigned_abs());
    let of_line = text.split('\n').nth(line.saturating_sub(1));
    let before = of_line.and_then(|of_line| of_line.get(..column.saturating_sub(1)));
    let place = written(line, before.unwrap_or_default().chars().count() + 1);
    let message = error.msg.trim_start_matches("Syntax error: ");
    // What else could stand there is a list of every token.
    let message = message.split(" expecting ").next().unwrap_or(message);
    if message.contains("has()") {
        return format!("{place}: `has` takes one field: `has(payload.status)`");
    }
    if message.contains("recursion limit") {
        return format!(
            "{place}: it has too many brackets within each other: make several rules of it"
        );
    }
    format!("{place}: {message}: {REMEDY}")
}
