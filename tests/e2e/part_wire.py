"""The emulator's wire, compared with the models of the services that botocore has from AWS.

Every response is read twice: by botocore's client, and from the bytes of its body, since botocore
ignores what its model does not have.
"""

import datetime
import json
import re
import xml.etree.ElementTree as ElementTree

import boto3
import botocore.exceptions
from botocore.config import Config

from services import emulator
from tools import ACCOUNT, REGION, ROOT, Failure, check, check_equal, free_port, listens

PROJECT = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project"
ROOT_ID, UNIT = "r-emul", "ou-emul-11111111"
ROLE = "arn:aws:iam::222222222222:role/member"
STARTS = [{"AttributeKey": "EventName", "AttributeValue": "StartProjectVersion"}]
ASSUME = {"RoleArn": ROLE, "RoleSessionName": "wire"}

# Errors that AWS documents for all operations of a service and that no model has, with their HTTP
# statuses.
COMMON = {
    "rekognition": {"SerializationException": 400, "UnrecognizedClientException": 400},
    "organizations": {},
    "cloudtrail": {"AccessDeniedException": 400, "ThrottlingException": 400},
    "sts": {"AccessDenied": 403, "InvalidClientTokenId": 403, "Throttling": 400, "ValidationError": 400},
}


def the_emulator_runs_with_a_model_in_every_status(session):
    session.emulators = Emulators(session.processes)
    model = boto3.client("rekognition", REGION).meta.service_model
    session.statuses = model.shape_for("ProjectVersionStatus").enum
    session.url = session.emulators.start(
        "--start-takes", "3600s", "--stop-takes", "3600s",
        *models("v", session.statuses),
    )
    session.seen = set()


def every_response_has_the_shape_of_its_operation(session):
    def call(operation, service="rekognition", credentials=None, **parameters):
        session.seen.add(operation)
        return Client(service, session.url, credentials).call(operation, **parameters)

    def pages(member, operation, service="rekognition", **parameters):
        items, token = [], {}
        while token is not None:
            page = call(operation, service, **parameters, **token)
            items += page[member]
            token = {"NextToken": page["NextToken"]} if "NextToken" in page else None
        return items

    project = call("DescribeProjects", MaxResults=1)["ProjectDescriptions"][0]["ProjectArn"]
    versions = pages("ProjectVersionDescriptions", "DescribeProjectVersions", ProjectArn=project, MaxResults=3)
    check_equal({it["Status"] for it in versions}, set(session.statuses), "the statuses of the models")
    tags = call("ListTagsForResource", ResourceArn=version("v", "RUNNING"))["Tags"]
    check_equal(tags, {"team": "vision"}, "the tags")
    stopped = call("StopProjectVersion", ProjectVersionArn=version("v", "RUNNING"))
    check_equal(stopped["Status"], "STOPPING", "the status after a stop")

    events = pages("Events", "LookupEvents", "cloudtrail", LookupAttributes=STARTS, MaxResults=3)
    check_equal(len(events), len(session.statuses), "the starts in the event history")

    for operation, parent in [
        ("ListAccounts", {}),
        ("ListAccountsForParent", {"ParentId": ROOT_ID}),
        ("ListAccountsForParent", {"ParentId": UNIT}),
    ]:
        check(call(operation, "organizations", **parent)["Accounts"], f"{operation} has no account")
    accounts = pages("Accounts", "ListAccounts", "organizations", MaxResults=1)
    check_equal(len(accounts), 2, "the accounts of the organization")
    units = call("ListOrganizationalUnitsForParent", "organizations", ParentId=ROOT_ID)
    check_equal(units["OrganizationalUnits"][0]["Id"], UNIT, "the unit under the root")

    credentials = call("AssumeRole", "sts", **ASSUME, DurationSeconds=900)["Credentials"]
    projects = call("DescribeProjects", credentials=credentials)["ProjectDescriptions"]
    check_equal(projects, [], "the projects of the session's account")

    source = (ROOT / "tests" / "emulator" / "src" / "operation.rs").read_text()
    served = re.findall(r"^    (\w+): (?:Rekognition|Sts|Organizations|CloudTrail),$", source, re.M)
    check_equal(session.seen, set(served), "the operations that were judged")


