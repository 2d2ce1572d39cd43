// The older of an account's two states is believed.
// src/aws/organizations.rs, fn account
fn account(description: &AccountDescription) -> Option<Account> {
    let state = || description.state().map(|state| state.as_str());
    #[allow(deprecated)]
    let status = description.status().map(|status| status.as_str());
    Some(Account {
        id: description.id()?.to_owned().try_into().ok()?,
        state: status.or_else(state)?.to_owned(),
    })
}
