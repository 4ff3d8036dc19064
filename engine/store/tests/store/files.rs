//! Files: made for their owner only, opened once at a time, refused with reasons.