def every_error_of_the_models_is_raised_as_its_exception(session):
    errors = [
        (service, operation, shape)
        for service, calls in required_parameters().items()
        for operation in calls
        for shape in boto3.client(service, REGION).meta.service_model.operation_model(operation).error_shapes
    ]
    url = session.emulators.start(
        *(word for _, operation, shape in errors
          for word in ("--error", f"{operation}={shape.error_code or shape.name}"))
    )
    for service, operation, shape in errors:
        client = Client(service, url)
        expected = shape.error_code or shape.name
        client.fail(operation, expected, **required_parameters()[service][operation])
    return f"{len(errors)} errors"


def every_refusal_is_an_error_of_its_operation(session):
    model, other = version("v", "STOPPED"), f"{PROJECT}/cats/version/none/1"
    elsewhere = model.replace(REGION, "eu-west-1")
    foreign = model.replace(ACCOUNT, "999999999999")
    project = f"{PROJECT}/cats/1"
    for service, operation, code, parameters in [
        ("rekognition", "StopProjectVersion", "ResourceInUseException", {"ProjectVersionArn": model}),
        ("rekognition", "StopProjectVersion", "ResourceNotFoundException", {"ProjectVersionArn": other}),
        ("rekognition", "StopProjectVersion", "InvalidParameterException", {"ProjectVersionArn": elsewhere}),
        ("rekognition", "StopProjectVersion", "AccessDeniedException", {"ProjectVersionArn": foreign}),
        ("rekognition", "StopProjectVersion", "InvalidParameterException", {"ProjectVersionArn": "cats"}),
        ("rekognition", "StopProjectVersion", "SerializationException", {"ProjectVersionArn": 7}),
        ("rekognition", "DescribeProjects", "InvalidPaginationTokenException", {"NextToken": "x"}),
        ("rekognition", "DescribeProjects", "InvalidParameterException", {"MaxResults": 101}),
        ("rekognition", "DescribeProjects", "InvalidParameterException", {"ProjectNames": ["n"] * 11}),
        ("rekognition", "DescribeProjects", "InvalidParameterException", {"Features": ["TELEPATHY"]}),
        ("rekognition", "DescribeProjectVersions", "ResourceNotFoundException", {"ProjectArn": project}),
        ("rekognition", "DescribeProjectVersions", "InvalidParameterException",
         {"ProjectArn": project, "VersionNames": []}),
        ("rekognition", "ListTagsForResource", "ResourceNotFoundException", {"ResourceArn": other}),
        ("organizations", "ListAccounts", "InvalidInputException", {"MaxResults": 21}),
        ("organizations", "ListAccounts", "InvalidInputException", {"NextToken": "x"}),
        ("organizations", "ListAccountsForParent", "ParentNotFoundException", {"ParentId": "r-none"}),
        ("organizations", "ListAccountsForParent", "InvalidInputException", {"ParentId": "ou-none"}),
        ("organizations", "ListOrganizationalUnitsForParent", "ParentNotFoundException", {"ParentId": "r-none"}),
        ("cloudtrail", "LookupEvents", "InvalidMaxResultsException", {"MaxResults": 51}),
        ("cloudtrail", "LookupEvents", "InvalidNextTokenException", {"NextToken": "x"}),
        ("cloudtrail", "LookupEvents", "InvalidLookupAttributesException", {"LookupAttributes": STARTS * 2}),
        ("sts", "AssumeRole", "AccessDenied", ASSUME | {"RoleArn": f"{ROLE}-other"}),
        ("sts", "AssumeRole", "ValidationError", ASSUME | {"DurationSeconds": 7200}),
        ("sts", "AssumeRole", "ValidationError", ASSUME | {"ExternalId": "!"}),
    ]:
        Client(service, session.url).fail(operation, code, **parameters)

    # Each required parameter, left out.
    invalid = {"rekognition": "InvalidParameterException", "organizations": "InvalidInputException",
               "sts": "ValidationError"}
    for service, calls in required_parameters().items():
        for operation, parameters in calls.items():
            for left_out in parameters:
                rest = {name: value for name, value in parameters.items() if name != left_out}
                Client(service, session.url).fail(operation, invalid[service], **rest)

    # A session's access key with another token.
    given = Client("sts", session.url).call("AssumeRole", **ASSUME)["Credentials"]
    given["SessionToken"] = "other"
    Client("sts", session.url, given).fail("AssumeRole", "InvalidClientTokenId", **ASSUME)
    Client("rekognition", session.url, given).fail("DescribeProjects", "UnrecognizedClientException")


