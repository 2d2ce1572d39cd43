// Each call leaves a holder of its connection behind.
// src/aws/http.rs, impl HttpConnector for Connector, fn call
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let secrets = secrets(&request);
        std::mem::forget(self.0.clone());
        let response = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut response = buffered(response.await.map_err(broken)?).await?;
            redact(&secrets, &mut response);
            Ok(response)
        })
    }
