"""An organization: member-account.yaml in every account, one function, and the night that it sweeps them all.

What the local AWS does not carry, and what is done about it:
- StackSets: member-account.yaml is deployed in each account as docs/organization.md does it in one; that AWS CLI 2 takes
  the commands for StackSets is seen in part `template`;
- the path of a role, and which role of an account calls: the trust is read in part `template`;
- permissions: part `permissions` holds every call that is recorded here against both templates.
"""

import json
import shlex

import part_deploy
from part_cargo_lambda import section
from part_deploy import HERE, LOG_GROUP, NEVER, STACK, check_real, next_mail, outputs, run_lines, sam_deploy, subscribe
from part_template import commands_of
from services import Accounts, LocalAws, Rekognition
from tools import ACCOUNT, REGION, ROOT, check, check_equal, wait_until

ORGANIZATION = ROOT / "docs" / "organization.md"
MEMBER_ROLE = "rekognition-stopper-member"
ELSEWHERE = "eu-west-1"

# As the local AWS numbers the accounts that it makes.
VISION, RETAIL, STRANGE, CLOSED, SANDBOX = MEMBERS = [f"{200_000_000_001 + number}" for number in range(5)]


def model(account, region=REGION):
    """A model of an account."""
    return f"arn:aws:rekognition:{region}:{account}:project/shelf-audit/version/v1/1759309953000"


# One model in each account and region, and whether the night stops it.
STOPPED = [model(ACCOUNT), model(VISION), model(VISION, ELSEWHERE), model(RETAIL, ELSEWHERE)]
LEFT = [model(STRANGE), model(CLOSED), model(SANDBOX), model(VISION, "ap-south-1")]

PARAMETERS = {
    "ModelArns": "all",
    "MemberRole": MEMBER_ROLE,
    "MemberExternalId": "stopper:2026",
    "Regions": f"{REGION},{ELSEWHERE}",
    "ExcludedAccounts": SANDBOX,
    "AlarmEmail": "none",
    "DryRun": "false",
    "ScheduleExpression": "rate(1 minute)",
}


def sam_build_makes_the_function(session):
    part_deploy.sam_build()


def an_organization_with_accounts_is_there(session):
    make_organization(session)


def make_organization(session, **of_aws):
    """The accounts, each with a Rekognition, and the local AWS that they are in."""
    session.rekognitions = {it: Rekognition(session.processes, session.part, it) for it in [ACCOUNT, *MEMBERS]}
    start_models(session)
    accounts = Accounts(session.rekognitions.values())
    session.cleanup.callback(accounts.end)
    session.aws = LocalAws(session.processes, session.part, accounts, **of_aws)
    organizations = session.aws.client("organizations")
    root = organizations.list_roots()["Roots"][0]["Id"]
    for number, account in enumerate(MEMBERS):
        made = organizations.create_account(Email=f"account-{number}@example.com", AccountName=f"account-{number}")
        check_equal(made["CreateAccountStatus"]["AccountId"], account, "number of the account")
    organizations.close_account(AccountId=CLOSED)
    # Two deep, so that a list that does not go down misses it.
    above = organizations.create_organizational_unit(ParentId=root, Name="business")["OrganizationalUnit"]["Id"]
    unit = organizations.create_organizational_unit(ParentId=above, Name="retail")["OrganizationalUnit"]["Id"]
    organizations.move_account(AccountId=RETAIL, SourceParentId=root, DestinationParentId=unit)
    session.unit = above


def the_stack_and_the_member_roles_are_deployed(session):
    deploy(session, PARAMETERS)


def deploy(session, parameters):
    """The stack with these parameters, and the member roles, of which one trusts someone else."""
    sam_deploy(session, f"sam-deploy-{session.part}", parameters)
    check_real(session.aws, STACK)
    session.mailbox = subscribe(session.aws, outputs(session)["TopicArn"])
    right = outputs(session)["FunctionRoleArn"]
    for account in MEMBERS:
        someone_else = right.replace(ACCOUNT, "999999999999")
        command = documented("aws cloudformation deploy").replace("EXTERNAL_ID", parameters["MemberExternalId"])
        command = command.replace("FUNCTION_ROLE_ARN", someone_else if account == STRANGE else right)
        session.aws.shell(f"{session.part}-member-{account}", command, AWS_ACCESS_KEY_ID=account)
        check_real(session.aws, "rekognition-stopper-member", account)


def a_role_is_assumed_only_with_its_external_id(session):
    sts = session.aws.client("sts")
    request = {"RoleArn": f"arn:aws:iam::{VISION}:role/{MEMBER_ROLE}", "RoleSessionName": "end-to-end-test"}
    try:
        sts.assume_role(**request)
    except sts.exceptions.ClientError as error:
        check_equal(error.response["Error"]["Code"], "AccessDenied", "without the external ID")
    else:
        check(False, "the role was assumed without its external ID")
    sts.assume_role(**request, ExternalId=PARAMETERS["MemberExternalId"])


