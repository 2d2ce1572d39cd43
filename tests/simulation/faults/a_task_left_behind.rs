// Each attempt is a task, which goes on when the run is over.
// src/run/mod.rs, impl<'a> Run<'a>, fn make_calls
    async fn make_calls(&mut self) {
        let mut in_flight = FuturesUnordered::new();
        while !self.is_done() {
            let (now, due) = (Instant::now(), self.due());
            for scope in self.queue.fire(now) {
                self.scopes.wake(scope, &mut self.queue, now, due);
            }
            loop {
                while let Some(call) = self.queue.next(now, due) {
                    let attempt = self.clients.attempt(call.scope, call.request, call.token);
                    let attempt = tokio::spawn(attempt).map(|ended| {
                        ended.unwrap_or(Err(CallError::Panicked))
                    });
                    in_flight.push(attempt.map(move |result| (call.id, result)));
                }
                if !self.begin_scope(now) {
                    break;
                }
            }
            let next = self.queue.due().unwrap_or(due);
            tokio::select! {
                biased;
                () = sleep_until(due) => break,
                Some((call, result)) = in_flight.next() => self.take(call, result),
                () = sleep_until(next) => {}
            }
        }
    }
