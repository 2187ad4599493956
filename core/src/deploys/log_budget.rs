/// Log bytes that are kept of one deploy; what comes after is cut, visibly.
const BYTES_MAX: usize = 50 << 20;
const CUT_MARK: &str = "(the log of this deploy is cut here: 50 MiB)";

/// How much of a deploy's log has been written.
#[derive(Debug, Default)]
pub(super) struct LogBudget {
    bytes: usize,
}

impl LogBudget {
    /// The line if there is room, once the mark of the cut, then nothing more.
    pub(super) fn admit(&mut self, line: String) -> Option<String> {
        if self.bytes > BYTES_MAX {
            return None;
        }
        self.bytes += line.len() + 1;
        Some(if self.bytes > BYTES_MAX {
            CUT_MARK.to_owned()
        } else {
            line
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, CUT_MARK, LogBudget};

    #[test]
    fn a_log_without_end_is_cut_once_and_visibly() {
        let mut budget = LogBudget::default();
        let line = "x".repeat((1 << 20) - 1);
        let admitted: Vec<_> = (0..60).map(|_| budget.admit(line.clone())).collect();
        let whole = BYTES_MAX >> 20;
        assert!(
            admitted[..whole]
                .iter()
                .all(|it| it.as_ref() == Some(&line))
        );
        assert_eq!(admitted[whole].as_deref(), Some(CUT_MARK));
        assert!(admitted[whole + 1..].iter().all(Option::is_none));
    }
}
