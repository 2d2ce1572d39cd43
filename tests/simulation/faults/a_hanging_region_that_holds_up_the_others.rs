// No account and region begins while any region does not respond.
// src/calls/queue.rs, impl Queue, fn has_room
    pub(crate) fn has_room(&self, _: &str) -> bool {
        self.regions.iter().all(|region| !region.is_silent())
    }
