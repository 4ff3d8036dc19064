//! What a connection's next compressed message may refer to: the plain text of those before it (RFC 7692 §7.2.3.2).
//!
//! Ten thousand members of a room are sent the same messages, but one has come earlier and another has answers of its
//! own in between, so hardly two have the same text behind them. What they do have in common is the row since a message
//! that could be read on its own: mostly one with which the server began anew. So a connection holds its row, which it
//! shares with all others that were sent the same since, and the rows before, for a server that goes back further.

use std::collections::VecDeque;
use std::rc::Rc;

/// How far back a message may refer.
pub(crate) const WINDOW_BYTES: usize = 32 << 10;

/// Plain text, at most [`WINDOW_BYTES`], that connections have behind them alike.
#[derive(Debug)]
pub(crate) struct Window {
    /// Tells it from all others of its memo.
    pub(crate) id: u64,
    /// What was said, as far as it can be referred to.
    pub(crate) text: Box<[u8]>,
}

impl Window {
    /// What there is once `message` was said behind `before`.
    pub(crate) fn after(before: &[u8], message: &[u8], id: u64) -> Rc<Self> {
        let said = last(message, WINDOW_BYTES);
        let text = [last(before, WINDOW_BYTES - said.len()), said].concat();
        Rc::new(Self { id, text: text.into() })
    }
}

/// All that a connection's next message may refer to.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// Since the latest message that referred to nothing.
    row: Option<Rc<Window>>,
    /// Earlier rows, as far as the window reaches.
    before: VecDeque<Rc<Window>>,
    before_bytes: usize,
}

impl Context {
    /// Since the latest message that referred to nothing.
    pub(crate) fn row(&self) -> Option<&Rc<Window>> {
        self.row.as_ref()
    }

    /// The row has gone on to this.
    pub(crate) fn goes_on(&mut self, row: Rc<Window>) {
        self.row = Some(row);
    }

    /// A message came that refers to nothing: this is it.
    pub(crate) fn begins(&mut self, row: Rc<Window>) {
        if let Some(row) = self.row.replace(row) {
            self.before_bytes += row.text.len();
            self.before.push_back(row);
        }
        // The oldest row is out of reach when the others fill the window.
        while let Some(oldest) = self.before.front()
            && self.before_bytes - oldest.text.len() >= WINDOW_BYTES
        {
            self.before_bytes -= oldest.text.len();
            self.before.pop_front();
        }
    }

    /// Everything that can be referred to, where that is more than the row.
    pub(crate) fn whole(&self) -> Option<Vec<u8>> {
        if self.before.is_empty() {
            return None;
        }
        let rows = self.before.iter().chain(&self.row);
        let text: Vec<u8> = rows.flat_map(|row| row.text.iter().copied()).collect();
        Some(last(&text, WINDOW_BYTES).to_vec())
    }

    /// The rows before belong to the row from here on.
    pub(crate) fn becomes(&mut self, whole: Rc<Window>) {
        *self = Self { row: Some(whole), ..Self::default() };
    }
}

/// The last `max` bytes, or all there are.
fn last(text: &[u8], max: usize) -> &[u8] {
    &text[text.len().saturating_sub(max)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_keeps_what_can_be_referred_to() {
        assert_eq!(&*Window::after(b"ab", b"cd", 1).text, b"abcd");
        let full = Window::after(&[1; WINDOW_BYTES], &[2; 100], 2);
        assert_eq!((full.text.len(), full.text[0], full.text[WINDOW_BYTES - 100]), (WINDOW_BYTES, 1, 2));
        assert_eq!(*Window::after(b"ab", &[3; WINDOW_BYTES + 1], 3).text, [3; WINDOW_BYTES]);
    }

    #[test]
    fn rows_are_kept_until_they_are_out_of_reach() {
        let mut context = Context::default();
        assert_eq!(context.whole(), None);
        for id in 0..100_u8 {
            context.begins(Window::after(b"", &[id; 1_000], id.into()));
            let whole = context.whole().unwrap_or_default();
            assert_eq!(
                whole.len(),
                if id == 0 { 0 } else { WINDOW_BYTES.min(1_000 * (usize::from(id) + 1)) }
            );
            assert!(context.before.len() <= 33 && whole.is_sorted());
        }
        context.becomes(Window::after(b"", b"x", 200));
        assert_eq!((context.whole(), context.row().map(|row| row.id)), (None, Some(200)));
    }
}
