//! Organizations: accounts and units, page by page.

use rekognition_emulator::{
    Account, Emulator, Fault, Operation, OrganizationalUnit, Quota, ROOT_ID, Role,
};

use crate::sdk::{Sdk, error_of};

const OWN: &str = "123456789012";

fn id(number: usize) -> String {
    format!("{:012}", 200_000_000_000 + number)
}

async fn with_accounts(count: usize) -> Emulator {
    let emulator = Emulator::builder().start().await.unwrap();
    for number in 0..count {
        emulator.add_account(Account::new(&id(number)));
    }
    emulator
}

/// The IDs of each page of ListAccounts, up to its end.
async fn pages(sdk: &Sdk, size: Option<i32>) -> Vec<Vec<String>> {
    let (mut pages, mut token) = (Vec::new(), None);
    loop {
        let call = sdk.organizations.list_accounts().set_max_results(size);
        let page = call.set_next_token(token).send().await.unwrap();
        let ids = page.accounts().iter().map(|it| it.id().unwrap().to_owned());
        pages.push(ids.collect());
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return pages;
        }
    }
}

fn sizes(pages: &[Vec<String>]) -> Vec<usize> {
    pages.iter().map(Vec::len).collect()
}

/// The IDs of the accounts directly under a parent, or the error's code.
async fn accounts_under(sdk: &Sdk, parent: &str) -> Result<Vec<String>, String> {
    let call = sdk.organizations.list_accounts_for_parent();
    let list = call.parent_id(parent).send().await;
    let list = list.map_err(|error| error_of(&error).0)?;
    Ok(list
        .accounts()
        .iter()
        .map(|it| it.id().unwrap().to_owned())
        .collect())
}

async fn units_under(sdk: &Sdk, parent: &str) -> Result<Vec<String>, String> {
    let call = sdk.organizations.list_organizational_units_for_parent();
    let list = call.parent_id(parent).send().await;
    let list = list.map_err(|error| error_of(&error).0)?;
    Ok(list
        .organizational_units()
        .iter()
        .map(|it| it.id().unwrap().to_owned())
        .collect())
}

#[tokio::test]
async fn without_an_organization_there_is_nothing_to_list() {
    let emulator = Emulator::builder().start().await.unwrap();
    let error = Sdk::new(&emulator).organizations.list_accounts().send();
    let error = error.await.unwrap_err();
    assert!(
        error
            .as_service_error()
            .unwrap()
            .is_aws_organizations_not_in_use_exception()
    );
}

#[tokio::test]
async fn accounts_come_20_a_page_or_as_asked_and_the_management_account_first() {
    let emulator = with_accounts(44).await;
    let sdk = Sdk::new(&emulator);
    let all = pages(&sdk, None).await;
    assert_eq!(sizes(&all), [20, 20, 5]);
    let expected: Vec<_> = [OWN.to_owned()]
        .into_iter()
        .chain((0..44).map(id))
        .collect();
    assert_eq!(all.concat(), expected);
    assert_eq!(sizes(&pages(&sdk, Some(15)).await), [15, 15, 15]);
    emulator.set_page_size(7);
    assert_eq!(sizes(&pages(&sdk, None).await)[..2], [7, 7]);
    for size in [0, 21] {
        let call = sdk.organizations.list_accounts().max_results(size);
        let (code, message) = error_of(&call.send().await.unwrap_err());
        assert_eq!(code, "InvalidInputException");
        assert!(message.contains("'maxResults'"), "{message}");
    }
    let call = sdk.organizations.list_accounts().next_token("nonsense");
    let error = error_of(&call.send().await.unwrap_err());
    assert_eq!(error.0, "InvalidInputException");
}

#[tokio::test]
async fn an_empty_page_may_come_before_each_that_has_items() {
    let emulator = with_accounts(24).await;
    let sdk = Sdk::new(&emulator);
    let all = pages(&sdk, None).await.concat();
    emulator.set_empty_pages(true);
    let with_empty = pages(&sdk, None).await;
    assert_eq!(sizes(&with_empty), [0, 20, 0, 5]);
    assert_eq!(with_empty.concat(), all);
    // The lists of Rekognition have none.
    let list = sdk.rekognition.describe_projects().send().await.unwrap();
    assert_eq!(list.next_token(), None);
}

#[tokio::test]
async fn an_account_has_a_state_and_the_older_status() {
    let emulator = with_accounts(0).await;
    for account in [
        Account::new(&id(1)).state("SUSPENDED"),
        Account::new(&id(2)).state("CLOSED"),
        Account::new(&id(3))
            .state("PENDING_CLOSURE")
            .without_state(),
        Account::new(&id(4)).without_status(),
        Account::new(&id(5))
            .state("PENDING_ACTIVATION")
            .status("ACTIVE"),
    ] {
        emulator.add_account(account);
    }
    let list = Sdk::new(&emulator).organizations.list_accounts().send();
    let list = list.await.unwrap();
    #[allow(deprecated)]
    let states: Vec<_> = (list.accounts().iter().skip(1))
        .map(|it| {
            let (state, status) = (it.state(), it.status());
            (state.map(|it| it.as_str()), status.map(|it| it.as_str()))
        })
        .collect();
    let expected = [
        (Some("SUSPENDED"), Some("SUSPENDED")),
        (Some("CLOSED"), Some("SUSPENDED")),
        (None, Some("PENDING_CLOSURE")),
        (Some("ACTIVE"), None),
        (Some("PENDING_ACTIVATION"), Some("ACTIVE")),
    ];
    assert_eq!(states, expected);
    // An account that is added again is in its new state.
    emulator.add_account(Account::new(&id(1)));
    let list = Sdk::new(&emulator).organizations.list_accounts().send();
    assert_eq!(
        list.await.unwrap().accounts()[1].state().unwrap().as_str(),
        "ACTIVE"
    );
}

