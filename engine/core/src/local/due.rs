//! What somebody is owed of a tick buffer: whole frames of one room, and what is known of them.

use bytes::Bytes;

/// One frame of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Where it ends.
    pub(crate) end: u32,
    /// The message's place in its room.
    pub(crate) offset: u64,
    /// What stands for its key; 0: none.
    pub(crate) key: u64,
}

impl Mark {
    /// Whether it is of a signal that a newer one of its key may replace, whatever room it is of: nobody looks for its place.
    pub(crate) fn is_replaceable(self) -> bool {
        self.offset == 0 && self.key != 0
    }
}

/// Neighbouring frames of a buffer that may be put ahead of others, all with the same priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Urgent {
    begin: u32,
    end: u32,
    priority: u8,
}

/// What is known of the frames of a buffer, where that matters to slow readers.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Every frame, in rooms only that may drop some of them; in others, signals that newer ones may replace, and what stands
    /// before them.
    marks: Vec<Mark>,
    /// The frames that have a priority, in order.
    urgent: Vec<Urgent>,
}

impl Notes {
    /// Notes the frame between two places of the buffer, behind all others.
    pub(crate) fn add(&mut self, begin: usize, end: usize, mark: Option<Mark>, priority: u8) {
        if let Some(mark) = mark {
            let marked = self.marks.last().map_or(0, |mark| mark.end);
            if marked < begin as u32 {
                self.marks.push(Mark { end: begin as u32, offset: 0, key: 0 });
            }
            self.marks.push(Mark { end: end as u32, ..mark });
        }
        if priority > 0 {
            let frame = Urgent { begin: begin as u32, end: end as u32, priority };
            match self.urgent.last_mut() {
                Some(last) if (last.end, last.priority) == (frame.begin, priority) => last.end = frame.end,
                _ => self.urgent.push(frame),
            }
        }
    }

    /// Nothing is known any more.
    pub(crate) fn clear(&mut self) {
        self.marks.clear();
        self.urgent.clear();
    }

    /// What is known of the frames after a place where one ends, counted from there.
    pub(crate) fn after(&self, from: usize) -> Self {
        let from = from as u32;
        let marks = between(&self.marks, from, u32::MAX);
        let urgent = self.urgent.iter().filter(|frames| frames.end > from);
        let moved = |frames: &Urgent| Urgent {
            begin: frames.begin.saturating_sub(from),
            end: frames.end - from,
            ..*frames
        };
        Self { marks, urgent: urgent.map(moved).collect() }
    }
}

/// The marks of the frames between two places, counted from the first.
fn between(marks: &[Mark], begin: u32, end: u32) -> Vec<Mark> {
    let first = marks.partition_point(|mark| mark.end <= begin);
    let last = marks.partition_point(|mark| mark.end <= end);
    marks[first..last].iter().map(|mark| Mark { end: mark.end - begin, ..*mark }).collect()
}

/// Frames that are kept for somebody.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) bytes: Bytes,
    pub(crate) notes: Notes,
}

/// Neighbouring frames that are treated alike.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) bytes: Bytes,
    /// Of messages without a priority only: others are never dropped.
    pub(crate) marks: Vec<Mark>,
    pub(crate) priority: u8,
}

impl Due {
    /// Hands the frames out in order, those with a priority apart from the others.
    pub(crate) fn split(self, mut take: impl FnMut(Part)) {
        let Self { bytes, notes: Notes { marks, urgent } } = self;
        if urgent.is_empty() {
            take(Part { bytes, marks, priority: 0 });
            return;
        }
        let part = |begin: u32, end: u32, marks, priority| {
            let bytes = bytes.slice(begin as usize..end as usize);
            Part { bytes, marks, priority }
        };
        let mut at = 0;
        for Urgent { begin, end, priority } in urgent {
            if at < begin {
                take(part(at, begin, between(&marks, at, begin), 0));
            }
            take(part(begin, end, Vec::new(), priority));
            at = end;
        }
        let end = bytes.len() as u32;
        if at < end {
            take(part(at, end, between(&marks, at, end), 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A buffer of one byte for each frame: its priority.
    fn buffer(priorities: &[u8]) -> Due {
        let mut notes = Notes::default();
        for (at, priority) in priorities.iter().enumerate() {
            let mark = Mark { end: 0, offset: at as u64 + 1, key: 0 };
            notes.add(at, at + 1, Some(mark), *priority);
        }
        Due { bytes: Bytes::copy_from_slice(priorities), notes }
    }

    /// The end and the offset of each mark.
    type Ends = Vec<(u32, u64)>;

    fn parts(due: Due) -> Vec<(Vec<u8>, Ends, u8)> {
        let mut parts = Vec::new();
        due.split(|part| {
            let marks = part.marks.iter().map(|mark| (mark.end, mark.offset)).collect();
            parts.push((part.bytes.to_vec(), marks, part.priority));
        });
        parts
    }

    #[test]
    fn without_a_priority_all_is_one_part() {
        assert_eq!(parts(buffer(&[0, 0])), [(vec![0, 0], vec![(1, 1), (2, 2)], 0)]);
    }

    #[test]
    fn what_has_a_priority_stands_apart_and_the_rest_keeps_its_marks() {
        let expected = [
            (vec![0, 0], vec![(1, 1), (2, 2)], 0),
            (vec![3, 3], vec![], 3),
            (vec![5], vec![], 5),
            (vec![0], vec![(1, 6)], 0),
        ];
        assert_eq!(parts(buffer(&[0, 0, 3, 3, 5, 0])), expected);
        assert_eq!(parts(buffer(&[9])), [(vec![9], vec![], 9)]);
    }

    #[test]
    fn who_came_in_the_middle_is_owed_the_rest() {
        let due = buffer(&[0, 3, 3, 0, 5]);
        let rest = |from| Due { bytes: due.bytes.slice(from..), notes: due.notes.after(from) };
        let tail = [(vec![0], vec![(1, 4)], 0), (vec![5], vec![], 5)];
        assert_eq!(parts(rest(3)), tail);
        assert_eq!(parts(rest(2)), [&[(vec![3], vec![], 3)], &tail[..]].concat());
        assert_eq!(parts(rest(1)), [&[(vec![3, 3], vec![], 3)], &tail[..]].concat());
    }
}
