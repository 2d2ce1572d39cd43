// The first page of a list is taken for the whole list.
// src/calls/pages.rs, impl Pages, fn after
    pub(super) fn after(&mut self, _: Option<String>) -> Continuation {
        Continuation::End
    }
