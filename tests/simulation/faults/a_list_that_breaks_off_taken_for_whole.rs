// A lookup that has found something is taken for complete.
// src/run/discovery.rs, impl<'a> Discovery<'a>, fn fail
    fn fail(&mut self, failure: &Failure, is_concerned: impl Fn(&ModelPattern) -> bool) {
        for search in &mut self.searches {
            if is_concerned(search.pattern) && !search.has_match {
                search.failure.get_or_insert_with(|| failure.clone());
            }
        }
    }
