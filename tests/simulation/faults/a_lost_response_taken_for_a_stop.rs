// A stop without a readable response is taken for a stopped model.
// src/run/model.rs, impl Model, fn handle_stop
    pub(super) fn handle_stop(
        &mut self,
        response: Result<Option<Status>, CallError>,
        now: Instant,
    ) {
        match response {
            Ok(Some(status)) if status.phase() == Phase::Stopping => {
                self.refusal = None;
                self.refusals = 0;
                let description = Description {
                    status,
                    status_message: None,
                    inference_units: None,
                };
                self.see(description, now);
                return;
            }
            Ok(status) => {
                self.is_accepted = true;
                let status = status.as_ref().map_or("", Status::as_str);
                self.refusal = Some(format!("StopProjectVersion returned the status `{status}`"));
            }
            // Only what is not running can be deleted.
            Err(error) if error.is_not_found() && self.is_accepted => {
                self.outcome = Some(Outcome::Stopped);
                return;
            }
            Err(CallError::Unreadable { .. }) => {
                self.outcome = Some(Outcome::Stopped);
                return;
            }
            Err(error) if error.leaves_doubt() => {
                self.refusal = Some(Failure::from(error).to_string());
            }
            Err(error) => {
                self.fail(error);
                return;
            }
        }
        self.refusals += 1;
        self.is_in_doubt = true;
    }
