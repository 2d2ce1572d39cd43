// All calls in an account and region wait in one lane.
// src/calls/lane.rs, impl Call, fn lane
    pub(super) fn lane(&self) -> LaneId {
        let operation = self.request.operation();
        LaneId {
            scope: self.scope,
            operation: match operation.service() {
                Service::Rekognition => Operation::StopProjectVersion,
                _ => operation,
            },
        }
    }