def the_schedule_fires_and_models_in_three_accounts_and_two_regions_are_stopped(session):
    for it in STOPPED:
        wait_until(lambda: status(session, it) == "STOPPED", f"{it} is not stopped", timeout=120, log=session.aws.log)
    for it in LEFT:
        check_equal(status(session, it), "RUNNING", it)


def a_mail_names_the_account_that_could_not_be_entered(session):
    mail = next_mail(session, "gave up", "the account is not emailed")
    pattern = f"arn:aws:rekognition:*:{STRANGE}:project/*/version/*/*"
    text = f"{HERE}: Lambda gave up on a run (RetriesExhausted). No model failed. 1 lookup failed: {pattern} (AccountUnreachable: "
    check(mail.startswith(text), f"the mail does not name the account: {mail}")
    check(f"role/{MEMBER_ROLE}" in mail, f"the mail does not name the role: {mail}")
    for account in [CLOSED, SANDBOX]:
        check(account not in mail, f"the mail names {account}: {mail}")
    line = run_lines(session)[0]
    check_equal(line["accounts"], 4, "accounts in which calls were made or tried")
    check_equal((line["failed"], line["failed_lookups"]), (0, 1), "models and lookups that failed")
    # What the saved query and the dashboard read.
    lookups = [it for it in session.aws.log_lines(LOG_GROUP) if it.get("message") == "lookup"]
    check_equal(
        {(it["pattern"], it["code"], bool(it["error"]), "outcome" in it) for it in lookups},
        {(pattern, "AccountUnreachable", True, False)}, "the lines of the lookups that failed",
    )
    metrics = [it for it in session.aws.log_lines(LOG_GROUP) if "_aws" in it][0]
    check_equal((metrics["ModelsFailed"], metrics["LookupsFailed"]), (0, 1), "the metrics of failures")


def dry_runs_show_which_account_has_the_role(session):
    one = documented('"accounts"').replace("222222222222", VISION)
    said = session.aws.shell("dry-run-of-one", one)
    check("nothing was stopped. No model was running." in said, f"the role of {VISION} cannot be assumed: {said}")
    said = session.aws.shell("dry-run-of-all", documented('{"dry_run":true}'))
    check(f"{STRANGE}:project/*/version/*/* (AccountUnreachable" in said, f"{STRANGE} is not named: {said}")
    check(VISION not in said, f"{VISION} is named: {said}")


def an_organizational_unit_limits_the_run(session):
    sam_deploy(session, "sam-deploy-unit", PARAMETERS, OrganizationalUnits=session.unit, ScheduleExpression=NEVER)
    start_models(session)
    answer = session.aws.client("lambda").invoke(FunctionName=STACK, Payload=b"{}")
    report = json.load(answer["Payload"])
    check_equal(answer.get("FunctionError"), None, f"error of the run, which answered {report}")
    check_equal([it["model_arn"] for it in report["models"]], [model(RETAIL, ELSEWHERE)], "models of the report")
    check_equal(status(session, model(RETAIL, ELSEWHERE)), "STOPPED", "the model in the unit")
    check_equal(status(session, model(VISION)), "RUNNING", "a model outside of the unit")


def a_member_account_is_left_without_the_role(session):
    session.aws.shell("member-removal", documented("aws cloudformation delete-stack"), AWS_ACCESS_KEY_ID=VISION)
    roles = session.aws.client("iam", VISION).list_roles
    wait_until(lambda: not roles()["Roles"], f"{VISION} still has a role", timeout=30, log=session.aws.log)


STEPS = [
    sam_build_makes_the_function,
    an_organization_with_accounts_is_there,
    the_stack_and_the_member_roles_are_deployed,
    a_role_is_assumed_only_with_its_external_id,
    the_schedule_fires_and_models_in_three_accounts_and_two_regions_are_stopped,
    a_mail_names_the_account_that_could_not_be_entered,
    dry_runs_show_which_account_has_the_role,
    an_organizational_unit_limits_the_run,
    a_member_account_is_left_without_the_role,
]


def documented(part):
    """The first command with this part by which the documentation sets up an organization."""
    commands = map(shlex.join, commands_of(section(ORGANIZATION, "## Setting it up")))
    return next(it for it in commands if part in it)


def start_models(session):
    """Every account's Rekognition, with its models running."""
    for account, rekognition in session.rekognitions.items():
        rekognition.start(models={it: "RUNNING,units=1" for it in [*STOPPED, *LEFT] if it.split(":")[4] == account})


def status(session, arn):
    """What the Rekognition of its account says of a model."""
    return session.rekognitions[arn.split(":")[4]].status(arn)