def every_denied_or_throttled_call_is_an_error_of_its_operation(session):
    throttled = {"organizations": "TooManyRequestsException", "sts": "Throttling"}
    every = [
        (service, operation, parameters)
        for service, calls in required_parameters().items()
        for operation, parameters in calls.items()
    ]
    url = session.emulators.start(
        *(word for service, operation, _ in every for word in (
            "--deny", f"{service}:{operation}",
            "--error", f"{operation}={throttled.get(service, 'ThrottlingException')}"))
    )
    for service, operation, parameters in every:
        client = Client(service, url)
        client.fail(operation, throttled.get(service, "ThrottlingException"), **parameters)
        denied = "AccessDenied" if service == "sts" else "AccessDeniedException"
        client.fail(operation, denied, **parameters)
    member = Client("sts", session.url).call("AssumeRole", **ASSUME)["Credentials"]
    for operation, parameters in required_parameters()["organizations"].items():
        client = Client("organizations", session.url, member)
        client.fail(operation, "AccessDeniedException", **parameters)


def version(name, status):
    """The ARN of a model that `models` adds."""
    return f"{PROJECT}/cats/version/{name}-{status}/1700000000000"


def models(name, statuses):
    """Options for a model in each of these statuses."""
    for status in statuses:
        yield from ("--model", f"{version(name, status)}={status},units=1,max-units=2,tag:team=vision")


def required_parameters():
    """The operations of each service, and valid values of all that each requires."""
    model, parent = version("v", "RUNNING"), {"ParentId": UNIT}
    return {
        "rekognition": {
            "StopProjectVersion": {"ProjectVersionArn": model},
            "DescribeProjects": {},
            "DescribeProjectVersions": {"ProjectArn": f"{PROJECT}/cats/1"},
            "ListTagsForResource": {"ResourceArn": model},
        },
        "sts": {"AssumeRole": ASSUME},
        "organizations": {
            "ListAccounts": {},
            "ListAccountsForParent": parent,
            "ListOrganizationalUnitsForParent": parent,
        },
        "cloudtrail": {"LookupEvents": {}},
    }


class Emulators:
    """The emulator's program, as often as a step needs it."""

    def __init__(self, processes):
        self.program = emulator()
        self.processes = processes
        self.count = 0

    def start(self, *options):
        """Starts one more, and returns its address."""
        port = free_port()
        self.count += 1
        self.processes.start(
            f"wire-{self.count}", self.program, "--port", port, *options, ready=lambda: listens(port)
        )
        return f"http://127.0.0.1:{port}"


class Client:
    """A client of botocore whose responses are judged."""

    def __init__(self, service, url, credentials=None):
        credentials = credentials or {"AccessKeyId": ACCOUNT, "SecretAccessKey": "local"}
        self.service = service
        self.client = boto3.client(
            service, REGION, endpoint_url=url,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials.get("SessionToken"),
            # Bad parameters are to reach the emulator, and each call is one attempt.
            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
        )
        self.client.meta.events.register("after-call", self.keep)
        self.response = None

    def keep(self, http_response, **_):
        self.response = http_response

    def send(self, operation, parameters):
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower()
        return getattr(self.client, name)(**parameters)

    def call(self, operation, **parameters):
        """The parsed response of a call, whose body has the shape of the operation's output."""
        try:
            parsed = self.send(operation, parameters)
        except botocore.exceptions.ClientError as error:
            raise Failure(f"{operation} with {parameters} failed", str(error)) from error
        model = self.client.meta.service_model.operation_model(operation)
        if self.service == "sts":
            value = result_of_xml(self.response.content, operation, model)
        else:
            value = json.loads(self.response.content)
        complaints = list(judge(model.output_shape, value, operation))
        check(not complaints, "; ".join(complaints), self.response.content.decode()[:1000])
        unread = set(value) - set(parsed)
        check(not unread, f"{operation}: botocore did not read {unread}")
        return parsed

    def fail(self, operation, code, **parameters):
        """A call that fails with this code, as the operation's model or AWS's list says."""
        model = self.client.meta.service_model.operation_model(operation)
        shapes = {it.error_code or it.name: it for it in model.error_shapes}
        shape = shapes.get(code)
        what = f"{operation} with {parameters}, to fail with {code}"
        try:
            self.send(operation, parameters)
            raised = None
        except botocore.exceptions.ClientError as error:
            raised = error
        check(raised is not None, f"{what}: it succeeded")
        body = self.response.content
        found = raised.response["Error"]
        check(found.get("Code") == code and found.get("Message"), f"{what}: found {found}", body.decode())
        status = self.response.status_code
        if shape is None:
            right = COMMON[self.service].get(code)
            check(right is not None, f"{what}: neither its model nor AWS's list has the code")
            check_equal(status, right, f"{what}: the HTTP status")
        else:
            check_equal(type(raised).__name__, shape.name, f"{what}: the exception")
            documented = shape.metadata.get("error", {}).get("httpStatusCode")
            check(400 <= status < 600, f"{what}: HTTP status {status}")
            check(documented in (None, status), f"{what}: HTTP status {status}, not {documented}")
        if self.service == "sts":
            check_equal(outline(ElementTree.fromstring(body)), ERROR_OF_STS, f"{what}: the XML")
        else:
            members = set(json.loads(body)) - {"__type"}
            allowed = set(shape.members) if shape and shape.members else {"message", "Message"}
            check(members <= allowed, f"{what}: {members} are not of {allowed}", body.decode())