#[tokio::test]
async fn units_are_nested_and_list_what_is_directly_in_them() {
    let (outer, inner) = ("ou-emul-11111111", "ou-emul-22222222");
    let emulator = with_accounts(1).await;
    emulator.add_organizational_unit(OrganizationalUnit::new(outer));
    emulator.add_organizational_unit(OrganizationalUnit::new(inner).parent(outer));
    emulator.add_account(Account::new(&id(1)).parent(outer));
    emulator.add_account(Account::new(&id(2)).parent(inner));
    let sdk = Sdk::new(&emulator);
    let roots = sdk.organizations.list_roots().send().await.unwrap();
    let root = roots.roots()[0].id().unwrap();
    assert_eq!(root, ROOT_ID);
    let owned = |ids: &[&str]| ids.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    for (parent, accounts, units) in [
        (root, owned(&[OWN, &id(0)]), owned(&[outer])),
        (outer, owned(&[&id(1)]), owned(&[inner])),
        (inner, owned(&[&id(2)]), owned(&[])),
    ] {
        assert_eq!(accounts_under(&sdk, parent).await, Ok(accounts));
        assert_eq!(units_under(&sdk, parent).await, Ok(units));
    }
    assert_eq!(pages(&sdk, None).await.concat().len(), 4);
    for (parent, code) in [
        ("ou-emul-33333333", "ParentNotFoundException"),
        ("r-other", "ParentNotFoundException"),
        ("emul", "InvalidInputException"),
        ("ou-emul", "InvalidInputException"),
    ] {
        assert_eq!(accounts_under(&sdk, parent).await, Err(code.to_owned()));
        assert_eq!(units_under(&sdk, parent).await, Err(code.to_owned()));
    }
}

#[tokio::test]
async fn only_the_management_account_and_delegated_administrators_may_look() {
    let emulator = Emulator::builder().management_account("999999999999");
    let emulator = emulator.start().await.unwrap();
    let sdk = Sdk::new(&emulator);
    let list = async |sdk: &Sdk| {
        let list = sdk.organizations.list_accounts().send().await;
        list.map(|list| list.accounts().len())
            .map_err(|error| error_of(&error).0)
    };
    let not_in_use = Err("AWSOrganizationsNotInUseException".to_owned());
    assert_eq!(list(&sdk).await, not_in_use);
    emulator.add_account(Account::new(OWN));
    assert_eq!(list(&sdk).await, Err("AccessDeniedException".to_owned()));
    emulator.add_delegated_administrator(OWN);
    assert_eq!(list(&sdk).await, Ok(2));
    // A session is a caller of its own account.
    let arn = "arn:aws:iam::999999999999:role/reader";
    emulator.add_role(Role::new(arn).unwrap().trusts(OWN));
    let session = sdk.assume(arn).await.unwrap();
    assert_eq!(
        list(&Sdk::with(&emulator, "us-east-1", session)).await,
        Ok(2)
    );
    emulator.deny("organizations:ListAccounts", None);
    assert_eq!(list(&sdk).await, Err("AccessDeniedException".to_owned()));
}

#[tokio::test]
async fn the_lists_are_throttled_by_quota_and_fail_by_fault() {
    let emulator = with_accounts(30).await;
    let sdk = Sdk::new(&emulator);
    let second_page = Fault::error("TooManyRequestsException").page(2);
    emulator.add_fault(second_page.operation(Operation::ListAccounts));
    let first = sdk.organizations.list_accounts().send().await.unwrap();
    let call = sdk.organizations.list_accounts();
    let call = call.set_next_token(first.next_token().map(str::to_owned));
    let error = call.send().await.unwrap_err();
    assert!(
        error
            .as_service_error()
            .unwrap()
            .is_too_many_requests_exception()
    );
    emulator.clear_faults();

    let (unit, other) = ("ou-emul-11111111", "ou-emul-22222222");
    emulator.add_organizational_unit(OrganizationalUnit::new(unit));
    emulator.add_organizational_unit(OrganizationalUnit::new(other));
    emulator.add_fault(Fault::error("ServiceException").resource(unit));
    assert_eq!(
        accounts_under(&sdk, unit).await,
        Err("ServiceException".to_owned())
    );
    assert_eq!(accounts_under(&sdk, other).await, Ok(Vec::new()));

    let quota = Quota::per_second(0.001).burst(1);
    emulator.set_operation_quota(Operation::ListRoots, Some(quota));
    assert!(sdk.organizations.list_roots().send().await.is_ok());
    let error = sdk.organizations.list_roots().send().await.unwrap_err();
    assert_eq!(error_of(&error).0, "TooManyRequestsException");
}