def judge(shape, value, path):
    """What is wrong with a value by its shape."""
    kind = shape.type_name
    types = {"structure": dict, "map": dict, "list": list, "string": str, "boolean": bool,
             "integer": int, "long": int, "float": (int, float), "double": (int, float),
             "timestamp": (int, float)}
    if not isinstance(value, types[kind]) or isinstance(value, bool) and kind != "boolean":
        yield f"{path} is {value!r}, and not of the type {kind}"
    elif kind == "structure":
        for name in sorted(set(value) - set(shape.members)):
            yield f"{path} has a member {name}, which the model does not have"
        for name in sorted(set(shape.required_members) - set(value)):
            yield f"{path} has no {name}, which is required"
        for name in value.keys() & shape.members.keys():
            yield from judge(shape.members[name], value[name], f"{path}.{name}")
    elif kind == "map":
        for name, item in value.items():
            yield from judge(shape.key, name, f"{path} key")
            yield from judge(shape.value, item, f"{path}.{name}")
    elif kind == "list":
        for number, item in enumerate(value):
            yield from judge(shape.member, item, f"{path}[{number}]")
    elif kind == "string":
        if shape.enum and value not in shape.enum:
            yield f"{path} is {value!r}, not one of {shape.enum}"
        # Python has no classes of Unicode in its patterns.
        pattern = shape.metadata.get("pattern", "")
        for java, python in [("\\p{L}", "\\w"), ("\\p{N}", "\\d"), ("\\p{Z}", "\\s")]:
            pattern = pattern.replace(java, python)
        if not re.search(pattern, value):
            yield f"{path} is {value!r}, which does not match {pattern}"
    if kind in ("string", "list", "map", "integer", "long") and isinstance(value, types[kind]):
        size = value if isinstance(value, int) else len(value)
        if not shape.metadata.get("min", size) <= size <= shape.metadata.get("max", size):
            yield f"{path} has the size {size}, which {shape.metadata} does not allow"


def result_of_xml(body, operation, model):
    """The result in a response of the query protocol, its texts in the types of the model."""
    space = f"{{{model.service_model.metadata['xmlNamespace']}}}"
    root = ElementTree.fromstring(body)
    check_equal(root.tag, f"{space}{operation}Response", "the root of the XML")
    result = f"{space}{model.output_shape.serialization['resultWrapper']}"
    check_equal([it.tag for it in root], [result, f"{space}ResponseMetadata"], "the parts of the XML")
    check_equal(outline(root[1]), ("ResponseMetadata", ["RequestId"]), "the end of the XML")
    return value_of_xml(model.output_shape, root[0], space)


def value_of_xml(shape, element, space):
    """What an element holds; that of a structure as a dictionary, unknown members and all."""
    kind = shape.type_name if shape else "string"
    if kind == "structure":
        names = [it.tag.removeprefix(space) for it in element]
        check_equal(len(names), len(set(names)), f"different members of {element.tag}")
        return {name: value_of_xml(shape.members.get(name), it, space) for name, it in zip(names, element)}
    if kind == "timestamp":
        return datetime.datetime.fromisoformat(element.text).timestamp()
    return int(element.text) if kind == "integer" else element.text


def outline(element):
    """The names of an element and of those in it."""
    name = element.tag.rpartition("}")[2]
    return (name, [outline(it) for it in element]) if len(element) else name


ERROR_OF_STS = ("ErrorResponse", [("Error", ["Type", "Code", "Message"]), "RequestId"])
